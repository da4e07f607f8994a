//! Encoding and rebuilding one stripe.

use std::sync::{Arc, Mutex, PoisonError};

use types::{Coding, ShardIndex};

use crate::{Error, Kernel, matrix::Matrix};

/// Inverses kept per codec. A stripe has few patterns of loss at a time: one per set of disks that are down.
const INVERSES_MAX: usize = 64;

/// Encodes and rebuilds stripes of one coding. Shared freely between threads.
#[derive(Debug)]
pub struct Codec {
    coding: Coding,
    kernel: Kernel,
    generator: Matrix,
    /// Most recently used last.
    inverses: Mutex<Vec<Inverse>>,
}

/// What turns k cells back into the data: the inverse of their rows of the generator.
#[derive(Debug, Clone)]
struct Inverse {
    /// Bit `i` is set when cell `i` is one of the k.
    sources: u64,
    matrix: Arc<Matrix>,
}

impl Codec {
    /// A codec with the fastest kernel of this processor.
    pub fn new(coding: Coding) -> Self {
        Self::with_kernel(coding, Kernel::detect())
    }

    /// A codec with this kernel. `Kernel::Simd` must be what [`Kernel::detect`] answered.
    pub fn with_kernel(coding: Coding, kernel: Kernel) -> Self {
        let generator = Matrix::generator(coding.data(), coding.parity());
        Self { coding, kernel, generator, inverses: Mutex::new(Vec::new()) }
    }

    /// The coding.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Computes the m parity cells of a stripe from its k data cells, overwriting `parity`.
    ///
    /// The parity cells are as long as the longest data cell; shorter data cells count as padded with zeros.
    ///
    /// Errors: `CellCount` when there are not k data and m parity cells, `CellLength` when a data cell is longer than
    /// a parity cell.
    pub fn encode<D: AsRef<[u8]>, P: AsMut<[u8]>>(&self, data: &[D], parity: &mut [P]) -> Result<(), Error> {
        check_count(data.len(), self.coding.data())?;
        check_count(parity.len(), self.coding.parity())?;
        let longest = data.iter().map(|cell| cell.as_ref().len()).max().unwrap_or(0);
        for out in parity.iter_mut() {
            check_length(longest, out.as_mut().len())?;
        }
        // One data cell at a time for all parities, so that it is read from memory once.
        for (column, cell) in data.iter().enumerate() {
            for (row, out) in parity.iter_mut().enumerate() {
                let coefficient = self.generator.row(self.coding.data() + row)[column];
                self.add(column == 0, coefficient, cell.as_ref(), out.as_mut());
            }
        }
        Ok(())
    }

    /// Adds data cell number `index` to the m parity cells of its stripe, which begin as zeros. After all k data cells
    /// were added, in any order, they are what [`Codec::encode`] computes. For cells that come one by one.
    ///
    /// Errors: `CellCount` when there is no such data cell or there are not m parity cells, `CellLength` when the cell
    /// is longer than a parity cell; nothing was added then.
    pub fn add_cell<P: AsMut<[u8]>>(&self, index: usize, cell: &[u8], parity: &mut [P]) -> Result<(), Error> {
        if index >= self.coding.data() {
            return Err(Error::CellCount { given: index + 1, expected: self.coding.data() });
        }
        check_count(parity.len(), self.coding.parity())?;
        for out in parity.iter_mut() {
            check_length(cell.len(), out.as_mut().len())?;
        }
        for (row, out) in parity.iter_mut().enumerate() {
            let coefficient = self.generator.row(self.coding.data() + row)[index];
            self.kernel.multiply_add(coefficient, cell, out.as_mut());
        }
        Ok(())
    }

    /// Rebuilds the `wanted` cells of a stripe from the cells that are present, writing each into the buffer given,
    /// whose length says how long that cell is.
    ///
    /// `cells` has k + m entries. A wanted cell may itself be present; it is then recomputed from the first k present
    /// cells, which gives the same bytes.
    ///
    /// Errors: `CellCount` when there are not k + m entries or a wanted index is beyond them, `TooFewCells` when fewer
    /// than k are present. On error nothing is written.
    pub fn reconstruct<C: AsRef<[u8]>, W: AsMut<[u8]>>(
        &self,
        cells: &[Option<C>],
        wanted: &mut [(ShardIndex, W)],
    ) -> Result<(), Error> {
        check_count(cells.len(), self.coding.total())?;
        for (index, _) in wanted.iter() {
            if usize::from(index.0) >= self.coding.total() {
                return Err(Error::CellCount {
                    given: usize::from(index.0) + 1,
                    expected: self.coding.total(),
                });
            }
        }
        let needed = self.coding.data();
        let present =
            cells.iter().enumerate().filter_map(|(index, cell)| Some((index, cell.as_ref()?.as_ref())));
        let sources: Vec<(usize, &[u8])> = present.take(needed).collect();
        if sources.len() < needed {
            return Err(Error::TooFewCells { present: sources.len(), needed });
        }
        let inverse = self.inverse(&sources.iter().map(|(index, _)| *index).collect::<Vec<_>>());
        for (index, out) in wanted {
            let row = self.generator.select(&[usize::from(index.0)]).times(&inverse);
            let out = out.as_mut();
            for (column, (_, source)) in sources.iter().enumerate() {
                // Beyond the wanted cell's own end the sum is zero, so that part is not computed.
                let source = &source[..source.len().min(out.len())];
                self.add(column == 0, row.row(0)[column], source, out);
            }
        }
        Ok(())
    }

    fn add(&self, first: bool, coefficient: u8, input: &[u8], output: &mut [u8]) {
        if first {
            self.kernel.multiply_set(coefficient, input, output);
        } else {
            self.kernel.multiply_add(coefficient, input, output);
        }
    }

    /// The inverse of the generator's `rows`, of which there are k, distinct and ascending.
    fn inverse(&self, rows: &[usize]) -> Arc<Matrix> {
        let sources = rows.iter().fold(0, |mask, row| mask | 1_u64 << row);
        let mut inverses = self.inverses.lock().unwrap_or_else(PoisonError::into_inner);
        let inverse = match inverses.iter().position(|inverse| inverse.sources == sources) {
            Some(at) => inverses.remove(at),
            None => {
                let matrix = self.generator.select(rows).inverse();
                let matrix = matrix.expect("any k rows of the generator are independent");
                Inverse { sources, matrix: Arc::new(matrix) }
            }
        };
        if inverses.len() >= INVERSES_MAX {
            inverses.remove(0);
        }
        inverses.push(inverse.clone());
        inverse.matrix
    }
}

fn check_count(given: usize, expected: usize) -> Result<(), Error> {
    if given == expected { Ok(()) } else { Err(Error::CellCount { given, expected }) }
}

fn check_length(cell: usize, parity: usize) -> Result<(), Error> {
    if cell <= parity { Ok(()) } else { Err(Error::CellLength { cell, parity }) }
}

#[cfg(test)]
mod tests;
