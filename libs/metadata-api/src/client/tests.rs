//! Client and server over real sockets and over broken ones.

mod conformance;
mod failing;
mod limits;
mod support;
