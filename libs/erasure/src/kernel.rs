//! The inner loop: adding a multiple of one run of bytes to another.

use reed_solomon_erasure::galois_8;

use crate::field;

/// Which instructions do the work. Both give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Vector instructions: AVX2 on x86-64, NEON on aarch64.
    Simd,
    /// Table look-ups in plain Rust, about ten times slower.
    Portable,
}

impl Kernel {
    /// The fastest kernel that this processor can run.
    pub fn detect() -> Self {
        // The C code behind `galois_8` is compiled for one fixed instruction set and does not ask the processor.
        if simd_supported() { Self::Simd } else { Self::Portable }
    }

    /// Adds `coefficient * input` to the first bytes of `output`, which is at least as long.
    pub(crate) fn multiply_add(self, coefficient: u8, input: &[u8], output: &mut [u8]) {
        let output = &mut output[..input.len()];
        if coefficient == 0 || input.is_empty() {
            return;
        }
        match self {
            Self::Simd => galois_8::mul_slice_xor(coefficient, input, output),
            Self::Portable => {
                let products = &field::PRODUCTS[usize::from(coefficient)];
                for (out, byte) in output.iter_mut().zip(input) {
                    *out ^= products[usize::from(*byte)];
                }
            }
        }
    }

    /// Sets `output` to `coefficient * input`, padding with zeros; `input` is at most as long as `output`.
    pub(crate) fn multiply_set(self, coefficient: u8, input: &[u8], output: &mut [u8]) {
        let (covered, rest) = output.split_at_mut(input.len());
        rest.fill(0);
        if input.is_empty() {
            return;
        }
        match (coefficient, self) {
            (0, _) => covered.fill(0),
            (1, _) => covered.copy_from_slice(input),
            (_, Self::Simd) => galois_8::mul_slice(coefficient, input, covered),
            (_, Self::Portable) => {
                let products = &field::PRODUCTS[usize::from(coefficient)];
                for (out, byte) in covered.iter_mut().zip(input) {
                    *out = products[usize::from(*byte)];
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn simd_supported() -> bool {
    // The compiler may use all of Haswell's instructions, not only AVX2.
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("fma")
        && std::arch::is_x86_feature_detected!("lzcnt")
        && std::arch::is_x86_feature_detected!("movbe")
        && std::arch::is_x86_feature_detected!("popcnt")
}

/// NEON belongs to every aarch64; on all other processors `galois_8` is plain Rust itself.
#[cfg(not(target_arch = "x86_64"))]
fn simd_supported() -> bool {
    cfg!(target_arch = "aarch64")
}

#[cfg(test)]
mod tests {
    use super::Kernel;
    use crate::field::multiply;

    #[test]
    fn kernels_agree_with_the_field_for_every_coefficient() {
        let input: Vec<u8> = (0..=255).cycle().take(777).collect();
        for kernel in [Kernel::detect(), Kernel::Portable] {
            for coefficient in 0..=255 {
                let expected: Vec<u8> = input.iter().map(|byte| multiply(coefficient, *byte)).collect();
                let mut set = vec![7; 780];
                kernel.multiply_set(coefficient, &input, &mut set);
                assert_eq!(set[..777], expected, "{kernel:?} {coefficient}");
                assert_eq!(set[777..], [0, 0, 0]);
                kernel.multiply_add(coefficient, &input, &mut set);
                assert_eq!(set, vec![0; 780], "{kernel:?} {coefficient}");
            }
        }
    }
}
