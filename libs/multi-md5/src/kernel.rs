//! The compression function of MD5 over blocks of several streams, by what the processor has.

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod lanes;
mod scalar;
mod steps;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
mod avx512_16;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
mod avx512_4;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
mod avx512_8;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
mod neon;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
mod sse2;

/// Bytes in a block. Source: RFC 1321, section 3.4.
pub(crate) const BLOCK: usize = 64;

/// Most streams that any backend hashes at once.
pub(crate) const LANES_MAX: usize = 16;

/// The words A, B, C and D.
pub(crate) type State = [u32; 4];

/// The state before the first block. Source: RFC 1321, section 3.3.
pub(crate) const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// How streams are hashed side by side. All backends give the same digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon,
}

impl Backend {
    /// One stream after the other, on any processor.
    pub const SCALAR: Self = Self(Kind::Scalar);

    /// Every backend that this processor has, the best one last. A value of another backend cannot be had: that it exists proves that
    /// the processor has the instructions.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(
            not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
            expect(unused_mut, reason = "other processors have the scalar one alone")
        )]
        let mut found = vec![Self::SCALAR];
        #[cfg(target_arch = "x86_64")]
        {
            // Part of the architecture.
            found.push(Self(Kind::Sse2));
            if std::is_x86_feature_detected!("avx2") {
                found.push(Self(Kind::Avx2));
                if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vl") {
                    found.push(Self(Kind::Avx512));
                }
            }
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Self(Kind::Neon));
        }
        found
    }

    /// The best that this processor has.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::SCALAR)
    }

    /// Streams hashed at once at most.
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => 4,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 16,
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Kind::Neon => 4,
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => "sse2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Kind::Neon => "neon",
        }
    }

    /// Takes the blocks of each of the first `streams` streams in; each stream has as many of them. `streams` is from 1 to
    /// [`LANES_MAX`]. The narrowest vectors that hold them are used: lanes that are left empty cost as much as others.
    pub(crate) fn compress(
        self,
        states: &mut [State; LANES_MAX],
        blocks: &[&[[u8; BLOCK]]; LANES_MAX],
        streams: usize,
    ) {
        match (self.0, streams) {
            (_, 0) => {}
            (Kind::Scalar, _) | (_, 1) => {
                for (state, blocks) in states.iter_mut().zip(blocks).take(streams) {
                    scalar::compress(state, blocks);
                }
            }
            #[cfg(target_arch = "x86_64")]
            (Kind::Sse2, _) => in_groups(states, blocks, streams, four),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, ..=4) => in_groups(states, blocks, streams, four),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, _) => in_groups(states, blocks, streams, eight),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, ..=4) => in_groups(states, blocks, streams, four_avx512),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, ..=8) => in_groups(states, blocks, streams, eight_avx512),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, _) => in_groups(states, blocks, streams, sixteen),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            (Kind::Neon, _) => in_groups(states, blocks, streams, four),
        }
    }
}

/// Hashes `LANES` streams after the other. Lanes for which there is no stream do what the group's first does, for nothing.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
fn in_groups<const LANES: usize>(
    states: &mut [State; LANES_MAX],
    blocks: &[&[[u8; BLOCK]]; LANES_MAX],
    streams: usize,
    kernel: fn(&mut [State; LANES], &[&[[u8; BLOCK]]; LANES]),
) {
    let (states, _) = states.as_chunks_mut::<LANES>();
    let (blocks, _) = blocks.as_chunks::<LANES>();
    let groups = states.iter_mut().zip(blocks).take(streams.div_ceil(LANES));
    for (group, (states, blocks)) in groups.enumerate() {
        let here = streams - group * LANES;
        let mut filled = *blocks;
        filled.iter_mut().skip(here).for_each(|lane| *lane = blocks[0]);
        kernel(states, &filled);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the features were detected")]
mod call {
    //! The kernels as plain functions. Only [`Backend::compress`](super::Backend::compress) calls them, each for a backend that
    //! [`Backend::available`](super::Backend::available) makes only where the processor has its features.

    use super::{BLOCK, State, avx2, avx512_4, avx512_8, avx512_16, sse2};

    pub(super) fn four(states: &mut [State; 4], blocks: &[&[[u8; BLOCK]]; 4]) {
        // SAFETY: SSE2 is part of the architecture.
        unsafe { sse2::compress(states, blocks) }
    }

    pub(super) fn eight(states: &mut [State; 8], blocks: &[&[[u8; BLOCK]]; 8]) {
        // SAFETY: the processor has AVX2, or there were no `Kind::Avx2`.
        unsafe { avx2::compress(states, blocks) }
    }

    pub(super) fn four_avx512(states: &mut [State; 4], blocks: &[&[[u8; BLOCK]]; 4]) {
        // SAFETY: the processor has AVX-512 F and VL, or there were no `Kind::Avx512`.
        unsafe { avx512_4::compress(states, blocks) }
    }

    pub(super) fn eight_avx512(states: &mut [State; 8], blocks: &[&[[u8; BLOCK]]; 8]) {
        // SAFETY: as above.
        unsafe { avx512_8::compress(states, blocks) }
    }

    pub(super) fn sixteen(states: &mut [State; 16], blocks: &[&[[u8; BLOCK]]; 16]) {
        // SAFETY: as above.
        unsafe { avx512_16::compress(states, blocks) }
    }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[expect(unsafe_code, reason = "the feature was detected")]
mod call {
    //! The kernel as a plain function. Only [`Backend::compress`](super::Backend::compress) calls it, for a backend that
    //! [`Backend::available`](super::Backend::available) makes only where the processor has its feature.

    use super::{BLOCK, State, neon};

    pub(super) fn four(states: &mut [State; 4], blocks: &[&[[u8; BLOCK]]; 4]) {
        // SAFETY: the processor has NEON, or there were no `Kind::Neon`.
        unsafe { neon::compress(states, blocks) }
    }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use call::four;
#[cfg(target_arch = "x86_64")]
use call::{eight, eight_avx512, four, four_avx512, sixteen};
