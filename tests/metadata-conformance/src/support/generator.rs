//! A seeded generator, so that a case replays exactly.

/// A seeded generator of numbers (SplitMix64: Steele, Lea and Flood, OOPSLA 2014), so that a case replays exactly.
#[derive(Debug, Clone)]
pub struct Generator(u64);

impl Generator {
    /// A generator that the seed determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("below a usize")
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A short text whose pieces are the ones that listings get wrong: separators, dots, NUL, newline, percent signs,
    /// characters of two to four bytes up to the highest.
    pub fn text(&mut self, pieces_max: usize) -> String {
        const PIECES: [&str; 16] = [
            "a",
            "b",
            "/",
            "/",
            "//",
            ".",
            "..",
            "-",
            "\0",
            "\n",
            "%2F",
            "é",
            "€",
            "😀",
            "\u{10ffff}",
            "\u{7f}",
        ];
        (0..self.below(pieces_max + 1)).map(|_| *self.choose(&PIECES)).collect()
    }
}
