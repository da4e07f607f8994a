//! One pass over an object's bytes for everything that must be known about them.

use std::{fmt, hash::Hasher as _};

use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};
use types::{ChecksumAlgorithm, ChecksumValue, ETag};

use crate::crc::low_half;

/// Bytes hashed by every algorithm in turn before the next ones are touched, so that they are read from memory once.
const BLOCK: usize = 32 * 1024;

/// A set of checksum algorithms.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// No algorithm.
    pub const EMPTY: Self = Self(0);

    /// This set and `algorithm`.
    #[must_use]
    pub fn with(self, algorithm: ChecksumAlgorithm) -> Self {
        Self(self.0 | 1 << algorithm as u8)
    }

    /// Whether `algorithm` is in it.
    pub fn contains(self, algorithm: ChecksumAlgorithm) -> bool {
        self.0 & 1 << algorithm as u8 != 0
    }

    /// The algorithms in it, in the order of [`ChecksumAlgorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = ChecksumAlgorithm> {
        ChecksumAlgorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }
}

impl FromIterator<ChecksumAlgorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = ChecksumAlgorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl From<ChecksumAlgorithm> for AlgorithmSet {
    fn from(algorithm: ChecksumAlgorithm) -> Self {
        Self::EMPTY.with(algorithm)
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What to compute in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The MD5, for the ETag and for `Content-MD5`.
    pub md5: bool,
    /// The SHA-256 that `x-amz-content-sha256` announces. Computed once if it is among `checksums` too.
    pub payload_sha256: bool,
    /// S3 checksums: the client's, ours, or both.
    pub checksums: AlgorithmSet,
}

/// Hashes bytes that arrive piece by piece; the pieces' borders do not matter.
///
/// About 1.6 s of processor time per GB for the MD5 alone; the rest is small beside it. Bodies of uploads have theirs hashed side by side
/// with others' instead (`multi-md5`).
#[derive(Clone)]
pub struct ObjectHasher {
    wanted: Wanted,
    length: u64,
    md5: Option<Md5>,
    sha256: Option<Sha256>,
    sha1: Option<Sha1>,
    crc32: Option<Crc>,
    crc32c: Option<Crc>,
    crc64nvme: Option<Crc>,
    sha512: Option<Sha512>,
    xxhash64: Option<XxHash64>,
    // Half a kilobyte each.
    xxhash3: Option<Box<XxHash3_64>>,
    xxhash128: Option<Box<XxHash3_128>>,
}

impl ObjectHasher {
    /// Nothing seen yet.
    pub fn new(wanted: Wanted) -> Self {
        let set = wanted.checksums;
        let crc = |ours, theirs| set.contains(ours).then(|| Crc::new(theirs));
        Self {
            wanted,
            length: 0,
            md5: (wanted.md5 || set.contains(ChecksumAlgorithm::Md5)).then(Md5::new),
            sha256: (wanted.payload_sha256 || set.contains(ChecksumAlgorithm::Sha256)).then(Sha256::new),
            sha1: set.contains(ChecksumAlgorithm::Sha1).then(Sha1::new),
            crc32: crc(ChecksumAlgorithm::Crc32, CrcAlgorithm::Crc32IsoHdlc),
            crc32c: crc(ChecksumAlgorithm::Crc32c, CrcAlgorithm::Crc32Iscsi),
            crc64nvme: crc(ChecksumAlgorithm::Crc64nvme, CrcAlgorithm::Crc64Nvme),
            sha512: set.contains(ChecksumAlgorithm::Sha512).then(Sha512::new),
            xxhash64: set.contains(ChecksumAlgorithm::Xxhash64).then(|| XxHash64::with_seed(0)),
            xxhash3: set.contains(ChecksumAlgorithm::Xxhash3).then(|| Box::new(XxHash3_64::new())),
            xxhash128: set.contains(ChecksumAlgorithm::Xxhash128).then(|| Box::new(XxHash3_128::new())),
        }
    }

    /// Leaves the MD5 out, also where it is a checksum: it is hashed elsewhere, for [`ObjectDigests::with_md5`].
    #[must_use]
    pub fn without_md5(self) -> Self {
        Self { md5: None, ..self }
    }

    /// Takes in more bytes.
    pub fn update(&mut self, data: &[u8]) {
        data.chunks(BLOCK).for_each(|block| self.update_block(block));
    }

