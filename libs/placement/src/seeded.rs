//! Numbers that look random and are a function of their inputs, on every machine and in every release.

/// The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number from 0 up to 1 for these inputs.
pub(crate) fn fraction(seed: u64, round: usize, disk: usize) -> f64 {
    let hash = mix(mix(mix(seed) ^ round as u64) ^ disk as u64);
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let fraction = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}

/// A number that stands for a disk, such that the exclusive or of several stands for the set of them.
pub(crate) fn key(disk: usize) -> u64 {
    mix(disk as u64)
}
