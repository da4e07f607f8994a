//! The chain of signatures through a chunked body.
//!
//! Each chunk's signature covers the one before it, the first one's covers the request's own: chunks cannot be changed,
//! dropped, added or put in another order. Source: S3 API Reference, "Signature Calculations for the Authorization
//! Header: Transferring Payload in Multiple Chunks" and "... Including Trailing Headers".

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{
    canonical::sha256_hex,
    key::SigningKey,
    scope::{RequestTime, Scope},
};

/// SHA-256 of nothing, which every chunk's string to sign holds.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Why a chunked body is not what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk's or the trailer's signature is not what the key gives. S3: SignatureDoesNotMatch.
    #[error("the signature of a chunk does not match")]
    SignatureDoesNotMatch,
    /// Pieces in an order that no signed body has: data outside a chunk, a chunk after the last one, a trailer before
    /// it or where none was announced. S3: InvalidRequest.
    #[error("chunks and trailer are not in the order of a signed body")]
    OutOfOrder,
    /// The body ended before its last, empty chunk or before its trailer. S3: IncompleteBody.
    #[error("the body ends before its last chunk or its trailer")]
    Incomplete,
}

/// What both ends of a chain compute.
#[derive(Clone)]
struct Chain {
    key: SigningKey,
    time: RequestTime,
    scope: String,
    previous: String,
}

impl Chain {
    fn chunk_string(&self, sha256: &str) -> String {
        let Self { time, scope, previous, .. } = self;
        format!("AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{previous}\n{SHA256_OF_NOTHING}\n{sha256}")
    }

    fn trailer_string(&self, canonical_trailer: &[u8]) -> String {
        let Self { time, scope, previous, .. } = self;
        format!("AWS4-HMAC-SHA256-TRAILER\n{time}\n{scope}\n{previous}\n{}", sha256_hex(canonical_trailer))
    }
}

/// Checks the signatures of a chunked body whose frames somebody else takes apart.
///
/// For each chunk, the last and empty one included: [`begin`](Self::begin) with the signature of its frame,
/// [`update`](Self::update) with its data, [`end`](Self::end). Then [`trailer`](Self::trailer), where one was announced.
/// [`finish`](Self::finish) at the body's end says whether all of it came. The first error is final: every later call
/// fails. Data may be used before `end` only where it can be taken back: a stored object becomes visible after `finish`.
#[derive(Clone)]
pub struct ChunkVerifier {
    chain: Chain,
    with_trailer: bool,
    state: State,
}

#[derive(Clone)]
enum State {
    Between,
    Inside { signature: String, hash: Sha256, empty: bool },
    AfterLast,
    Complete,
    Failed(ChunkError),
}

impl ChunkVerifier {
    pub(crate) fn new(
        key: SigningKey,
        time: RequestTime,
        scope: &Scope,
        seed: String,
        with_trailer: bool,
    ) -> Self {
        let chain = Chain { key, time, scope: scope.to_string(), previous: seed };
        Self { chain, with_trailer, state: State::Between }
    }

    /// A chunk begins; `signature` is what its frame carries.
    pub fn begin(&mut self, signature: &str) -> Result<(), ChunkError> {
        let State::Between = self.state else { return self.fail(ChunkError::OutOfOrder) };
        self.state = State::Inside { signature: signature.to_owned(), hash: Sha256::new(), empty: true };
        Ok(())
    }

    /// More data of the chunk.
    pub fn update(&mut self, data: &[u8]) -> Result<(), ChunkError> {
        let State::Inside { hash, empty, .. } = &mut self.state else {
            return self.fail(ChunkError::OutOfOrder);
        };
        hash.update(data);
        *empty &= data.is_empty();
        Ok(())
    }

    /// The chunk ends: proves its data. An empty chunk is the last one.
    pub fn end(&mut self) -> Result<(), ChunkError> {
        let State::Inside { signature, hash, empty } = std::mem::replace(&mut self.state, State::Between)
        else {
            return self.fail(ChunkError::OutOfOrder);
        };
        let string = self.chain.chunk_string(&hex::encode(hash.finalize()));
        if !self.chain.key.verifies(&string, &signature) {
            return self.fail(ChunkError::SignatureDoesNotMatch);
        }
        self.chain.previous = signature;
        self.state = match (empty, self.with_trailer) {
            (false, _) => State::Between,
            (true, true) => State::AfterLast,
            (true, false) => State::Complete,
        };
        Ok(())
    }

    /// Proves the trailer: `name:value\n` for each of its headers but the signature itself, names in lower case and
    /// sorted, values trimmed. `signature` is that of `x-amz-trailer-signature`.
    pub fn trailer(&mut self, canonical_trailer: &[u8], signature: &str) -> Result<(), ChunkError> {
        let State::AfterLast = self.state else { return self.fail(ChunkError::OutOfOrder) };
        if !self.chain.key.verifies(&self.chain.trailer_string(canonical_trailer), signature) {
            return self.fail(ChunkError::SignatureDoesNotMatch);
        }
        self.state = State::Complete;
        Ok(())
    }

    /// The body ended: whether the last chunk, and the trailer where one was announced, were proved.
    pub fn finish(self) -> Result<(), ChunkError> {
        match self.state {
            State::Complete => Ok(()),
            State::Failed(error) => Err(error),
            State::Between | State::Inside { .. } | State::AfterLast => Err(ChunkError::Incomplete),
        }
    }

    /// Enters the state that no call leaves; an earlier error wins.
    fn fail(&mut self, error: ChunkError) -> Result<(), ChunkError> {
        let error = if let State::Failed(first) = self.state { first } else { error };
        self.state = State::Failed(error);
        Err(error)
    }
}

impl fmt::Debug for ChunkVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkVerifier").field("with_trailer", &self.with_trailer).finish_non_exhaustive()
    }
}

/// Signs the chunks of a body that this process sends.
#[derive(Clone)]
pub struct ChunkSigner(Chain);

impl ChunkSigner {
    pub(crate) fn new(key: SigningKey, time: RequestTime, scope: &Scope, seed: String) -> Self {
        Self(Chain { key, time, scope: scope.to_string(), previous: seed })
    }

    /// The signature for the frame of the next chunk; the last chunk is empty.
    pub fn sign_chunk(&mut self, data: &[u8]) -> String {
        let signature = self.0.key.sign(&self.0.chunk_string(&sha256_hex(data)));
        self.0.previous.clone_from(&signature);
        signature
    }

    /// The value of `x-amz-trailer-signature`, after the last chunk. See [`ChunkVerifier::trailer`] for the form.
    pub fn sign_trailer(&self, canonical_trailer: &[u8]) -> String {
        self.0.key.sign(&self.0.trailer_string(canonical_trailer))
    }
}

impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSigner").finish_non_exhaustive()
    }
}
