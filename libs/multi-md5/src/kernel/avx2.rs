//! Eight streams in vectors of 256 bits.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi128_si256,
    _mm256_inserti128_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi32, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::{
    BLOCK, State,
    lanes::{compress, rounds},
    steps::steps,
};

type Vector = __m256i;

compress!(8, "avx2");
rounds!("avx2");

#[inline]
#[target_feature(enable = "avx2")]
fn add(x: Vector, y: Vector) -> Vector {
    _mm256_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> Vector {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: Vector) -> Vector {
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn parity(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm256_xor_si256(_mm256_xor_si256(c, d), b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn i_of(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, splat(!0))))
}

/// Words `4 * QUARTER..4 * QUARTER + 4` of a block of each stream.
#[inline]
#[target_feature(enable = "avx2")]
fn words<const QUARTER: usize>(block: [&[u8; BLOCK]; 8]) -> [Vector; 4] {
    let row = |number: usize| row::<QUARTER>([block[number], block[number + 4]]);
    let [r0, r1, r2, r3] = [row(0), row(1), row(2), row(3)];
    let (low01, high01) = (_mm256_unpacklo_epi32(r0, r1), _mm256_unpackhi_epi32(r0, r1));
    let (low23, high23) = (_mm256_unpacklo_epi32(r2, r3), _mm256_unpackhi_epi32(r2, r3));
    [
        _mm256_unpacklo_epi64(low01, low23),
        _mm256_unpackhi_epi64(low01, low23),
        _mm256_unpacklo_epi64(high01, high23),
        _mm256_unpackhi_epi64(high01, high23),
    ]
}

/// A quarter of a block of two streams, in the two halves of a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn row<const QUARTER: usize>(block: [&[u8; BLOCK]; 2]) -> Vector {
    let [low, high] = block.map(|block| quarter::<QUARTER>(block));
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// Sixteen bytes of a block.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter<const QUARTER: usize>(block: &[u8; BLOCK]) -> __m128i {
    let bytes = &block.as_chunks::<16>().0[QUARTER];
    // SAFETY: the reference is to sixteen bytes, all of which are initialised, and the load takes any alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// One word of each stream.
#[inline]
#[target_feature(enable = "avx2")]
fn from_words(words: [u32; 8]) -> Vector {
    // SAFETY: the array is as long as a vector, and the load takes any alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn to_words(vector: Vector) -> [u32; 8] {
    let mut words = [0; 8];
    // SAFETY: the array is as long as a vector and borrowed by nobody else, and the store takes any alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
    words
}
