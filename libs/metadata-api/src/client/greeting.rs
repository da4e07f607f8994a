//! Whether the peer has spoken yet.
//!
//! A connection that the peer's kernel has accepted need not have reached the service: it may be in the backlog of a
//! process that is frozen or about to end. Whoever sends a request on it cannot tell whether the request was begun.
//! Therefore requests wait for the peer's first bytes, its HTTP/2 settings.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

/// A stream that tells of the first bytes that come in on it.
pub(super) struct Greeted<S> {
    stream: S,
    heard: Option<oneshot::Sender<()>>,
}

impl<S> Greeted<S> {
    /// The stream, and what ends with `Ok` when the peer has spoken and with `Err` when the stream is gone before.
    pub(super) fn new(stream: S) -> (Self, oneshot::Receiver<()>) {
        let (heard, greeting) = oneshot::channel();
        (Self { stream, heard: Some(heard) }, greeting)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before
            && let Some(heard) = self.heard.take()
        {
            // Nobody listens any more when connecting has taken too long.
            let _ = heard.send(());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
