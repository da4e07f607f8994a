//! Four streams in vectors of 128 bits, with the rotation and the three-operand logic of AVX-512.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_loadu_si128, _mm_rol_epi32, _mm_set1_epi32, _mm_storeu_si128,
    _mm_ternarylogic_epi32, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64,
};

use super::{
    BLOCK, State,
    lanes::{compress, rounds},
    steps::steps,
};

type Vector = __m128i;

compress!(4, "avx512f,avx512vl");
rounds!("avx512f,avx512vl");

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn add(x: Vector, y: Vector) -> Vector {
    _mm_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn splat(word: u32) -> Vector {
    _mm_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: Vector) -> Vector {
    _mm_rol_epi32::<LEFT>(x)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn choose(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm_ternarylogic_epi32::<0xca>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn parity(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm_ternarylogic_epi32::<0x96>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn i_of(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm_ternarylogic_epi32::<0x39>(b, c, d)
}

/// Words `4 * QUARTER..4 * QUARTER + 4` of a block of each stream.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn words<const QUARTER: usize>(block: [&[u8; BLOCK]; 4]) -> [Vector; 4] {
    let [r0, r1, r2, r3] = block.map(|block| quarter::<QUARTER>(block));
    let (low01, high01) = (_mm_unpacklo_epi32(r0, r1), _mm_unpackhi_epi32(r0, r1));
    let (low23, high23) = (_mm_unpacklo_epi32(r2, r3), _mm_unpackhi_epi32(r2, r3));
    [
        _mm_unpacklo_epi64(low01, low23),
        _mm_unpackhi_epi64(low01, low23),
        _mm_unpacklo_epi64(high01, high23),
        _mm_unpackhi_epi64(high01, high23),
    ]
}

/// Sixteen bytes of a block.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn quarter<const QUARTER: usize>(block: &[u8; BLOCK]) -> __m128i {
    let bytes = &block.as_chunks::<16>().0[QUARTER];
    // SAFETY: the reference is to sixteen bytes, all of which are initialised, and the load takes any alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// One word of each stream.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn from_words(words: [u32; 4]) -> Vector {
    // SAFETY: the array is as long as a vector, and the load takes any alignment.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn to_words(vector: Vector) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: the array is as long as a vector and borrowed by nobody else, and the store takes any alignment.
    unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), vector) }
    words
}
