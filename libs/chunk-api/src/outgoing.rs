//! Bodies that client and server send: bytes at hand, then cells as they come.

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

/// A body of known length.
pub struct OutgoingBody {
    ready: VecDeque<Bytes>,
    cells: Option<CellStream>,
    left: u64,
    watch: Option<Arc<dyn BodyWatch>>,
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
        let left = bytes.len() as u64;
        Self { ready: VecDeque::from([bytes]), cells: None, left, watch: None }
    }

    pub(crate) fn empty() -> Self {
        Self { ready: VecDeque::new(), cells: None, left: 0, watch: None }
    }

    /// A body of `head` and these cells.
    pub(crate) fn whole(head: Bytes, cells: &[Cell]) -> Self {
        let length = head.len() + cells.iter().map(|cell| cell.data.len() + 4).sum::<usize>();
        if length <= COPY_MAX {
            let mut out = BytesMut::with_capacity(length);
            out.put_slice(&head);
            for cell in cells {
                out.put_slice(&cell.data);
                out.put_u32_le(cell.checksum);
            }
            return Self::full(out.freeze());
        }
        let mut body = Self { ready: VecDeque::new(), cells: None, left: length as u64, watch: None };
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
        let mut body =
            Self { ready: VecDeque::new(), cells: Some(Box::pin(cells)), left: length, watch: None };
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
        self.push(cell.data.clone());
        self.push(Bytes::copy_from_slice(&cell.checksum.to_le_bytes()));
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            let Some(cells) = &mut self.cells else { return Poll::Ready(None) };
            match cells.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(cell))) => self.push_cell(&cell),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => self.cells = None,
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
            self.left = self.left.saturating_sub(bytes.len() as u64);
            if self.left == 0
                && let Some(watch) = &self.watch
            {
                // A connection that has all announced bytes does not ask again.
                watch.ended();
            }
        }
        polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl std::fmt::Debug for OutgoingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutgoingBody({} bytes left)", self.left)
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
