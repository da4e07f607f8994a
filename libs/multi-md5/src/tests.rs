use bytes::Bytes;
use md5::{Digest, Md5};
use proptest::prelude::*;

use crate::{
    Backend, digests,
    job::{Job, padding, run},
};

pub(crate) fn expected(message: &[u8]) -> [u8; 16] {
    Md5::digest(message).into()
}

/// Random bytes. Source: S. Vigna, "splitmix64.c", 2015.
pub(crate) fn message(seed: usize, length: usize) -> Bytes {
    let mut state = seed as u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// Source: RFC 1321, appendix A.5.
#[test]
fn the_test_suite_of_the_rfc_holds_for_every_backend() {
    let vectors = [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "d174ab98d277d9f5a5611c2c9f419d9f",
        ),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        ),
    ];
    let messages = vectors.map(|(text, _)| Bytes::from_static(text.as_bytes()));
    for backend in Backend::available() {
        let found = digests(backend, &messages).iter().map(hex::encode).collect::<Vec<_>>();
        assert_eq!(found, vectors.map(|(_, digest)| digest), "{}", backend.name());
        for (message, (_, digest)) in messages.iter().zip(vectors) {
            let alone = digests(backend, std::slice::from_ref(message));
            assert_eq!(hex::encode(alone[0]), digest, "{} alone", backend.name());
        }
    }
}

/// Every width of vectors is met, with every number of lanes empty.
#[test]
fn any_number_of_streams_is_hashed_by_every_backend() {
    for backend in Backend::available() {
        for streams in 0..40 {
            let messages: Vec<Bytes> =
                (0..streams).map(|seed| message(seed, 300 + 64 * (seed % 5) + seed)).collect();
            let wanted: Vec<[u8; 16]> = messages.iter().map(|message| expected(message)).collect();
            assert_eq!(digests(backend, &messages), wanted, "{} streams by {}", streams, backend.name());
        }
    }
}

/// Around the borders of blocks, where padding takes one block more.
#[test]
fn every_length_up_to_five_blocks_is_padded_rightly() {
    let messages: Vec<Bytes> = (0..320).map(|length| message(length, length)).collect();
    let wanted: Vec<[u8; 16]> = messages.iter().map(|message| expected(message)).collect();
    for backend in Backend::available() {
        assert_eq!(digests(backend, &messages), wanted, "{}", backend.name());
    }
}

#[test]
fn this_processor_has_what_it_was_built_for() {
    let available = Backend::available();
    assert_eq!(available[0], Backend::SCALAR);
    assert_eq!(available.last(), Some(&Backend::detect()));
    // Backends that it lacks are tested nowhere here.
    println!("tested: {}", available.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", "));
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        assert!(Backend::detect().lanes() >= 4, "{}", Backend::detect().name());
    }
}

/// Up to the border where the length in bits is more than 64 bits hold.
#[test]
fn padding_fills_the_block_and_tells_the_length_in_bits() {
    let near = |length: u64| (0..130).map(move |less| length.wrapping_sub(less));
    for length in [130, 1 << 29, 1 << 32, 5 << 40, 1 << 61, u64::MAX].into_iter().flat_map(near) {
        let padding = padding(length);
        assert_eq!((length % 64 + padding.len() as u64) % 64, 0, "{length}");
        assert!((9..=72).contains(&padding.len()), "{length}");
        let (zeros, bits) = padding[1..].split_at(padding.len() - 9);
        assert!(padding[0] == 0x80 && zeros.iter().all(|byte| *byte == 0), "{length}");
        assert_eq!(bits, length.wrapping_mul(8).to_le_bytes(), "{length}");
    }
}

/// What is carried for want of a whole block is not hashed.
#[test]
fn there_is_no_digest_while_anything_is_left() {
    let bytes = message(1, 1_000);
    let mut job = Job::new();
    job.push(bytes.clone());
    assert_eq!(job.digest(), None);
    run(Backend::detect(), std::slice::from_mut(&mut job));
    assert_eq!(job.digest(), None, "40 bytes are carried");
    job.push(padding(1_000));
    assert_eq!(job.digest(), None);
    run(Backend::detect(), std::slice::from_mut(&mut job));
    assert_eq!(job.digest(), Some(expected(&bytes)));
}

#[test]
fn counts_tell_how_many_lanes_were_in_use() {
    let mut jobs: Vec<Job> = [640, 640, 1280].map(|length| Job::whole(&message(length, length))).into();
    let counts = run(Backend::detect(), &mut jobs);
    assert_eq!((counts.blocks, counts.steps), (11 + 11 + 21, 21));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_lengths_have_the_digests_of_another_implementation(
        lengths in proptest::collection::vec(0..5_000_usize, 0..40),
    ) {
        let messages: Vec<Bytes> = lengths.iter().enumerate().map(|(seed, length)| message(seed, *length)).collect();
        let wanted: Vec<[u8; 16]> = messages.iter().map(|message| expected(message)).collect();
        for backend in Backend::available() {
            prop_assert_eq!(&digests(backend, &messages), &wanted, "{}", backend.name());
        }
    }
}
