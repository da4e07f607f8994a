//! One connection: two directions, each a queue of segments on their way.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::{Machine, Net};
use crate::{
    life::{Life, Standing},
    time,
    trace::fingerprint,
};

/// Bytes that may be on their way in one direction.
const WINDOW: usize = 256 << 10;

/// Most bytes of a segment.
const SEGMENT: usize = 64 << 10;

/// Both directions of a connection. Side 0 connected, side 1 was connected to.
pub(super) struct Wire {
    name: Arc<str>,
    number: u64,
    machines: [Machine; 2],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What side 0 and side 1 sent.
    sent: [Direction; 2],
    /// The connection is broken: both ends fail.
    reset: bool,
    /// An end has lost power: nothing arrives any more, and nothing says so.
    silent: bool,
    /// The machine that had lost power is back and answers whatever arrives with a reset.
    forgotten: bool,
}

#[derive(Default)]
struct Direction {
    segments: VecDeque<Segment>,
    queued: usize,
    last_at: Duration,
    /// When the end of the stream arrives, behind all segments.
    end_at: Option<Duration>,
    /// The reading end is gone; what is written comes back as a reset.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Segment {
    at: Duration,
    bytes: Bytes,
    breaks: bool,
}

impl Direction {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

impl Wire {
    pub(super) fn new(number: u64, from: Machine, to: Machine) -> Arc<Self> {
        let name = format!("{}-{}", from.0, to.0).into();
        Arc::new(Self { name, number, machines: [from, to], state: Mutex::default() })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn wake(&self) {
        self.state().sent.iter_mut().for_each(Direction::wake);
    }

    pub(super) fn reset(&self) {
        let mut state = self.state();
        if !state.silent {
            state.reset = true;
        }
        state.sent.iter_mut().for_each(Direction::wake);
    }

    /// The machine came back and knows nothing of the connection.
    pub(super) fn forget(&self, machine: Machine) {
        let mut state = self.state();
        if state.silent && self.machines.contains(&machine) {
            state.forgotten = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

/// One end of a connection.
pub(super) struct End {
    net: Net,
    wire: Arc<Wire>,
    side: usize,
    life: Arc<Life>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl End {
    pub(super) fn new(net: Net, wire: Arc<Wire>, side: usize, life: Arc<Life>) -> Self {
        Self { net, wire, side, life, alarm: None }
    }

    fn here(&self) -> Machine {
        self.wire.machines[self.side]
    }

    fn there(&self) -> Machine {
        self.wire.machines[1 - self.side]
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.life.is_alive() {
            return Poll::Pending;
        }
        let cut = this.net.is_cut(this.there(), this.here());
        let wire = this.wire.clone();
        let mut state = wire.state();
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let silent = state.silent;
        let direction = &mut state.sent[1 - this.side];
        direction.reader = Some(context.waker().clone());
        if cut || silent {
            return Poll::Pending;
        }
        let now = time::now();
        let next_at = direction.segments.front().map(|segment| segment.at).or(direction.end_at);
        match next_at {
            Some(at) if at <= now => {}
            Some(at) => {
                let alarm = this.alarm.insert(Box::pin(tokio::time::sleep(at - now)));
                match alarm.as_mut().poll(context) {
                    Poll::Ready(()) => context.waker().wake_by_ref(),
                    Poll::Pending => {}
                }
                return Poll::Pending;
            }
            None => return Poll::Pending,
        }
        let Some(segment) = direction.segments.front_mut() else {
            // The end of the stream.
            return Poll::Ready(Ok(()));
        };
        let length = segment.bytes.len().min(buffer.remaining());
        buffer.put_slice(&segment.bytes[..length]);
        segment.bytes.advance(length);
        let (read_out, breaks) = (segment.bytes.is_empty(), segment.breaks);
        direction.queued -= length;
        if read_out {
            direction.segments.pop_front();
        }
        if let Some(writer) = direction.writer.take() {
            writer.wake();
        }
        drop(state);
        if read_out && breaks {
            this.net.trace.event("break", wire.name(), [wire.number, 0, 0]);
            wire.reset();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !this.life.is_alive() {
            return Poll::Pending;
        }
        let (latency, breaks) = this.net.fate();
        let mut state = this.wire.state();
        if state.forgotten {
            state.reset = true;
            state.sent.iter_mut().for_each(Direction::wake);
        }
        let reset = state.reset;
        let direction = &mut state.sent[this.side];
        if direction.end_at.is_some() || direction.unread || reset {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let length = bytes.len().min(SEGMENT).min(WINDOW - direction.queued);
        if length == 0 && !bytes.is_empty() {
            direction.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let at = direction.last_at.max(time::now() + Duration::from_millis(latency));
        let segment = Segment { at, bytes: Bytes::copy_from_slice(&bytes[..length]), breaks };
        direction.last_at = at;
        direction.queued += length;
        direction.segments.push_back(segment);
        if let Some(reader) = direction.reader.take() {
            reader.wake();
        }
        drop(state);
        let checksum = fingerprint(&bytes[..length]);
        let number = this.wire.number * 2 + this.side as u64;
        this.net.trace.event("send", this.wire.name(), [number, length as u64, checksum]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.life.is_alive() {
            let (latency, _) = self.net.fate();
            let mut state = self.wire.state();
            let direction = &mut state.sent[self.side];
            if direction.end_at.is_none() {
                direction.end_at = Some(direction.last_at.max(time::now() + Duration::from_millis(latency)));
                direction.wake();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        match self.life.standing() {
            Standing::Alive => {
                let _ = Pin::new(&mut *self).poll_shutdown(&mut Context::from_waker(Waker::noop()));
                let mut state = self.wire.state();
                let incoming = &mut state.sent[1 - self.side];
                incoming.unread = true;
                incoming.wake();
            }
            // The machine's system closes what a dead process had.
            Standing::Killed => self.wire.reset(),
            Standing::PowerLost => self.wire.state().silent = true,
        }
    }
}
