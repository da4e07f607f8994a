//! The store on both engines: the contract's conformance suite, and what is the store's own.

mod conformance;
mod support;
