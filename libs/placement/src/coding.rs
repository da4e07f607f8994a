//! The coding of a storage class whose operator names none.

use std::collections::BTreeSet;

use types::Coding;

use crate::DiskInfo;

/// How many things fail apart from each other: the hosts, or the disks when there is but one host.
pub fn failure_units(disks: &[DiskInfo]) -> usize {
    let hosts: BTreeSet<&str> = disks.iter().map(|disk| disk.domain.ancestor(4)).collect();
    if hosts.len() > 1 { hosts.len() } else { disks.len() }
}

/// The coding for a number of units that fail apart ([`failure_units`]).
///
/// What is asked of it, in this order, as far as the number allows: no loss of one unit loses data (two and more);
/// with one unit down writes still reach their quorum, `k + ⌈m/2⌉` (three and more); two lost units lose nothing
/// (three and more); overhead at most two (four and more); eight nines a year and more at a repair time of a day
/// (eight and more, three parities and more); overhead 1.5 with tolerance of four lost (twelve and more).
///
/// | units | coding | overhead | may be lost | may be down for writes |
/// |---|---|---|---|---|
/// | 1 | 1+0 | 1 | 0 | 0 |
/// | 2 | 1+1 | 2 | 1 | 0 |
/// | 3 | 1+2 | 3 | 2 | 1 |
/// | 4 | 2+2 | 2 | 2 | 1 |
/// | 5 | 3+2 | 1.67 | 2 | 1 |
/// | 6 | 4+2 | 1.5 | 2 | 1 |
/// | 7 | 4+3 | 1.75 | 3 | 1 |
/// | 8 | 5+3 | 1.6 | 3 | 1 |
/// | 9 to 11 | 6+3 | 1.5 | 3 | 1 and more |
/// | 12 and more | 8+4 | 1.5 | 4 | 2 and more |
///
/// Three units have three copies, not 2+1: with 2+1 the quorum is all three, so one unit down would stop every write.
/// Seven use all units for a third parity rather than keep one as a spare to rebuild to: the third parity holds from
/// the first moment, a spare only after the repair. Zero units have no coding and are answered as one.
pub fn default_coding(units: usize) -> Coding {
    let (data, parity) = match units {
        0 | 1 => (1, 0),
        2 => (1, 1),
        3 => (1, 2),
        4 => (2, 2),
        5 => (3, 2),
        6 => (4, 2),
        7 => (4, 3),
        8 => (5, 3),
        9..=11 => (6, 3),
        _ => (8, 4),
    };
    Coding::new(data, parity).expect("every line of the table is a coding")
}

/// Most data shards of REDUCED_REDUNDANCY: one parity shard is to guard no more.
const REDUCED_DATA_MAX: u8 = 4;

/// The coding of REDUCED_REDUNDANCY beside STANDARD of `standard`: one parity shard, or none where STANDARD has none.
///
/// Its write quorum is all shards, so with one unit down writes need groups that are elsewhere. Those there are, because
/// `standard` has more shards wherever it has more than one parity shard.
pub fn reduced_coding(standard: Coding) -> Coding {
    let data = u8::try_from(standard.data()).unwrap_or(u8::MAX).min(REDUCED_DATA_MAX);
    let parity = u8::from(standard.parity() > 0);
    Coding::new(data, parity).unwrap_or(standard)
}

#[cfg(test)]
mod tests {
    use super::{default_coding, reduced_coding};

    #[test]
    fn reduced_redundancy_has_one_parity_shard_where_standard_has_one() {
        let reduced: Vec<String> =
            (1..=12).map(|units| reduced_coding(default_coding(units)).to_string()).collect();
        let expected = ["1+0", "1+1", "1+1", "2+1", "3+1", "4+1", "4+1", "4+1", "4+1", "4+1", "4+1", "4+1"];
        assert_eq!(reduced, expected);
    }

    #[test]
    fn the_default_fits_and_takes_writes_with_one_unit_down() {
        for units in 1..=40 {
            let coding = default_coding(units);
            assert!(coding.total() <= units, "{units}");
            assert!(units < 2 || coding.parity() >= 1, "{units}");
            assert!(units < 3 || (coding.parity() >= 2 && coding.write_quorum() < coding.total()), "{units}");
            assert!(units < 4 || coding.total() <= 2 * coding.data(), "{units}");
        }
    }
}
