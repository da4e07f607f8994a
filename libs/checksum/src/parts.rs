//! A multipart object's ETag and checksum, from those of its parts.

use sha2::Digest;
use types::{ChecksumAlgorithm, ChecksumValue, ETag, PART_NUMBER_MAX};

use crate::{
    combine::{Combiner, Generator},
    hasher::{ObjectHasher, Wanted},
};

/// The parts cannot be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {
    /// No part at all, or more than S3 allows.
    #[error("{0} parts are not between 1 and {PART_NUMBER_MAX}")]
    Count(usize),
    /// A part's checksum is by another algorithm than the object's.
    #[error("a part's checksum is {} and the object's is {}", .part.name(), .object.name())]
    Algorithm {
        /// The part's.
        part: ChecksumAlgorithm,
        /// The object's.
        object: ChecksumAlgorithm,
    },
    /// Only CRCs of parts give the checksum of the whole; all others are composite or nothing.
    #[error("{} of a whole object cannot be made from its parts", .0.name())]
    NotCombinable(ChecksumAlgorithm),
}

/// The composite checksum: `algorithm` over the raw values of the parts, in part order.
///
/// Source: S3 User Guide, "Checking object integrity", composite checksums. Shown with `-N` behind it, see
/// [`crate::format_composite`].
pub fn composite(algorithm: ChecksumAlgorithm, parts: &[ChecksumValue]) -> Result<ChecksumValue, PartsError> {
    check_count(parts.len())?;
    let mut hasher = ObjectHasher::new(Wanted { checksums: algorithm.into(), ..Wanted::default() });
    for part in parts {
        check_algorithm(algorithm, part)?;
        hasher.update(part.as_bytes());
    }
    Ok(hasher.finish().checksum(algorithm).expect("the one algorithm that was wanted"))
}

/// The checksum of the whole object from its parts' checksums and lengths in bytes, in part order; CRCs only.
pub fn full_object(
    algorithm: ChecksumAlgorithm,
    parts: &[(ChecksumValue, u64)],
) -> Result<ChecksumValue, PartsError> {
    check_count(parts.len())?;
    let generator = Generator::of(algorithm).ok_or(PartsError::NotCombinable(algorithm))?;
    let mut combiner = Combiner::new(generator);
    for (part, length) in parts {
        check_algorithm(algorithm, part)?;
        let crc = part.as_bytes().iter().fold(0, |crc, byte| crc << 8 | u64::from(*byte));
        combiner.append(crc, *length);
    }
    let bytes = combiner.value().to_be_bytes();
    let value = ChecksumValue::new(algorithm, &bytes[bytes.len() - algorithm.length()..]);
    Ok(value.expect("cut to the algorithm's length"))
}

/// The ETag of a multipart object: the MD5 of its parts' MD5s in part order, and their number.
pub fn multipart_etag(parts: &[[u8; 16]]) -> Result<ETag, PartsError> {
    let count = check_count(parts.len())?;
    let digest = md5::Md5::digest(parts.as_flattened());
    Ok(ETag { digest: digest.into(), parts: Some(count) })
}

fn check_count(count: usize) -> Result<u16, PartsError> {
    match u16::try_from(count) {
        Ok(number) if (1..=PART_NUMBER_MAX).contains(&number) => Ok(number),
        _ => Err(PartsError::Count(count)),
    }
}

fn check_algorithm(object: ChecksumAlgorithm, part: &ChecksumValue) -> Result<(), PartsError> {
    let part = part.algorithm();
    if part == object { Ok(()) } else { Err(PartsError::Algorithm { part, object }) }
}

#[cfg(test)]
mod tests;
