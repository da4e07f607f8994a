//! Sixteen streams in vectors of 512 bits.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm512_add_epi32, _mm512_castsi128_si512, _mm512_inserti32x4,
    _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::{
    BLOCK, State,
    lanes::{compress, rounds},
    steps::steps,
};

type Vector = __m512i;

compress!(16, "avx512f");
rounds!("avx512f");

#[inline]
#[target_feature(enable = "avx512f")]
fn add(x: Vector, y: Vector) -> Vector {
    _mm512_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> Vector {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: Vector) -> Vector {
    _mm512_rol_epi32::<LEFT>(x)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0xca>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn parity(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0x96>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn i_of(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0x39>(b, c, d)
}

/// Words `4 * QUARTER..4 * QUARTER + 4` of a block of each stream.
#[inline]
#[target_feature(enable = "avx512f")]
fn words<const QUARTER: usize>(block: [&[u8; BLOCK]; 16]) -> [Vector; 4] {
    let row = |number: usize| {
        row::<QUARTER>([block[number], block[number + 4], block[number + 8], block[number + 12]])
    };
    let [r0, r1, r2, r3] = [row(0), row(1), row(2), row(3)];
    let (low01, high01) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
    let (low23, high23) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
    [
        _mm512_unpacklo_epi64(low01, low23),
        _mm512_unpackhi_epi64(low01, low23),
        _mm512_unpacklo_epi64(high01, high23),
        _mm512_unpackhi_epi64(high01, high23),
    ]
}

/// A quarter of a block of four streams, in the four quarters of a vector.
#[inline]
#[target_feature(enable = "avx512f")]
fn row<const QUARTER: usize>(block: [&[u8; BLOCK]; 4]) -> Vector {
    let [r0, r1, r2, r3] = block.map(|block| quarter::<QUARTER>(block));
    let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(r0), r1);
    _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(low, r2), r3)
}

/// Sixteen bytes of a block.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarter<const QUARTER: usize>(block: &[u8; BLOCK]) -> __m128i {
    let bytes = &block.as_chunks::<16>().0[QUARTER];
    // SAFETY: the reference is to sixteen bytes, all of which are initialised, and the load takes any alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// One word of each stream.
#[inline]
#[target_feature(enable = "avx512f")]
fn from_words(words: [u32; 16]) -> Vector {
    // SAFETY: the array is as long as a vector, and the load takes any alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn to_words(vector: Vector) -> [u32; 16] {
    let mut words = [0; 16];
    // SAFETY: the array is as long as a vector and borrowed by nobody else, and the store takes any alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
    words
}
