//! Encodes a stripe of cells into parity cells and rebuilds cells that are missing.
//!
//! The code is a systematic Reed–Solomon code over GF(2^8) (Plank, "A tutorial on Reed–Solomon coding for
//! fault-tolerance in RAID-like systems", 1997, with the 2005 correction): any k of a stripe's k + m cells determine
//! all others, and data cells are the object's own bytes. The matrix is part of the format on disk and never changes.
//! Cells of a stripe may have uneven lengths ([`types::Coding::cell_length`]): a short cell counts as padded with zeros,
//! which costs nothing because zeros add nothing to a parity.
//!
//! This crate knows no shard, no disk and no checksum; it cannot tell a wrong cell from a right one.

mod codec;
mod codecs;
mod error;
mod field;
mod kernel;
mod matrix;

pub use codec::Codec;
pub use codecs::Codecs;
pub use error::Error;
pub use kernel::Kernel;
