//! Byte streams between processes.

use std::{io, net::SocketAddr};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, lookup_host},
};

/// How long an accepted peer may leave sent bytes unacknowledged, or its window closed, before the connection is broken:
/// without a bound, a client that stops reading would hold its connection and its buffers for ever.
const PEER_SILENCE_MS: u32 = 60_000;

/// A byte stream to a peer.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// A bound address that accepts connections.
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    /// The next connection and its peer's address. An error concerns one connection or a passing shortage (such as
    /// of file descriptors); the listener stays usable.
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, SocketAddr)>;
    /// The address that is bound.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

/// A network.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Listens on `address`.
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>>;
    /// Connects to `host:port`, resolving the name.
    async fn connect(&self, authority: &str) -> io::Result<Box<dyn Connection>>;
    /// The addresses of `host:port`. A network without names has that alone which is written.
    async fn resolve(&self, authority: &str) -> io::Result<Vec<SocketAddr>> {
        let address = authority.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(vec![address])
    }
}

/// The machine's TCP, with Nagle's algorithm off.
#[derive(Debug, Clone, Copy)]
pub struct RealNetwork;

#[async_trait]
impl Network for RealNetwork {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(TcpListener::bind(address).await?))
    }

    async fn connect(&self, authority: &str) -> io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn resolve(&self, authority: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host(authority).await?.collect())
    }
}

#[async_trait]
impl Listener for TcpListener {
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_tcp_user_timeout(&stream, PEER_SILENCE_MS)?;
        Ok((Box::new(stream), peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}
