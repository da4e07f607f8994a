//! Holds the crates to the layers of `ARCHITECTURE.md`; the rules are in `tests/layers.rs`.
