//! One stream at a time, in general registers.

use super::{BLOCK, State, steps::steps};

/// Takes in the blocks, in order.
pub(super) fn compress(state: &mut State, blocks: &[[u8; BLOCK]]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        let mut m = [0; 16];
        for (word, bytes) in m.iter_mut().zip(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        let before = [a, b, c, d];
        steps!(a, b, c, d, m);
        a = a.wrapping_add(before[0]);
        b = b.wrapping_add(before[1]);
        c = c.wrapping_add(before[2]);
        d = d.wrapping_add(before[3]);
    }
    *state = [a, b, c, d];
}

// `b` is what the step before computed, so each round is written such that little is left to do once it is there.

#[inline(always)]
fn step<const LEFT: u32>(sum: u32, b: u32) -> u32 {
    sum.rotate_left(LEFT).wrapping_add(b)
}

#[inline(always)]
fn f<const LEFT: u32, const RIGHT: u32>(a: u32, b: u32, c: u32, d: u32, word: u32, constant: u32) -> u32 {
    let early = a.wrapping_add(word).wrapping_add(constant);
    step::<LEFT>(early.wrapping_add(d ^ (b & (c ^ d))), b)
}

#[inline(always)]
fn g<const LEFT: u32, const RIGHT: u32>(a: u32, b: u32, c: u32, d: u32, word: u32, constant: u32) -> u32 {
    // The two halves of the choice have no bit in common, so that they can be added one by one.
    let early = a.wrapping_add(word).wrapping_add(constant).wrapping_add(c & !d);
    step::<LEFT>(early.wrapping_add(b & d), b)
}

#[inline(always)]
fn h<const LEFT: u32, const RIGHT: u32>(a: u32, b: u32, c: u32, d: u32, word: u32, constant: u32) -> u32 {
    let early = a.wrapping_add(word).wrapping_add(constant);
    step::<LEFT>(early.wrapping_add((c ^ d) ^ b), b)
}

#[inline(always)]
fn i<const LEFT: u32, const RIGHT: u32>(a: u32, b: u32, c: u32, d: u32, word: u32, constant: u32) -> u32 {
    let early = a.wrapping_add(word).wrapping_add(constant);
    step::<LEFT>(early.wrapping_add(c ^ (b | !d)), b)
}
