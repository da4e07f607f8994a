//! Parts give what the bytes put together give.

use proptest::prelude::*;
use sha1::Sha1;
use sha2::Digest;
use types::{ChecksumAlgorithm, ChecksumValue, PART_NUMBER_MAX};

use super::{PartsError, composite, full_object, multipart_etag};
use crate::{ObjectHasher, Wanted};

const CRCS: [ChecksumAlgorithm; 3] =
    [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64nvme];

fn checksum(algorithm: ChecksumAlgorithm, data: &[u8]) -> ChecksumValue {
    let mut hasher = ObjectHasher::new(Wanted { checksums: algorithm.into(), ..Wanted::default() });
    hasher.update(data);
    hasher.finish().checksum(algorithm).expect("wanted")
}

proptest! {
    #[test]
    fn parts_combine_to_the_crc_of_the_whole(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..12),
    ) {
        for algorithm in CRCS {
            let of_parts: Vec<_> =
                parts.iter().map(|part| (checksum(algorithm, part), part.len() as u64)).collect();
            prop_assert_eq!(full_object(algorithm, &of_parts), Ok(checksum(algorithm, &parts.concat())));
        }
    }

    #[test]
    fn composites_hash_the_parts_raw_values(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..12),
    ) {
        for algorithm in ChecksumAlgorithm::ALL {
            let of_parts: Vec<_> = parts.iter().map(|part| checksum(algorithm, part)).collect();
            let raw: Vec<u8> = of_parts.iter().flat_map(|value| value.as_bytes().to_vec()).collect();
            prop_assert_eq!(composite(algorithm, &of_parts), Ok(checksum(algorithm, &raw)));
        }
    }
}

// Real uploads: two 8 MiB parts of zero bytes and one 5-byte part; reference values from Python's hashlib and zlib.
#[test]
fn known_vectors() {
    let megabytes = vec![0; 8 << 20];
    let parts: [&[u8]; 3] = [&megabytes, &megabytes, b"hello"];
    let md5s: Vec<[u8; 16]> = parts.iter().map(|part| md5::Md5::digest(part).into()).collect();
    assert_eq!(multipart_etag(&md5s).expect("three parts").to_string(), "ad26adf0e68c59e45575bae88009d841-3");

    let crc32 = ChecksumAlgorithm::Crc32;
    let crcs: Vec<_> = parts.iter().map(|part| (checksum(crc32, part), part.len() as u64)).collect();
    let whole = full_object(crc32, &crcs).expect("three parts");
    assert_eq!(hex::encode(whole.as_bytes()), "460470d7");

    let sha1s: Vec<_> = parts.iter().map(|part| checksum(ChecksumAlgorithm::Sha1, part)).collect();
    let value = composite(ChecksumAlgorithm::Sha1, &sha1s).expect("three parts");
    assert_eq!(hex::encode(value.as_bytes()), "5e02509b8c1eafff724742acb0fa24d7dbf3376f");
    assert_ne!(value.as_bytes(), Sha1::digest(parts.concat()).as_slice());
}

#[test]
fn ten_thousand_parts_are_the_most() {
    let most = usize::from(PART_NUMBER_MAX);
    assert_eq!(multipart_etag(&vec![[0; 16]; most]).expect("allowed").parts, Some(PART_NUMBER_MAX));
    let value = checksum(ChecksumAlgorithm::Crc32, b"x");
    for count in [0, most + 1, 1 << 16, (1 << 16) + 1] {
        assert_eq!(multipart_etag(&vec![[0; 16]; count]), Err(PartsError::Count(count)));
        assert_eq!(composite(value.algorithm(), &vec![value; count]), Err(PartsError::Count(count)));
        assert_eq!(full_object(value.algorithm(), &vec![(value, 1); count]), Err(PartsError::Count(count)));
    }
}

#[test]
fn what_cannot_be_combined_is_refused() {
    for algorithm in [ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256] {
        let part = (checksum(algorithm, b"x"), 1);
        assert_eq!(full_object(algorithm, &[part]), Err(PartsError::NotCombinable(algorithm)));
    }
    let (part, object) = (ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc32);
    let value = checksum(part, b"x");
    assert_eq!(full_object(object, &[(value, 1)]), Err(PartsError::Algorithm { part, object }));
    assert_eq!(composite(object, &[value]), Err(PartsError::Algorithm { part, object }));
}
