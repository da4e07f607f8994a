//! What the vector kernels have in common: a function over the blocks of as many streams as a vector has words.
//!
//! The streams' words are transposed, so that vector n has word n of each stream's block, and then each step is done for all streams
//! at once. Source: V. Gopal, J. Guilford and others, "Processing Multiple Buffers in Parallel to Increase Performance on Intel
//! Architecture Processors", Intel, 2010, "Multi-buffer" and "Transposing the data".

/// Makes a `compress` for vectors of `$lanes` words. The module that it stands in has the type `Vector`, and for it `from_words`,
/// `to_words`, `add`, `words` (four vectors of the words `4 * quarter..` of one block of each stream) and the rounds of `steps!`.
macro_rules! compress {
    ($lanes:literal, $features:literal) => {
        /// Takes in the blocks of each stream, in order; each stream has as many.
        #[target_feature(enable = $features)]
        pub(super) fn compress(states: &mut [State; $lanes], blocks: &[&[[u8; BLOCK]]; $lanes]) {
            let [mut a, mut b, mut c, mut d] =
                [0, 1, 2, 3].map(|word| from_words(states.map(|state| state[word])));
            for number in 0..blocks[0].len() {
                let block: [&[u8; BLOCK]; $lanes] = blocks.map(|blocks| &blocks[number]);
                let m: [Vector; 16] = {
                    let [m0, m1, m2, m3] = words::<0>(block);
                    let [m4, m5, m6, m7] = words::<1>(block);
                    let [m8, m9, m10, m11] = words::<2>(block);
                    let [m12, m13, m14, m15] = words::<3>(block);
                    [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15]
                };
                let before = [a, b, c, d];
                steps!(a, b, c, d, m);
                a = add(a, before[0]);
                b = add(b, before[1]);
                c = add(c, before[2]);
                d = add(d, before[3]);
            }
            let words = [a, b, c, d].map(|vector| to_words(vector));
            for (lane, state) in states.iter_mut().enumerate() {
                *state = [words[0][lane], words[1][lane], words[2][lane], words[3][lane]];
            }
        }
    };
}

/// Makes the rounds from `add`, `splat`, `rotate`, `choose` (`if b then c else d`, bit by bit), `parity` and `i_of` (`c ^ (b | !d)`).
macro_rules! rounds {
    ($features:literal) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn f<const L: i32, const R: i32>(
            a: Vector,
            b: Vector,
            c: Vector,
            d: Vector,
            word: Vector,
            k: u32,
        ) -> Vector {
            let early = add(a, add(word, splat(k)));
            add(b, rotate::<L, R>(add(early, choose(b, c, d))))
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn g<const L: i32, const R: i32>(
            a: Vector,
            b: Vector,
            c: Vector,
            d: Vector,
            word: Vector,
            k: u32,
        ) -> Vector {
            let early = add(a, add(word, splat(k)));
            add(b, rotate::<L, R>(add(early, choose(d, b, c))))
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn h<const L: i32, const R: i32>(
            a: Vector,
            b: Vector,
            c: Vector,
            d: Vector,
            word: Vector,
            k: u32,
        ) -> Vector {
            let early = add(a, add(word, splat(k)));
            add(b, rotate::<L, R>(add(early, parity(b, c, d))))
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn i<const L: i32, const R: i32>(
            a: Vector,
            b: Vector,
            c: Vector,
            d: Vector,
            word: Vector,
            k: u32,
        ) -> Vector {
            let early = add(a, add(word, splat(k)));
            add(b, rotate::<L, R>(add(early, i_of(b, c, d))))
        }
    };
}

pub(super) use compress;
pub(super) use rounds;
