//! S3 checksums and ETags, over streams and over parts.
//!
//! Owns the arithmetic: hashing an object's bytes in one pass, making a multipart object's ETag and checksum from
//! those of its parts, the text forms of checksums in headers, and the CRCs that guard stored cells and records.
//! It knows no request, no file and no clock; what a mismatch means is the caller's to say.

mod combine;
mod crc;
mod hasher;
mod parts;
mod text;

pub use crc::{Crc64, cell_crc32c, crc32c, crc64};
pub use hasher::{AlgorithmSet, ObjectDigests, ObjectHasher, Wanted};
pub use parts::{PartsError, composite, full_object, multipart_etag};
pub use text::{
    ChecksumText, InvalidChecksumError, InvalidContentMd5Error, format_checksum, format_composite,
    format_content_md5, parse_checksum, parse_content_md5,
};
