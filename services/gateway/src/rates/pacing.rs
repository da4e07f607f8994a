//! Bodies that come and go no faster than their sender may.
//!
//! A piece has its turn taken before it is read or sent, and waits for that; what waits is not read from the connection. So nothing
//! is held in memory but what a frame of an answer has that was not sent yet, and those who share a rate have their turns one after
//! the other.
//!
//! A body that comes slowly holds a connection to every node that it is written to, of which there are so many for everybody. So few
//! of one holder are received at a time, and others wait before anything of them is read.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{Extensions, HeaderValue, header::RETRY_AFTER};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use s3_wire::{ErrorCode, S3Error};
use tokio::sync::OwnedSemaphorePermit;
use types::CELL_SIZE;

use super::{
    Allowance, Limits, SHARES_MAX,
    bucket::{Bucket, Rate},
    table::Buckets,
};
use crate::request::Response;

/// Bounds of a piece, which is else what comes back in an eighth of a second.
const PIECE_MIN: u64 = 4 << 10;
const PIECE_MAX: u64 = 64 << 10;

/// How long a body waits at most until it may be received, and when its sender is asked to try again then.
const BODIES_WAIT_MAX: Duration = Duration::from_secs(30);
const BODIES_RETRY_SECONDS: u16 = 10;

/// What a request's bodies are paced by, once it is known whose it is; shared by what reads and what answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pacing(Arc<OnceLock<(Allowance, bool)>>);

/// That of a request.
pub(crate) fn pacing(extensions: &Extensions) -> Pacing {
    extensions.get().cloned().unwrap_or_default()
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Received,
    Sent,
}

impl Way {
    fn rate(self, limits: Limits) -> Option<Rate> {
        match self {
            Self::Received => limits.received,
            Self::Sent => limits.sent,
        }
    }

    fn bucket(self, buckets: &mut Buckets) -> &mut Bucket {
        match self {
            Self::Received => &mut buckets.received,
            Self::Sent => &mut buckets.sent,
        }
    }
}

impl Allowance {
    /// The most that is taken at once; `None` where any rate will do.
    fn piece(&self, way: Way) -> Option<u64> {
        let slowest =
            self.shares.iter().filter_map(|share| way.rate(share.limits)).map(|rate| rate.per_second);
        Some((slowest.min()? / 8).clamp(PIECE_MIN, PIECE_MAX))
    }

    /// Takes so much, and answers how long it takes until there is so much, and of each share when it has come back.
    fn take(&self, way: Way, bytes: u64) -> (Duration, [Duration; SHARES_MAX]) {
        let now = self.gateway.now();
        let (mut wait, mut untils) = (Duration::ZERO, [Duration::ZERO; SHARES_MAX]);
        for (share, until) in self.shares.iter().zip(&mut untils) {
            if let Some(rate) = way.rate(share.limits) {
                let taken = way.bucket(&mut share.used.at(now)).take(rate, bytes, now);
                (wait, *until) = (wait.max(taken.wait), taken.until);
            }
        }
        (wait, untils)
    }

    fn give_back(&self, way: Way, bytes: u64, untils: &[Duration; SHARES_MAX]) {
        let now = self.gateway.now();
        for (share, until) in self.shares.iter().zip(untils) {
            if let Some(rate) = way.rate(share.limits) {
                way.bucket(&mut share.used.at(now)).give_back(rate, bytes, *until, now);
            }
        }
    }

    /// Takes of so much what there is.
    fn take_what_is_there(&self, way: Way, bytes: u64) {
        let now = self.gateway.now();
        for share in &self.shares {
            if let Some(rate) = way.rate(share.limits) {
                way.bucket(&mut share.used.at(now)).take_what_is_there(rate, bytes, now);
            }
        }
    }

    async fn wait(&self, way: Way, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        self.gateway.env.sleep(wait).await;
        self.note_waited(way, wait);
    }

    fn note_waited(&self, way: Way, wait: Duration) {
        let waited = match way {
            Way::Received => &self.gateway.received_waited_ms,
            Way::Sent => &self.gateway.sent_waited_ms,
        };
        waited.add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    }
}

/// Bytes that were taken and not used yet. What is left is given back.
struct Turn {
    pacing: Pacing,
    way: Way,
    bytes: u64,
    /// When it has come back, of each share.
    untils: [Duration; SHARES_MAX],
}

impl Turn {
    /// So much was used after all, which may be more.
    fn used(mut self, bytes: u64) {
        if let Some(more) = bytes.checked_sub(self.bytes)
            && let Some((allowance, _)) = self.pacing.0.get()
        {
            allowance.take(self.way, more);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((allowance, _)) = self.pacing.0.get().filter(|_| self.bytes > 0) {
            allowance.give_back(self.way, self.bytes, &self.untils);
        }
    }
}

/// The places of a body that is received, until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Receiving(Vec<OwnedSemaphorePermit>);

/// The turn of a piece of a body to be read, which has come.
pub(crate) struct ReadTurn(Option<Turn>);

impl ReadTurn {
    /// So many bytes came.
    pub(crate) fn received(self, bytes: usize) {
        if let Some(turn) = self.0 {
            turn.used(bytes as u64);
        }
    }
}

impl Pacing {
    /// It is known whose the request is, once, and whether it is carried out.
    pub(super) fn set(&self, allowance: Allowance, is_admitted: bool) {
        let _ = self.0.set((allowance, is_admitted));
    }

