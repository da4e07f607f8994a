//! The metadata service over the network: [`connect`] gives a [`Metadata`](crate::Metadata) that speaks gRPC.
//!
//! Calls go to the service's replicas in turn, and to the next one when a connection cannot be made. A call is
//! repeated only when it is known that nothing happened, or when it only reads; how a failure is judged is in
//! `outcome.rs`.
//!
//! Invariant: `Unavailable` means that the call did not begin. A mutation that may have been sent and has no answer
//! is `TimedOut` and is not repeated.

mod calls;
mod greeting;
mod outcome;
mod replica;
mod stub;
#[cfg(test)]
mod tests;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use env::{Env, Instant};
use http::Uri;
use prost::Message;
use tokio::sync::Semaphore;
use tonic::{Response, Status};

use self::{outcome::Failed, replica::Replica, stub::Stub};
use crate::{
    Error, Token,
    transport::STREAMS_MAX,
    wire::{MESSAGE_SIZE_MAX, WireError},
};

/// Most calls that one client has in flight; more wait, each no longer than its deadline.
const CALLS_MAX: usize = STREAMS_MAX as usize;

/// How long to wait before the first repetition, at most; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(50);

/// The addresses cannot be those of a metadata service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is none.
    #[error("no address of a metadata service is given")]
    None,
    /// One is not `host:port`.
    #[error("{address:?} is not host:port")]
    Malformed {
        /// The address.
        address: String,
    },
}

/// A metadata service reached over the network. Opens connections when they are needed and keeps one to each
/// replica.
#[derive(Debug)]
pub struct Client {
    env: Env,
    replicas: Vec<Replica>,
    /// The replica whose turn is next.
    next: AtomicUsize,
    /// One permit for each call in flight.
    permits: Semaphore,
    token: Token,
    timing: Timing,
}

/// How long the client waits for what.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// For a connection, until the peer has spoken on it.
    connect: Duration,
    /// For the answer to most calls, repetitions included.
    call: Duration,
    /// For the answer to calls that move many rows.
    long_call: Duration,
    /// Silence after which a peer is asked for a sign of life.
    ping_after: Duration,
    /// For that sign, after which the connection counts as lost.
    ping_timeout: Duration,
    /// For how long a replica that failed is passed over while there are others.
    avoid: Duration,
}

impl Default for Timing {
    /// A peer that freezes is found out within 4 s, so that a read still has time for another replica; one that was
    /// frozen before is found out while connecting, when a mutation can go to another one, too.
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(1500),
            call: Duration::from_secs(5),
            long_call: Duration::from_secs(30),
            ping_after: Duration::from_secs(1),
            ping_timeout: Duration::from_secs(3),
            avoid: Duration::from_secs(2),
        }
    }
}

/// What a call is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Changes nothing.
    Read,
    /// Changes nothing and looks at much: has more time.
    LongRead,
    /// Changes something.
    Mutation,
    /// Changes much: has more time.
    LongMutation,
}

/// Makes a client of the replicas at `addresses` (each `host:port`). Nothing is connected yet.
///
/// Each call takes at most 5 s; those that look at or change many rows, such as `unnamed_chunks`, and `complete_upload` and
/// `delete_versions` of more than 64 parts or entries, 30 s.
pub fn connect(env: Env, addresses: Vec<String>, token: Token) -> Result<Client, AddressError> {
    Client::new(env, addresses, token, Timing::default())
}

impl Client {
    fn new(env: Env, addresses: Vec<String>, token: Token, timing: Timing) -> Result<Self, AddressError> {
        if addresses.is_empty() {
            return Err(AddressError::None);
        }
        let replica = |address: String| Ok(Replica::new(env.clone(), origin(&address)?, address, timing));
        let replicas = addresses.into_iter().map(replica).collect::<Result<Vec<_>, _>>()?;
        // Clients that start together do not all begin with the same replica.
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let next = AtomicUsize::new(env.random_u64() as usize % replicas.len());
        Ok(Self { env, replicas, next, permits: Semaphore::new(CALLS_MAX), token, timing })
    }

