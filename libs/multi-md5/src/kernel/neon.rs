//! Four streams in vectors of 128 bits, by what every processor of this architecture has.

use std::arch::aarch64::{
    uint32x4_t, vaddq_u32, vbslq_u32, vdupq_n_u32, veorq_u32, vld1q_u8, vld1q_u32, vornq_u32,
    vreinterpretq_u32_u8, vreinterpretq_u32_u64, vreinterpretq_u64_u32, vshlq_n_u32, vsriq_n_u32, vst1q_u32,
    vtrn1q_u32, vtrn1q_u64, vtrn2q_u32, vtrn2q_u64,
};

use super::{
    BLOCK, State,
    lanes::{compress, rounds},
    steps::steps,
};

type Vector = uint32x4_t;

compress!(4, "neon");
rounds!("neon");

#[inline]
#[target_feature(enable = "neon")]
fn add(x: Vector, y: Vector) -> Vector {
    vaddq_u32(x, y)
}

#[inline]
#[target_feature(enable = "neon")]
fn splat(word: u32) -> Vector {
    vdupq_n_u32(word)
}

#[inline]
#[target_feature(enable = "neon")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: Vector) -> Vector {
    vsriq_n_u32::<RIGHT>(vshlq_n_u32::<LEFT>(x), x)
}

#[inline]
#[target_feature(enable = "neon")]
fn choose(b: Vector, c: Vector, d: Vector) -> Vector {
    vbslq_u32(b, c, d)
}

#[inline]
#[target_feature(enable = "neon")]
fn parity(b: Vector, c: Vector, d: Vector) -> Vector {
    veorq_u32(veorq_u32(c, d), b)
}

#[inline]
#[target_feature(enable = "neon")]
fn i_of(b: Vector, c: Vector, d: Vector) -> Vector {
    veorq_u32(c, vornq_u32(b, d))
}

/// Words `4 * QUARTER..4 * QUARTER + 4` of a block of each stream.
#[inline]
#[target_feature(enable = "neon")]
fn words<const QUARTER: usize>(block: [&[u8; BLOCK]; 4]) -> [Vector; 4] {
    let [r0, r1, r2, r3] = block.map(|block| quarter::<QUARTER>(block));
    let (even01, odd01) = (vtrn1q_u32(r0, r1), vtrn2q_u32(r0, r1));
    let (even23, odd23) = (vtrn1q_u32(r2, r3), vtrn2q_u32(r2, r3));
    let low = |x, y| vreinterpretq_u32_u64(vtrn1q_u64(vreinterpretq_u64_u32(x), vreinterpretq_u64_u32(y)));
    let high = |x, y| vreinterpretq_u32_u64(vtrn2q_u64(vreinterpretq_u64_u32(x), vreinterpretq_u64_u32(y)));
    [low(even01, even23), low(odd01, odd23), high(even01, even23), high(odd01, odd23)]
}

/// Sixteen bytes of a block.
#[inline]
#[target_feature(enable = "neon")]
fn quarter<const QUARTER: usize>(block: &[u8; BLOCK]) -> Vector {
    let bytes = &block.as_chunks::<16>().0[QUARTER];
    // SAFETY: the reference is to sixteen bytes, all of which are initialised, and the load takes any alignment.
    vreinterpretq_u32_u8(unsafe { vld1q_u8(bytes.as_ptr()) })
}

/// One word of each stream.
#[inline]
#[target_feature(enable = "neon")]
fn from_words(words: [u32; 4]) -> Vector {
    // SAFETY: the array is as long as a vector.
    unsafe { vld1q_u32(words.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn to_words(vector: Vector) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: the array is as long as a vector and borrowed by nobody else.
    unsafe { vst1q_u32(words.as_mut_ptr(), vector) };
    words
}
