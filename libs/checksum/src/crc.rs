//! The CRCs that guard what is stored: CRC-32C for cells, CRC-64/NVME for longer runs.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of a run of bytes.
pub fn crc32c(data: &[u8]) -> u32 {
    low_half(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, data))
}

/// CRC-32C over `seed_bytes` and then `data`, as if they were one run.
///
/// The seed is what the cell must be (chunk, shard, position), so that an intact cell in the wrong place fails its
/// check just as a damaged one does.
pub fn cell_crc32c(seed_bytes: &[u8], data: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(seed_bytes);
    digest.update(data);
    low_half(digest.finalize())
}

/// CRC-64/NVME (NVM Express NVM Command Set Specification 1.0, section 5.2.1.3.4) of a run of bytes.
pub fn crc64(data: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, data)
}

/// CRC-64/NVME over bytes that arrive piece by piece; the pieces' borders do not matter.
#[derive(Debug, Clone)]
pub struct Crc64(Digest);

impl Crc64 {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    /// Takes in more bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The CRC of all bytes so far; more may follow.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

/// A 32-bit CRC as `crc_fast` returns it: in the low half of 64 bits.
pub(crate) fn low_half(crc: u64) -> u32 {
    u32::try_from(crc & u64::from(u32::MAX)).expect("masked to 32 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Crc64, cell_crc32c, crc32c, crc64};

    /// Bit by bit, from the definition alone: reflected, initial value and final xor all ones.
    fn bitwise(polynomial: u64, width: u32, data: &[u8]) -> u64 {
        let mask = u64::MAX >> (64 - width);
        let mut crc = mask;
        for byte in data {
            crc ^= u64::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 };
            }
        }
        crc ^ mask
    }

    // "check" values of the catalogue of parametrised CRC algorithms (reveng).
    #[test]
    fn known_vectors() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc64(b"123456789"), 0xae8b_1486_0a79_9888);
        assert_eq!(crc64(b""), 0);
    }

    proptest! {
        #[test]
        fn crcs_agree_with_the_definition(data in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(u64::from(crc32c(&data)), bitwise(0x82f6_3b78, 32, &data));
            prop_assert_eq!(crc64(&data), bitwise(0x9a6c_9329_ac4b_c9b5, 64, &data));
        }

        #[test]
        fn borders_between_pieces_do_not_matter(
            data in prop::collection::vec(any::<u8>(), 0..2000), at in any::<prop::sample::Index>(),
        ) {
            let (head, tail) = data.split_at(at.index(data.len() + 1));
            let mut running = Crc64::new();
            running.update(head);
            running.update(tail);
            prop_assert_eq!(running.value(), crc64(&data));
            prop_assert_eq!(cell_crc32c(head, tail), crc32c(&data));
        }

        #[test]
        fn a_cell_under_another_seed_fails_its_check(
            data in prop::collection::vec(any::<u8>(), 0..300), seed in any::<u64>(), bit in 0..64u32,
        ) {
            let other = seed ^ (1 << bit);
            prop_assert_ne!(
                cell_crc32c(&seed.to_le_bytes(), &data),
                cell_crc32c(&other.to_le_bytes(), &data)
            );
        }
    }
}
