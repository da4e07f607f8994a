//! Voids: room in a segment that holds nothing and never will, so that a start need not wonder what was there.

use checksum::crc32c;

use super::{CRC_LENGTH, FORMAT_VERSION, HEADER_LENGTH, RECORD_ALIGNMENT, Salt, field};

const VOID_MAGIC: [u8; 4] = *b"ASHV";

/// The header of a void of `length` bytes at `position`.
pub(in super::super) fn encode_void(salt: Salt, position: u64, length: u64) -> [u8; HEADER_LENGTH] {
    let mut out = [0; HEADER_LENGTH];
    out[..4].copy_from_slice(&VOID_MAGIC);
    out[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    out[8..16].copy_from_slice(&salt.0.to_le_bytes());
    out[16..24].copy_from_slice(&position.to_le_bytes());
    out[24..32].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c(&out[..HEADER_LENGTH - CRC_LENGTH]);
    out[HEADER_LENGTH - CRC_LENGTH..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The length of the void that begins here, when one does.
pub(in super::super) fn decode_void(bytes: &[u8; HEADER_LENGTH], salt: Salt, position: u64) -> Option<u64> {
    let length = u64::from_le_bytes(field(bytes, 24));
    let in_bounds = length > 0 && length % RECORD_ALIGNMENT == 0 && position.checked_add(length).is_some();
    (in_bounds && *bytes == encode_void(salt, position, length)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::{Salt, decode_void, encode_void};

    #[test]
    fn a_void_is_bound_to_its_place_and_every_byte_counts() {
        let bytes = encode_void(Salt(5), 8192, 4096);
        assert_eq!(decode_void(&bytes, Salt(5), 8192), Some(4096));
        assert_eq!(decode_void(&bytes, Salt(6), 8192), None);
        assert_eq!(decode_void(&bytes, Salt(5), 4096), None);
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert_eq!(decode_void(&changed, Salt(5), 8192), None, "byte {at}");
        }
    }
}