    /// Whether the request was refused because its sender is over a rate.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.get().is_some_and(|(_, is_admitted)| !is_admitted)
    }

    /// Waits until the request's body, which is so long, is one of the few that are received at a time of whoever it is counted for;
    /// in the order in which they came, and before anything of it is read. `SlowDown` when that takes too long. What is no longer
    /// than a cell is read before it is written anywhere, so it does not wait.
    pub(crate) async fn place_of(&self, length: SizeHint) -> Result<Receiving, S3Error> {
        let mut places = Receiving::default();
        let Some((allowance, _)) = self.0.get() else { return Ok(places) };
        if length.upper().is_some_and(|bytes| bytes <= CELL_SIZE as u64) {
            return Ok(places);
        }
        let (env, begun) = (&allowance.gateway.env, allowance.gateway.env.now());
        for share in allowance.shares.iter().filter(|share| share.limits.received.is_some()) {
            let left = BODIES_WAIT_MAX.saturating_sub(env.now().since(begun));
            match env.timeout(left, share.used.bodies.clone().acquire_owned()).await {
                Ok(Ok(place)) => places.0.push(place),
                Ok(Err(_)) | Err(_) => {
                    allowance.gateway.refused[share.kind].increment();
                    let seconds = HeaderValue::from(BODIES_RETRY_SECONDS);
                    return Err(S3Error::new(ErrorCode::SlowDown).header(RETRY_AFTER, seconds));
                }
            }
        }
        allowance.note_waited(Way::Received, env.now().since(begun));
        Ok(places)
    }

    /// Waits until the next piece of the request's body may be read, if anything may be left of it.
    pub(crate) async fn turn_to_read(&self, body: &mut Body) -> ReadTurn {
        let Some((allowance, _)) = self.0.get() else { return ReadTurn(None) };
        let Some(piece) = allowance.piece(Way::Received) else { return ReadTurn(None) };
        let bytes = body.size_hint().upper().map_or(piece, |left| piece.min(left));
        if bytes == 0 || body.is_end_stream() {
            return ReadTurn(None);
        }
        let (wait, untils) = allowance.take(Way::Received, bytes);
        let turn = Turn { pacing: self.clone(), way: Way::Received, bytes, untils };
        allowance.wait(Way::Received, wait).await;
        ReadTurn(Some(turn))
    }

    /// An answer whose body is sent no faster than it may. That of a request that was refused is sent at once.
    pub(crate) fn answer(self, response: Response) -> Response {
        let piece = self.0.get().filter(|(_, is_admitted)| *is_admitted);
        let piece = piece.and_then(|(allowance, _)| allowance.piece(Way::Sent));
        match piece {
            Some(piece) if !response.body().is_end_stream() => response.map(|body| {
                let piece = usize::try_from(piece).unwrap_or(usize::MAX);
                Body::new(Paced { body, pacing: self, piece, rest: Bytes::new(), waiting: None })
            }),
            _ => response,
        }
    }
}

/// Reads the next frame of the body of a request that is refused. It takes no turn, and of what came no more is taken than there is,
/// so that bodies of requests that are carried out do not wait for it.
pub(crate) async fn next_refused(
    pacing: &Pacing,
    body: &mut Body,
) -> Option<Result<Frame<Bytes>, axum::Error>> {
    let frame = body.frame().await;
    let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
    if let (Some(data), Some((allowance, _))) = (data, pacing.0.get()) {
        allowance.take_what_is_there(Way::Received, data.len() as u64);
    }
    frame
}

/// A piece of an answer that waits for its turn.
struct Waiting {
    piece: Bytes,
    turn: Turn,
    sleep: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The body of an answer, in pieces that are sent when their turns have come.
struct Paced {
    body: Body,
    pacing: Pacing,
    /// Most bytes of a piece.
    piece: usize,
    /// What is left of a frame.
    rest: Bytes,
    waiting: Option<Waiting>,
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            if let Some(waiting) = &mut this.waiting {
                ready!(waiting.sleep.as_mut().poll(context));
                let Some(Waiting { piece, turn, .. }) = this.waiting.take() else { continue };
                turn.used(piece.len() as u64);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if this.rest.is_empty() {
                match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if data.is_empty() => return Poll::Ready(Some(Ok(Frame::data(data)))),
                        Ok(data) => this.rest = data,
                        Err(other) => return Poll::Ready(Some(Ok(other))),
                    },
                    end => return Poll::Ready(end),
                }
            }
            let piece = this.rest.split_to(this.piece.min(this.rest.len()));
            let Some((allowance, _)) = this.pacing.0.get() else {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            };
            let bytes = piece.len() as u64;
            let (wait, untils) = allowance.take(Way::Sent, bytes);
            let turn = Turn { pacing: this.pacing.clone(), way: Way::Sent, bytes, untils };
            if wait.is_zero() {
                turn.used(bytes);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let pacing = this.pacing.clone();
            let sleep = Box::pin(async move {
                if let Some((allowance, _)) = pacing.0.get() {
                    allowance.wait(Way::Sent, wait).await;
                }
            });
            this.waiting = Some(Waiting { piece, turn, sleep });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.rest.len() + self.waiting.as_ref().map_or(0, |waiting| waiting.piece.len());
        let (inner, held) = (self.body.size_hint(), held as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(held));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}
