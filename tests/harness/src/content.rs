//! Object bytes for tests, and their digests.

use base64::{Engine, engine::general_purpose::STANDARD};
use checksum::{AlgorithmSet, ObjectHasher, Wanted, format_checksum};
use md5::{Digest, Md5};
use sha2::Sha256;
use types::ChecksumAlgorithm;

/// `length` bytes without a period that a coding, a cell or a chunk could hide behind; the same for the same `seed`.
pub fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 8);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    while out.len() < length {
        // The finaliser of SplitMix64, by Sebastiano Vigna.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(word ^ word >> 31).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// The MD5 of some bytes as an entity tag shows it, without quotes.
pub fn md5_hex(data: &[u8]) -> String {
    hex::encode(Md5::digest(data))
}

/// The MD5 of some bytes as `Content-MD5` has it.
pub fn md5_base64(data: &[u8]) -> String {
    STANDARD.encode(Md5::digest(data))
}

/// The SHA-256 of some bytes as `x-amz-content-sha256` has it.
pub fn sha256_hex(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

/// The checksum of some bytes as `x-amz-checksum-...` has it.
pub fn checksum_of(algorithm: ChecksumAlgorithm, data: &[u8]) -> String {
    let mut hasher =
        ObjectHasher::new(Wanted { checksums: AlgorithmSet::from(algorithm), ..Wanted::default() });
    hasher.update(data);
    let value = hasher.finish().checksum(algorithm).expect("it was wanted");
    format_checksum(&value)
}

/// The bytes of a checksum as `x-amz-checksum-...` has it.
pub fn base64_bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}
