//! One stream's state, and hashing of what was taken of several.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use crate::kernel::{BLOCK, Backend, INITIAL, LANES_MAX, State};

/// A stream's state, with the pieces that are to be taken into it next.
pub(crate) struct Job {
    state: State,
    pieces: VecDeque<Bytes>,
    /// Bytes of a block that lies across the border of two pieces, or that is not whole yet.
    carry: [u8; BLOCK],
    carried: usize,
}

impl Job {
    pub(crate) fn new() -> Self {
        Self { state: INITIAL, pieces: VecDeque::new(), carry: [0; BLOCK], carried: 0 }
    }

    /// A message that ends.
    pub(crate) fn whole(message: &Bytes) -> Self {
        let mut job = Self::new();
        job.push(message.clone());
        job.push(padding(message.len() as u64));
        job
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        self.pieces.push_back(piece);
    }

    /// Pieces that were not taken in, in their order: also a block that was gathered and not hashed.
    pub(crate) fn left(&mut self) -> VecDeque<Bytes> {
        let mut left = std::mem::take(&mut self.pieces);
        if self.carried == BLOCK {
            left.push_front(Bytes::copy_from_slice(&self.carry));
            self.carried = 0;
        }
        left
    }

    /// The digest of everything that was pushed; `None` as long as some of it was not taken in, as before the padding, whose end is that
    /// of a block.
    pub(crate) fn digest(&self) -> Option<[u8; 16]> {
        if !self.pieces.is_empty() || self.carried != 0 {
            return None;
        }
        let mut digest = [0; 16];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_le_bytes();
        }
        Some(digest)
    }

    /// Blocks that lie behind each other. Gathers a block that does not, so that there are none only when no whole block is left.
    fn prepare(&mut self) -> usize {
        while let Some(front) = self.pieces.front_mut() {
            if self.carried == 0 && front.len() >= BLOCK {
                return front.len() / BLOCK;
            }
            if self.carried == BLOCK {
                return 1;
            }
            let taken = front.len().min(BLOCK - self.carried);
            front.copy_to_slice(&mut self.carry[self.carried..self.carried + taken]);
            self.carried += taken;
            if front.is_empty() {
                self.pieces.pop_front();
            }
        }
        usize::from(self.carried == BLOCK)
    }

    /// The blocks that [`Job::prepare`] has counted.
    fn blocks(&self) -> &[[u8; BLOCK]] {
        match self.pieces.front() {
            Some(front) if self.carried == 0 => front.as_chunks().0,
            _ if self.carried == BLOCK => std::slice::from_ref(&self.carry),
            _ => &[],
        }
    }

    /// `blocks` of them have been taken in.
    fn advance(&mut self, state: State, blocks: usize) {
        self.state = state;
        if self.carried == BLOCK {
            self.carried = 0;
            return;
        }
        if let Some(front) = self.pieces.front_mut() {
            front.advance(blocks * BLOCK);
            if front.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

/// How well lanes were filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Blocks that were hashed.
    pub blocks: u64,
    /// How often blocks were hashed side by side, or one alone: `blocks / steps` is the mean number of lanes in use.
    pub steps: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.steps += other.steps;
    }
}

/// Takes in all whole blocks of up to [`LANES_MAX`] jobs, side by side as far as there are blocks of several. No piece is left
/// afterwards, and of each job less than a block.
pub(crate) fn run(backend: Backend, jobs: &mut [Job]) -> Counts {
    debug_assert!(jobs.len() <= LANES_MAX, "there are no more lanes");
    let mut counts = Counts::default();
    loop {
        let mut lanes = [0; LANES_MAX];
        let (mut active, mut least) = (0, usize::MAX);
        for (number, job) in jobs.iter_mut().enumerate().take(LANES_MAX) {
            let blocks = job.prepare();
            if blocks > 0 {
                lanes[active] = number;
                active += 1;
                least = least.min(blocks);
            }
        }
        if active == 0 {
            return counts;
        }
        let mut states = [INITIAL; LANES_MAX];
        let mut blocks: [&[[u8; BLOCK]]; LANES_MAX] = [&[]; LANES_MAX];
        for (lane, number) in lanes.into_iter().take(active).enumerate() {
            states[lane] = jobs[number].state;
            blocks[lane] = &jobs[number].blocks()[..least];
        }
        backend.compress(&mut states, &blocks, active);
        for (lane, number) in lanes.into_iter().take(active).enumerate() {
            jobs[number].advance(states[lane], least);
        }
        counts.add(Counts { blocks: (least * active) as u64, steps: least as u64 });
    }
}

/// What follows a message of `length` bytes. Source: RFC 1321, sections 3.1 and 3.2.
pub(crate) fn padding(length: u64) -> Bytes {
    const PADDING: [u8; BLOCK] = {
        let mut padding = [0; BLOCK];
        padding[0] = 0x80;
        padding
    };
    // A bit, zeros up to eight bytes before the end of a block, and there the message's length in bits, modulo 2^64.
    let over = (length % BLOCK as u64) as usize;
    let zeros = if over < BLOCK - 8 { BLOCK - 8 - over } else { 2 * BLOCK - 8 - over };
    let mut padding = Vec::with_capacity(zeros + 8);
    padding.extend_from_slice(&PADDING[..zeros.min(BLOCK)]);
    padding.resize(zeros, 0);
    padding.extend_from_slice(&length.wrapping_mul(8).to_le_bytes());
    padding.into()
}
