//! Byte streams between processes.

use std::{io, net::SocketAddr};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
};

/// How long an accepted peer may leave sent bytes unacknowledged, or its window closed, before the connection is broken:
/// without a bound, a client that stops reading would hold its connection and its buffers for ever.
const PEER_SILENCE_MS: u32 = 60_000;

/// Connections that the kernel keeps until they are accepted, or fewer where it is told so (`net.core.somaxconn`). Who comes when
/// there are as many tries again after a second.
const BACKLOG: u32 = 4096;

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
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A service that starts again listens where it did, though connections of its last life are still closing.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Box::new(socket.listen(BACKLOG)?))
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

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use tokio::net::TcpStream;

    use super::{Network, RealNetwork};
    use crate::Env;

    /// Many who come at once are kept, until they are accepted, and none of them waits for another attempt.
    #[tokio::test]
    async fn connections_wait_to_be_accepted() {
        let env = Env::real();
        for address in
            [SocketAddr::from(([127, 0, 0, 1], 0)), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0))]
        {
            let Ok(listener) = RealNetwork.listen(address).await else {
                assert!(address.is_ipv6(), "a machine may have no version 6");
                continue;
            };
            let bound = listener.local_address().expect("it is bound");
            let mut connections = Vec::new();
            for number in 0..400 {
                let connecting = env.timeout(Duration::from_millis(900), TcpStream::connect(bound)).await;
                connections
                    .push(connecting.unwrap_or_else(|_| panic!("{number} waits")).expect("it connects"));
            }
            for _ in &connections {
                drop(listener.accept().await.expect("it was kept"));
            }
        }
    }
}
