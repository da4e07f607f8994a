//! Small matrices over GF(2^8): the generator of a code and the inverses that undo it.

use crate::field::{inverse, multiply, power};

/// A matrix in row order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matrix {
    columns: usize,
    elements: Vec<u8>,
}

impl Matrix {
    fn from_fn(rows: usize, columns: usize, element: impl Fn(usize, usize) -> u8) -> Self {
        let elements = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self { columns, elements: elements.map(|(row, column)| element(row, column)).collect() }
    }

    /// The generator of the code: the first `data` rows are the identity, row `data + i` makes parity cell `i`.
    ///
    /// It is the Vandermonde matrix of the elements 0, 1, 2, ... times the inverse of its own top square, so every
    /// choice of `data` rows is invertible. `data + parity` is at most 256.
    pub(crate) fn generator(data: usize, parity: usize) -> Self {
        let vandermonde = |row: usize, column: usize| {
            power(u8::try_from(row).expect("a coding has at most 64 shards"), column)
        };
        let top = Self::from_fn(data, data, vandermonde);
        let top = top.inverse().expect("a square Vandermonde matrix of distinct elements is invertible");
        Self::from_fn(data + parity, data, vandermonde).times(&top)
    }

    /// The square matrix of these rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self::from_fn(rows.len(), self.columns, |row, column| self.row(rows[row])[column])
    }

    pub(crate) fn row(&self, row: usize) -> &[u8] {
        &self.elements[row * self.columns..(row + 1) * self.columns]
    }

    fn row_mut(&mut self, row: usize) -> &mut [u8] {
        &mut self.elements[row * self.columns..(row + 1) * self.columns]
    }

    fn rows(&self) -> usize {
        self.elements.len() / self.columns
    }

    /// The product.
    pub(crate) fn times(&self, right: &Self) -> Self {
        Self::from_fn(self.rows(), right.columns, |row, column| {
            let terms = self.row(row).iter().enumerate();
            terms.fold(0, |sum, (i, element)| sum ^ multiply(*element, right.row(i)[column]))
        })
    }

    /// The inverse of a square matrix by Gauss–Jordan elimination, or `None` when it is singular.
    pub(crate) fn inverse(&self) -> Option<Self> {
        let size = self.columns;
        let mut left = self.clone();
        let mut right = Self::from_fn(size, size, |row, column| u8::from(row == column));
        for pivot in 0..size {
            let found = (pivot..size).find(|row| left.row(*row)[pivot] != 0)?;
            left.swap(pivot, found);
            right.swap(pivot, found);
            let scale = inverse(left.row(pivot)[pivot]);
            left.scale(pivot, scale);
            right.scale(pivot, scale);
            for row in (0..size).filter(|row| *row != pivot) {
                let factor = left.row(row)[pivot];
                left.add_multiple(row, pivot, factor);
                right.add_multiple(row, pivot, factor);
            }
        }
        Some(right)
    }

    fn swap(&mut self, a: usize, b: usize) {
        for column in 0..self.columns {
            self.elements.swap(a * self.columns + column, b * self.columns + column);
        }
    }

    fn scale(&mut self, row: usize, factor: u8) {
        for element in self.row_mut(row) {
            *element = multiply(*element, factor);
        }
    }

    fn add_multiple(&mut self, row: usize, of: usize, factor: u8) {
        for column in 0..self.columns {
            let term = multiply(self.row(of)[column], factor);
            self.row_mut(row)[column] ^= term;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Matrix;

    #[test]
    fn the_generator_begins_with_the_identity() {
        let generator = Matrix::generator(4, 2);
        for row in 0..4 {
            let unit: Vec<u8> = (0..4).map(|column| u8::from(row == column)).collect();
            assert_eq!(generator.row(row), unit);
        }
    }

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        let matrix = Matrix::from_fn(3, 3, |row, _| u8::try_from(row).unwrap());
        assert_eq!(matrix.inverse(), None);
    }

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        let generator = Matrix::generator(8, 4);
        let square = generator.select(&[0, 2, 3, 5, 8, 9, 10, 11]);
        let product = square.times(&square.inverse().unwrap());
        assert_eq!(product, Matrix::from_fn(8, 8, |row, column| u8::from(row == column)));
    }
}