    fn update_block(&mut self, block: &[u8]) {
        self.length += block.len() as u64;
        for crc in [&mut self.crc32, &mut self.crc32c, &mut self.crc64nvme].into_iter().flatten() {
            crc.update(block);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(block);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(block);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(block);
        }
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(block);
        }
        if let Some(xxhash64) = &mut self.xxhash64 {
            xxhash64.write(block);
        }
        if let Some(xxhash3) = &mut self.xxhash3 {
            xxhash3.write(block);
        }
        if let Some(xxhash128) = &mut self.xxhash128 {
            xxhash128.write(block);
        }
    }

    /// The digests of all bytes taken in.
    pub fn finish(self) -> ObjectDigests {
        let crc32_bytes = |crc: Crc| low_half(crc.finalize()).to_be_bytes();
        ObjectDigests {
            wanted: self.wanted,
            length: self.length,
            md5: self.md5.map(|hash| hash.finalize().into()),
            sha256: self.sha256.map(|hash| hash.finalize().into()),
            sha1: self.sha1.map(|hash| hash.finalize().into()),
            crc32: self.crc32.map(crc32_bytes),
            crc32c: self.crc32c.map(crc32_bytes),
            crc64nvme: self.crc64nvme.map(|crc| crc.finalize().to_be_bytes()),
            sha512: self.sha512.map(|hash| hash.finalize().into()),
            xxhash64: self.xxhash64.map(|hash| hash.finish().to_be_bytes()),
            xxhash3: self.xxhash3.map(|hash| hash.finish().to_be_bytes()),
            xxhash128: self.xxhash128.map(|hash| hash.finish_128().to_be_bytes()),
        }
    }
}

impl fmt::Debug for ObjectHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectHasher").field("wanted", &self.wanted).field("length", &self.length).finish()
    }
}

/// What one pass found; holds exactly what was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectDigests {
    wanted: Wanted,
    length: u64,
    md5: Option<[u8; 16]>,
    sha256: Option<[u8; 32]>,
    sha1: Option<[u8; 20]>,
    crc32: Option<[u8; 4]>,
    crc32c: Option<[u8; 4]>,
    crc64nvme: Option<[u8; 8]>,
    sha512: Option<[u8; 64]>,
    xxhash64: Option<[u8; 8]>,
    xxhash3: Option<[u8; 8]>,
    xxhash128: Option<[u8; 16]>,
}

impl ObjectDigests {
    /// Number of bytes hashed.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The same digests and the MD5 of the same bytes, which was computed elsewhere; as a checksum too where that was wanted.
    #[must_use]
    pub fn with_md5(self, md5: [u8; 16]) -> Self {
        Self { wanted: Wanted { md5: true, ..self.wanted }, md5: Some(md5), ..self }
    }

    /// The MD5, if it was wanted as such.
    pub fn md5(&self) -> Option<[u8; 16]> {
        self.md5.filter(|_| self.wanted.md5)
    }

    /// The ETag of an object or part made of these bytes, if the MD5 was wanted.
    pub fn etag(&self) -> Option<ETag> {
        self.md5().map(|digest| ETag { digest, parts: None })
    }

    /// The SHA-256 for `x-amz-content-sha256`, if it was wanted as such.
    pub fn payload_sha256(&self) -> Option<[u8; 32]> {
        self.sha256.filter(|_| self.wanted.payload_sha256)
    }

    /// The checksum by `algorithm`, if it was wanted.
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<ChecksumValue> {
        if !self.wanted.checksums.contains(algorithm) {
            return None;
        }
        let bytes: &[u8] = match algorithm {
            ChecksumAlgorithm::Crc32 => self.crc32.as_ref()?,
            ChecksumAlgorithm::Crc32c => self.crc32c.as_ref()?,
            ChecksumAlgorithm::Crc64nvme => self.crc64nvme.as_ref()?,
            ChecksumAlgorithm::Sha1 => self.sha1.as_ref()?,
            ChecksumAlgorithm::Sha256 => self.sha256.as_ref()?,
            ChecksumAlgorithm::Sha512 => self.sha512.as_ref()?,
            ChecksumAlgorithm::Md5 => self.md5.as_ref()?,
            ChecksumAlgorithm::Xxhash64 => self.xxhash64.as_ref()?,
            ChecksumAlgorithm::Xxhash3 => self.xxhash3.as_ref()?,
            ChecksumAlgorithm::Xxhash128 => self.xxhash128.as_ref()?,
        };
        ChecksumValue::new(algorithm, bytes)
    }

    /// Every checksum that was wanted.
    pub fn checksums(&self) -> impl Iterator<Item = ChecksumValue> {
        self.wanted.checksums.iter().filter_map(|algorithm| self.checksum(algorithm))
    }
}

#[cfg(test)]
mod tests;
