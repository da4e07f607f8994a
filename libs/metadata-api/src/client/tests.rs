//! Client and server over real sockets and over broken ones.

mod failing;
mod limits;
mod support;
