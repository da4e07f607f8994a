//! The CRC of two runs put together, from their CRCs and the second one's length.
//!
//! A CRC is a polynomial over GF(2) modulo the generator. Appending n bytes multiplies what stood before by x^(8n),
//! so the CRC of `a` followed by `b` is `crc(a) * x^(8 * len(b)) + crc(b)`; initial value and final xor cancel where
//! they are equal, as in all three CRCs of S3. Polynomials are kept reflected: the top bit is the coefficient of x^0.
//!
//! `crc_fast` can combine too, by squaring 64 x 64 matrices: 170 microseconds each time, which for 10,000 parts
//! would hold a thread for 1.7 seconds. Multiplying polynomials needs 64 steps, and parts of one upload mostly have
//! one length, so the power of x is kept from part to part.

use types::ChecksumAlgorithm;

/// One of the reflected CRCs whose initial value and final xor are all ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generator {
    /// The generator polynomial without its leading term, reflected.
    polynomial: u64,
    /// The coefficient of x^0: the top bit of the CRC's width.
    one: u64,
}

impl Generator {
    /// The generator of an algorithm; `None` for those that are no CRC.
    pub(crate) fn of(algorithm: ChecksumAlgorithm) -> Option<Self> {
        match algorithm {
            ChecksumAlgorithm::Crc32 => Some(Self { polynomial: 0xedb8_8320, one: 1 << 31 }),
            ChecksumAlgorithm::Crc32c => Some(Self { polynomial: 0x82f6_3b78, one: 1 << 31 }),
            ChecksumAlgorithm::Crc64nvme => Some(Self { polynomial: 0x9a6c_9329_ac4b_c9b5, one: 1 << 63 }),
            ChecksumAlgorithm::Sha1
            | ChecksumAlgorithm::Sha256
            | ChecksumAlgorithm::Sha512
            | ChecksumAlgorithm::Md5
            | ChecksumAlgorithm::Xxhash64
            | ChecksumAlgorithm::Xxhash3
            | ChecksumAlgorithm::Xxhash128 => None,
        }
    }

    /// `a * b` modulo the generator.
    fn multiply(self, a: u64, b: u64) -> u64 {
        let (mut product, mut shifted, mut coefficient) = (0, b, self.one);
        while coefficient != 0 {
            if a & coefficient != 0 {
                product ^= shifted;
            }
            shifted = self.times_x(shifted);
            coefficient >>= 1;
        }
        product
    }

    /// `a * x` modulo the generator.
    fn times_x(self, a: u64) -> u64 {
        if a & 1 == 1 { a >> 1 ^ self.polynomial } else { a >> 1 }
    }

    /// `x^(8 * length)` modulo the generator, by repeated squaring.
    fn power_for_bytes(self, mut length: u64) -> u64 {
        let mut square = self.one;
        for _ in 0..8 {
            square = self.times_x(square);
        }
        let mut power = self.one;
        while length != 0 {
            if length & 1 == 1 {
                power = self.multiply(power, square);
            }
            square = self.multiply(square, square);
            length >>= 1;
        }
        power
    }
}

/// The CRC of a growing run to which whole pieces are appended.
#[derive(Debug, Clone)]
pub(crate) struct Combiner {
    generator: Generator,
    crc: u64,
    last_length: u64,
    last_power: u64,
}

impl Combiner {
    /// The empty run.
    pub(crate) fn new(generator: Generator) -> Self {
        Self { generator, crc: 0, last_length: 0, last_power: generator.one }
    }

    /// Appends a piece of `length` bytes whose CRC is `crc`.
    pub(crate) fn append(&mut self, crc: u64, length: u64) {
        if length != self.last_length {
            self.last_length = length;
            self.last_power = self.generator.power_for_bytes(length);
        }
        self.crc = self.generator.multiply(self.crc, self.last_power) ^ crc;
    }

    /// The CRC of the whole run.
    pub(crate) fn value(&self) -> u64 {
        self.crc
    }
}

#[cfg(test)]
mod tests {
    use crc_fast::CrcAlgorithm;
    use proptest::prelude::*;
    use types::ChecksumAlgorithm;

    use super::{Combiner, Generator};

    const CRCS: [(ChecksumAlgorithm, CrcAlgorithm); 3] = [
        (ChecksumAlgorithm::Crc32, CrcAlgorithm::Crc32IsoHdlc),
        (ChecksumAlgorithm::Crc32c, CrcAlgorithm::Crc32Iscsi),
        (ChecksumAlgorithm::Crc64nvme, CrcAlgorithm::Crc64Nvme),
    ];

    proptest! {
        // Lengths here reach far past what a test can hash: the largest part is 5 GiB.
        #[test]
        fn any_length_combines_as_the_matrix_method_does(
            first in any::<u64>(), second in any::<u64>(), length in 0..=u64::MAX / 16,
        ) {
            for (ours, theirs) in CRCS {
                let mask = u64::MAX >> (64 - 8 * ours.length());
                let (first, second) = (first & mask, second & mask);
                let mut combiner = Combiner::new(Generator::of(ours).expect("a CRC"));
                combiner.append(first, 1);
                combiner.append(second, length);
                prop_assert_eq!(combiner.value(), crc_fast::checksum_combine(theirs, first, second, length));
            }
        }
    }
}
