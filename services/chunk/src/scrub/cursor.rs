//! Where a pass of the scrub is, and its note on the medium: a line of `START AFTER ROUND BYTES`. In the third round `AFTER` is the
//! number of a part of what is kept beside shards, in the others a shard.

use env::Env;
use types::{ChunkId, LeaseId, ShardId, ShardIndex};

/// A pass: behind `start` to the last name, then from the first name to `start`, then what is kept beside shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the pass began.
    pub(super) start: ShardId,
    pub(super) round: Round,
    /// Bytes verified in this pass.
    pub(super) verified_bytes: u64,
}

/// A part of a pass, and how far that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// To the last name, behind the shard that was verified last or that the pass began behind.
    ToLast(ShardId),
    /// From the first name, or behind the shard that was verified last.
    FromFirst(Option<ShardId>),
    /// What is kept beside shards, from the first part of it or behind the one that was verified last.
    Beside(Option<u32>),
}

impl Cursor {
    /// A pass from a random name. Leases, by which names begin, are random numbers that are not negative.
    pub(super) fn random(env: &Env) -> Self {
        let chunk = ChunkId { lease: LeaseId((env.random_u64() >> 1).cast_signed()), counter: 0 };
        Self::behind(ShardId { chunk, index: ShardIndex(0) })
    }

    /// The pass after this one, which begins where it began.
    pub(super) fn again(&self) -> Self {
        Self::behind(self.start)
    }

    fn behind(start: ShardId) -> Self {
        Self { start, round: Round::ToLast(start), verified_bytes: 0 }
    }

    /// Its note.
    pub(super) fn note(&self) -> String {
        let none = || "-".to_owned();
        let (after, round) = match self.round {
            Round::ToLast(after) => (after.to_string(), 1),
            Round::FromFirst(after) => (after.map_or_else(none, |after| after.to_string()), 2),
            Round::Beside(after) => (after.map_or_else(none, |after| format!("{after:08x}")), 3),
        };
        format!("{} {after} {round} {}\n", self.start, self.verified_bytes)
    }

    /// The pass that a note tells of; none when it is damaged.
    pub(super) fn parse(note: &str) -> Option<Self> {
        let mut words = note.strip_suffix('\n')?.split(' ');
        let start = parse_shard(words.next()?)?;
        let after = Some(words.next()?).filter(|word| *word != "-");
        let round = match (words.next()?, after) {
            ("1", Some(after)) => Round::ToLast(parse_shard(after)?),
            ("2", None) => Round::FromFirst(None),
            ("2", Some(after)) => Round::FromFirst(Some(parse_shard(after)?)),
            ("3", None) => Round::Beside(None),
            ("3", Some(after)) => Round::Beside(Some(u32::from_str_radix(after, 16).ok()?)),
            _ => return None,
        };
        let verified_bytes = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { start, round, verified_bytes })
    }
}

fn parse_shard(word: &str) -> Option<ShardId> {
    let (chunk, index) = word.split_once('.')?;
    Some(ShardId { chunk: chunk.parse().ok()?, index: ShardIndex(index.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use env::Env;

    use super::{Cursor, Round};

    #[test]
    fn each_pass_begins_where_the_one_before_it_began() {
        for _ in 0..100 {
            let pass = Cursor::random(&Env::real());
            assert!(pass.start.chunk.lease.0 >= 0);
            let ended = Cursor { round: Round::Beside(Some(3)), verified_bytes: 7, ..pass };
            assert_eq!(ended.again(), pass);
        }
    }

    #[test]
    fn notes_round_trip_and_nothing_else_is_one() {
        let pass = Cursor { verified_bytes: 7, ..Cursor::random(&Env::real()) };
        for pass in [
            pass,
            Cursor { round: Round::FromFirst(Some(pass.start)), ..pass },
            Cursor { round: Round::FromFirst(None), verified_bytes: u64::MAX, ..pass },
            Cursor { round: Round::Beside(None), ..pass },
            Cursor { round: Round::Beside(Some(u32::MAX)), ..pass },
        ] {
            assert_eq!(Cursor::parse(&pass.note()), Some(pass));
        }
        let note = pass.note();
        for damaged in [
            "",
            "\n",
            "- - 1 0\n",
            note.trim_end(),
            &note.replace(" 1 ", " 3 "),
            &note.replace(" 1 ", " 4 "),
            &format!("{} - 1 7\n", pass.start),
            &format!("{} 123456789 3 7\n", pass.start),
            &format!("{note}\n"),
            &note[2..],
        ] {
            assert_eq!(Cursor::parse(damaged), None, "{damaged:?}");
        }
    }
}
