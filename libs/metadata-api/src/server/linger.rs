//! A stream that closes without losing what it said last.
//!
//! A socket that is closed while bytes of the peer are unread is reset, and a peer that is told so may never read the
//! last answers or which of its calls were not begun. Therefore a connection that ends first says so, then reads on
//! until the peer has closed its side, too. Source: RFC 9112, section 9.6, whose reason holds for HTTP/2 as well.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use env::Env;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long the peer may take to close its side.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// A stream whose shutdown waits for the peer's.
pub(super) struct Linger<S> {
    stream: S,
    env: Env,
    /// Ends when the peer has had its time; there once this side is closed.
    limit: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> Linger<S> {
    pub(super) fn new(stream: S, env: Env) -> Self {
        Self { stream, env, limit: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
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
        let this = &mut *self;
        let limit = match &mut this.limit {
            Some(limit) => limit,
            closed @ None => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
                let env = this.env.clone();
                closed.insert(Box::pin(async move { env.sleep(LINGER_TIME).await }))
            }
        };
        loop {
            let mut scratch = [0; 1024];
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                // The end, or a stream that is broken anyway.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        limit.as_mut().poll(context).map(Ok)
    }
}
