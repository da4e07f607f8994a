//! Known vectors, and that one pass finds what separate passes find.

use proptest::prelude::*;
use types::ChecksumAlgorithm::{
    self, Crc32, Crc32c, Crc64nvme, Md5, Sha1, Sha256, Sha512, Xxhash3, Xxhash64, Xxhash128,
};
use types::ChecksumValue;

use super::{AlgorithmSet, ObjectDigests, ObjectHasher, Wanted};

fn everything() -> Wanted {
    Wanted { md5: true, payload_sha256: true, checksums: ChecksumAlgorithm::ALL.into_iter().collect() }
}

fn digests(wanted: Wanted, data: &[u8]) -> ObjectDigests {
    let mut hasher = ObjectHasher::new(wanted);
    hasher.update(data);
    hasher.finish()
}

fn checksum_hex(found: &ObjectDigests, algorithm: ChecksumAlgorithm) -> String {
    hex::encode(found.checksum(algorithm).expect("wanted").as_bytes())
}

// RFC 1321 A.5; FIPS 180 examples; "check" values of the catalogue of parametrised CRC algorithms.
#[test]
fn known_vectors() {
    let abc = digests(everything(), b"abc");
    assert_eq!(hex::encode(abc.md5().expect("wanted")), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(abc.etag().expect("wanted").to_string(), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(checksum_hex(&abc, Sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(checksum_hex(&abc, Sha256), sha256);
    assert_eq!(hex::encode(abc.payload_sha256().expect("wanted")), sha256);

    let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                  2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    assert_eq!(checksum_hex(&abc, Sha512), sha512);
    assert_eq!(checksum_hex(&abc, Md5), "900150983cd24fb0d6963f7d28e17f72");
    // As `xxhsum` prints them: `-H1`, `-H3` without its prefix, `-H2`.
    assert_eq!(checksum_hex(&abc, Xxhash64), "44bc2cf5ad770999");
    assert_eq!(checksum_hex(&abc, Xxhash3), "78af5f94892f3950");
    assert_eq!(checksum_hex(&abc, Xxhash128), "06b05ab6733a618578af5f94892f3950");

    let digits = digests(everything(), b"123456789");
    assert_eq!(digits.length(), 9);
    assert_eq!(checksum_hex(&digits, Crc32), "cbf43926");
    assert_eq!(checksum_hex(&digits, Crc32c), "e3069283");
    assert_eq!(checksum_hex(&digits, Crc64nvme), "ae8b14860a799888");

    let empty = digests(everything(), b"");
    assert_eq!(hex::encode(empty.md5().expect("wanted")), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(checksum_hex(&empty, Crc64nvme), "0000000000000000");
}

#[test]
fn only_what_was_wanted_is_reported() {
    let nothing = digests(Wanted::default(), b"abc");
    assert_eq!((nothing.md5(), nothing.etag(), nothing.payload_sha256()), (None, None, None));
    assert_eq!(nothing.checksums().count(), 0);
    assert_eq!(nothing.length(), 3);

    let payload_only = digests(Wanted { payload_sha256: true, ..Wanted::default() }, b"abc");
    assert!(payload_only.payload_sha256().is_some());
    assert_eq!(payload_only.checksum(Sha256), None);

    let md5_only = digests(Wanted { checksums: Md5.into(), ..Wanted::default() }, b"abc");
    assert_eq!((md5_only.md5(), md5_only.etag()), (None, None));
    assert!(md5_only.checksum(Md5).is_some());

    let mut elsewhere =
        ObjectHasher::new(Wanted { checksums: Md5.into(), ..Wanted::default() }).without_md5();
    elsewhere.update(b"abc");
    assert_eq!(elsewhere.clone().finish().checksum(Md5), None);
    let given = elsewhere.finish().with_md5([7; 16]);
    assert_eq!((given.md5(), given.checksum(Md5)), (Some([7; 16]), ChecksumValue::new(Md5, &[7; 16])));

    let checksum_only = digests(Wanted { checksums: Sha256.into(), ..Wanted::default() }, b"abc");
    assert_eq!(checksum_only.payload_sha256(), None);
    assert!(checksum_only.checksum(Sha256).is_some());
}

#[test]
fn two_checksums_come_from_one_pass() {
    let wanted = Wanted { checksums: AlgorithmSet::from(Sha1).with(Crc64nvme), ..Wanted::default() };
    let found: Vec<_> = digests(wanted, b"123456789").checksums().map(|value| value.algorithm()).collect();
    assert_eq!(found, [Crc64nvme, Sha1]);
}

#[test]
fn sets_hold_what_was_put_in() {
    for algorithm in ChecksumAlgorithm::ALL {
        assert!(!AlgorithmSet::EMPTY.contains(algorithm));
        assert_eq!(AlgorithmSet::from(algorithm).iter().collect::<Vec<_>>(), [algorithm]);
    }
}

proptest! {
    // Up to 100,000 bytes, so that the hasher's own blocks are crossed.
    #[test]
    fn borders_between_pieces_do_not_matter(
        data in prop::collection::vec(any::<u8>(), 0..100_000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        cuts.sort_unstable();
        let mut hasher = ObjectHasher::new(everything());
        let mut start = 0;
        for end in cuts.into_iter().chain([data.len()]) {
            hasher.update(&data[start..end]);
            start = end;
        }
        prop_assert_eq!(hasher.finish(), digests(everything(), &data));
    }
}
