//! A cluster of our own on this machine: started from this very program, struck at will, stopped in the end.

mod cluster;
mod layout;
mod link;
mod service;
mod strike;

pub(crate) use cluster::Cluster;
pub(crate) use layout::{Layout, Power};
pub(crate) use service::LocalError;
