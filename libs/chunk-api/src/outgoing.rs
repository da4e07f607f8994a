//! Bodies that client and server send: bytes at hand, then cells or other pieces as they come.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};

use crate::{Cell, CellStream, Error};

/// Cells up to this many bytes together are copied into one buffer: one short write beats many pieces.
const COPY_MAX: usize = 16 << 10;

/// Pieces of a body of unknown length.
type PieceStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// A body.
pub struct OutgoingBody {
    ready: VecDeque<Bytes>,
    source: Source,
    /// How much of it is left, if that is known.
    left: Option<u64>,
    watch: Option<Arc<dyn BodyWatch>>,
}

/// Where more of a body comes from.
enum Source {
    None,
    Cells(CellStream),
    Pieces(PieceStream),
}

/// Is told how a body gets on.
pub(crate) trait BodyWatch: Send + Sync {
    /// The connection has taken a piece, and will ask for the next when it has written this one.
    fn taken(&self);
    /// The connection would take a piece, but there is none yet.
    fn starved(&self);
    /// All has been handed over.
    fn ended(&self);
    /// The cells ended with an error.
    fn failed(&self, error: Error);
}

impl OutgoingBody {
    /// A body of these bytes.
    pub(crate) fn full(bytes: Bytes) -> Self {
        let left = Some(bytes.len() as u64);
        Self { ready: VecDeque::from([bytes]), source: Source::None, left, watch: None }
    }

    pub(crate) fn empty() -> Self {
        Self { ready: VecDeque::new(), source: Source::None, left: Some(0), watch: None }
    }

    /// A body of unknown length: `first`, then pieces as they come. An error breaks it off.
    pub(crate) fn begun(
        first: Bytes,
        pieces: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
    ) -> Self {
        let source = Source::Pieces(Box::pin(pieces));
        let mut body = Self { ready: VecDeque::new(), source, left: None, watch: None };
        body.push(first);
        body
    }

    /// A body of `head` and these cells.
    pub(crate) fn whole(head: Bytes, cells: &[Cell]) -> Self {
        let length = head.len() + cells.iter().map(|cell| cell.data().len() + 4).sum::<usize>();
        if length <= COPY_MAX {
            let mut out = BytesMut::with_capacity(length);
            out.put_slice(&head);
            for cell in cells {
                out.put_slice(cell.data());
                out.put_u32_le(cell.checksum());
            }
            return Self::full(out.freeze());
        }
        let left = Some(length as u64);
        let mut body = Self { ready: VecDeque::new(), source: Source::None, left, watch: None };
        body.push(head);
        cells.iter().for_each(|cell| body.push_cell(cell));
        body
    }

    /// A body of `head` and cells as they come, `length` bytes in all.
    pub(crate) fn streamed(
        head: Bytes,
        cells: impl Stream<Item = Result<Cell, Error>> + Send + 'static,
        length: u64,
    ) -> Self {
        let source = Source::Cells(Box::pin(cells));
        let mut body = Self { ready: VecDeque::new(), source, left: Some(length), watch: None };
        body.push(head);
        body
    }

    pub(crate) fn watched_by(mut self, watch: Arc<dyn BodyWatch>) -> Self {
        self.watch = Some(watch);
        self
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.ready.push_back(bytes);
        }
    }

    fn push_cell(&mut self, cell: &Cell) {
        self.push(cell.data().clone());
        self.push(Bytes::copy_from_slice(&cell.checksum().to_le_bytes()));
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            let polled = match &mut self.source {
                Source::None => return Poll::Ready(None),
                Source::Cells(cells) => {
                    cells.as_mut().poll_next(context).map_ok(|cell| self.push_cell(&cell))
                }
                Source::Pieces(pieces) => pieces.as_mut().poll_next(context).map_ok(|piece| self.push(piece)),
            };
            match polled {
                Poll::Ready(Some(Ok(()))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => self.source = Source::None,
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.poll_piece(context);
        if let Some(watch) = &self.watch {
            match &polled {
                Poll::Ready(Some(Ok(_))) => watch.taken(),
                Poll::Ready(Some(Err(error))) => watch.failed(error.clone()),
                Poll::Ready(None) => watch.ended(),
                Poll::Pending => watch.starved(),
            }
        }
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
            if self.left == Some(0)
                && let Some(watch) = &self.watch
            {
                // A connection that has all announced bytes does not ask again.
                watch.ended();
            }
        }
        polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl std::fmt::Debug for OutgoingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutgoingBody({:?} bytes left)", self.left)
    }
}

/// The first error that was put in.
#[derive(Default)]
pub(crate) struct ErrorSlot(Mutex<Option<Error>>);

impl ErrorSlot {
    pub(crate) fn put(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
