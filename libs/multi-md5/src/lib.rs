//! MD5 (RFC 1321) of many streams at once, side by side in SIMD lanes.
//!
//! The steps of MD5 depend on one another, so that one stream keeps a processor waiting most of the time. Independent streams do not:
//! with one stream in each word of a vector, sixteen take hardly longer than one. The method is that of Intel's multi-buffer hashing
//! (V. Gopal, J. Guilford and others, "Processing Multiple Buffers in Parallel to Increase Performance on Intel Architecture
//! Processors", Intel, 2010).
//!
//! [`Backend`] says by which vectors; [`digests`] hashes messages that are there as a whole; a [`Pool`] is where streams meet whose
//! bytes come piece by piece.
//!
//! This crate knows no request and no runtime, and spawns nothing. MD5 tells nothing of who made the bytes: it is for entity tags and for
//! `Content-MD5`, where S3 asks for it.

mod job;
mod kernel;
mod pool;
mod slots;

pub use job::Counts;
pub use kernel::Backend;
pub use pool::{Pool, Stream};
pub use slots::Load;

use bytes::Bytes;
use job::Job;

/// The digests of messages of any lengths, in their order, hashed as many at a time as the backend has lanes.
pub fn digests(backend: Backend, messages: &[Bytes]) -> Vec<[u8; 16]> {
    let mut digests = Vec::with_capacity(messages.len());
    for messages in messages.chunks(backend.lanes()) {
        let mut jobs: Vec<Job> = messages.iter().map(Job::whole).collect();
        job::run(backend, &mut jobs);
        digests.extend(jobs.iter().filter_map(Job::digest));
    }
    digests
}

#[cfg(test)]
mod tests;
