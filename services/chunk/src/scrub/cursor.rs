//! Where a pass of the scrub is, and its note on the medium: a line of `START AFTER ROUND BYTES`.

use env::Env;
use types::{ChunkId, LeaseId, ShardId, ShardIndex};

/// A pass: behind `start` to the last name, then from the first name to `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the pass began.
    pub(super) start: ShardId,
    /// The last shard that was verified, or the one that the pass began behind. None before the first name.
    pub(super) after: Option<ShardId>,
    /// Whether the pass has come to the last name and gone on from the first.
    pub(super) wrapped: bool,
    /// Bytes verified in this pass.
    pub(super) verified_bytes: u64,
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
        Self { start, after: Some(start), wrapped: false, verified_bytes: 0 }
    }

    /// The last shard of the round.
    pub(super) fn until(&self) -> Option<ShardId> {
        self.wrapped.then_some(self.start)
    }

    /// Its note.
    pub(super) fn note(&self) -> String {
        let after = self.after.map_or("-".to_owned(), |after| after.to_string());
        let round = if self.wrapped { 2 } else { 1 };
        format!("{} {after} {round} {}\n", self.start, self.verified_bytes)
    }

    /// The pass that a note tells of; none when it is damaged.
    pub(super) fn parse(note: &str) -> Option<Self> {
        let mut words = note.strip_suffix('\n')?.split(' ');
        let start = parse_shard(words.next()?)?;
        let after = match words.next()? {
            "-" => None,
            word => Some(parse_shard(word)?),
        };
        let wrapped = match words.next()? {
            "1" => false,
            "2" => true,
            _ => return None,
        };
        let verified_bytes = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { start, after, wrapped, verified_bytes })
    }
}

fn parse_shard(word: &str) -> Option<ShardId> {
    let (chunk, index) = word.split_once('.')?;
    Some(ShardId { chunk: chunk.parse().ok()?, index: ShardIndex(index.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use env::Env;

    use super::Cursor;

    #[test]
    fn each_pass_begins_where_the_one_before_it_began() {
        for _ in 0..100 {
            let pass = Cursor::random(&Env::real());
            assert!(pass.start.chunk.lease.0 >= 0);
            let ended = Cursor { after: None, wrapped: true, verified_bytes: 7, ..pass };
            assert_eq!(ended.again(), pass);
        }
    }

    #[test]
    fn notes_round_trip_and_nothing_else_is_one() {
        let pass = Cursor { verified_bytes: 7, ..Cursor::random(&Env::real()) };
        for pass in [
            pass,
            Cursor { wrapped: true, ..pass },
            Cursor { wrapped: true, after: None, verified_bytes: u64::MAX, ..pass },
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
            &format!("{note}\n"),
            &note[2..],
        ] {
            assert_eq!(Cursor::parse(damaged), None, "{damaged:?}");
        }
    }
}