    /// Makes a call, repeating it as long as that can do no harm and there is time.
    async fn call<Q, W, A, F>(
        &self,
        kind: Kind,
        request: Q,
        send: impl Fn(Stub, Q) -> F + Send + Sync,
    ) -> Result<A, Error>
    where
        Q: Message + Clone,
        F: Future<Output = Result<Response<W>, Status>> + Send,
        A: TryFrom<W>,
        WireError: From<A::Error>,
    {
        let size = request.encoded_len();
        if size > MESSAGE_SIZE_MAX {
            return Err(Error::Malformed { reason: format!("{size} bytes; at most {MESSAGE_SIZE_MAX}") });
        }
        let begun = self.env.now();
        let deadline = begun.after(self.time_for(kind));
        // A call has more time for its rows, not for a service that is away.
        let last_repetition = begun.after(self.timing.call);
        let permit = self.env.timeout(self.remaining(deadline), self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(Error::Unavailable { reason: "too many calls are in flight".to_owned() });
        };
        // Every replica has its chance, and a lone one has three.
        let attempts = self.replicas.len().max(2) + 1;
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut failed = Failed::nothing_tried();
        for attempt in 0..attempts {
            if attempt > 0 {
                self.pause(attempt, deadline).await;
            }
            if attempt > 0 && self.remaining(last_repetition).is_zero() {
                break;
            }
            let replica = self.choose(first.wrapping_add(attempt));
            match self.attempt(kind, replica, request.clone(), &send, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.repeatable => failed = failure,
                Err(failure) => return Err(failure.error),
            }
        }
        Err(failed.error)
    }

    /// Makes a call once.
    async fn attempt<Q, W, A, F>(
        &self,
        kind: Kind,
        replica: &Replica,
        request: Q,
        send: &(impl Fn(Stub, Q) -> F + Send + Sync),
        deadline: Instant,
    ) -> Result<A, Failed>
    where
        F: Future<Output = Result<Response<W>, Status>> + Send,
        A: TryFrom<W>,
        WireError: From<A::Error>,
    {
        let connection = match self.env.timeout(self.remaining(deadline), replica.connection()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(reason)) => {
                replica.avoid();
                return Err(Failed::not_begun(reason));
            }
            Err(elapsed) => return Err(Failed::not_begun(elapsed.to_string())),
        };
        let stub = Stub::new(connection, replica.origin().clone(), self.token.clone());
        // From here on the call may have been sent.
        let answer = self.env.timeout(self.remaining(deadline), send(stub, request)).await;
        let failed = match answer {
            Ok(Ok(answer)) => match A::try_from(answer.into_inner()) {
                Ok(answer) => {
                    replica.trust();
                    return Ok(answer);
                }
                Err(error) => Failed::unreadable(kind, error.into()),
            },
            Ok(Err(status)) => Failed::with_status(kind, status),
            Err(_) => Failed::too_late(),
        };
        if failed.by_replica {
            replica.avoid();
        }
        Err(failed)
    }

    fn time_for(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Read | Kind::Mutation => self.timing.call,
            Kind::LongRead | Kind::LongMutation => self.timing.long_call,
        }
    }

    fn remaining(&self, deadline: Instant) -> Duration {
        deadline.since(self.env.now())
    }

    /// The replica whose turn it is, or the next one that has not just failed. When all have, the one whose turn
    /// it is.
    fn choose(&self, turn: usize) -> &Replica {
        let count = self.replicas.len();
        let inside = (0..count).map(|step| &self.replicas[turn.wrapping_add(step) % count]);
        let mut trusted = inside.filter(|replica| !replica.is_avoided());
        trusted.next().unwrap_or(&self.replicas[turn % count])
    }

    /// Waits before a repetition for a random time, so that callers that failed together do not return together.
    /// The first repetition does not wait when there is another replica that can be asked.
    async fn pause(&self, attempt: usize, deadline: Instant) {
        if attempt < self.replicas.len() && self.replicas.iter().any(|replica| !replica.is_avoided()) {
            return;
        }
        let most = PAUSE.saturating_mul(1 << attempt.min(5)).min(self.remaining(deadline));
        let most_us = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        self.env.sleep(Duration::from_micros(self.env.random_u64() % most_us)).await;
    }
}

/// The origin of requests to `address`.
fn origin(address: &str) -> Result<Uri, AddressError> {
    let malformed = || AddressError::Malformed { address: address.to_owned() };
    let uri: Uri = format!("http://{address}/").parse().map_err(|_| malformed())?;
    // A user, a path or a missing part would be taken for something else than was meant.
    let exact = uri.authority().is_some_and(|authority| {
        authority.as_str() == address && !authority.host().is_empty() && authority.port_u16().is_some()
    });
    if !exact || address.contains('@') {
        return Err(malformed());
    }
    Ok(uri)
}
