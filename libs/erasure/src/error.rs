//! What can go wrong in coding.

/// A stripe that cannot be coded as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller passed another number of cells than the coding has.
    #[error("{given} cells were given where the coding has {expected}")]
    CellCount {
        /// Cells given.
        given: usize,
        /// Cells of the coding.
        expected: usize,
    },
    /// A data cell is longer than the parity cells that are to cover it.
    #[error("a cell of {cell} bytes does not fit a parity cell of {parity} bytes")]
    CellLength {
        /// Length of the offending cell in bytes.
        cell: usize,
        /// Length of the parity cell in bytes.
        parity: usize,
    },
    /// Fewer than k cells are left: the stripe is lost.
    #[error("{present} cells are left where {needed} are needed")]
    TooFewCells {
        /// Cells present.
        present: usize,
        /// Cells needed, k.
        needed: usize,
    },
}
