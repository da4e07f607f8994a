//! What the tests of the loops share.

pub(crate) mod maps;
