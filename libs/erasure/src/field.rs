//! Arithmetic in GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 and the generator 2.

/// The polynomial without its leading term.
const POLYNOMIAL: u8 = 0x1d;

/// Products of all pairs: `PRODUCTS[a][b]` is `a * b`.
pub(crate) static PRODUCTS: [[u8; 256]; 256] = products();

const fn multiply_slowly(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut product) = (a, b, 0);
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        let overflows = a & 0x80 != 0;
        a <<= 1;
        if overflows {
            a ^= POLYNOMIAL;
        }
        b >>= 1;
    }
    product
}

const fn products() -> [[u8; 256]; 256] {
    let mut table = [[0; 256]; 256];
    let mut a = 0;
    while a < 256 {
        let mut b = 0;
        while b < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "both are below 256")]
            let product = multiply_slowly(a as u8, b as u8);
            table[a][b] = product;
            b += 1;
        }
        a += 1;
    }
    table
}

/// The product.
pub(crate) fn multiply(a: u8, b: u8) -> u8 {
    PRODUCTS[usize::from(a)][usize::from(b)]
}

/// `base` to the power of `exponent`; the power 0 is 1, also of 0.
pub(crate) fn power(base: u8, exponent: usize) -> u8 {
    (0..exponent).fold(1, |product, _| multiply(product, base))
}

/// The element whose product with `a` is 1: `a` to the power 254. Zero has none and gives zero.
pub(crate) fn inverse(a: u8) -> u8 {
    power(a, 254)
}

#[cfg(test)]
mod tests {
    use super::{inverse, multiply, power};

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1, "{a}");
        }
        assert_eq!(inverse(0), 0);
    }

    #[test]
    fn two_generates_the_field() {
        let elements: std::collections::BTreeSet<u8> = (0..255).map(|exponent| power(2, exponent)).collect();
        assert_eq!(elements.len(), 255);
        assert_eq!(power(0, 0), 1);
        assert_eq!(multiply(0x80, 2), 0x1d);
    }
}
