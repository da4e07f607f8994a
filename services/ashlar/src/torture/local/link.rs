//! A connection between services that can be made slow, one-way or broken: a proxy on loopback.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use env::{Connection, Env, Listener, Task};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::{Semaphore, watch},
};

/// Connections through one link at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;
/// Bytes on their way in each direction of a connection.
const BUFFER: usize = 256 << 10;

/// What a link does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Carries them.
    Open,
    /// Carries each piece so much later.
    Slow(Duration),
    /// Holds those of one direction, or of both, until the link is open again, as packets that are lost and sent
    /// anew; connections stay.
    Hole { requests: bool, answers: bool },
    /// Breaks connections, and every new one at once.
    Broken,
}

/// A proxy in front of one service.
pub(crate) struct Link {
    /// Who connects through it.
    pub(crate) from: String,
    /// Who is behind it.
    pub(crate) to: String,
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepting: Task<()>,
}

impl Link {
    /// Listens on a free port of loopback for connections to `upstream`.
    pub(crate) async fn open(env: &Env, from: &str, to: &str, upstream: SocketAddr) -> io::Result<Self> {
        let listener = env.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_address()?;
        let (mode, modes) = watch::channel(Mode::Open);
        let accepting = env.spawn(accept(env.clone(), listener, upstream, modes));
        Ok(Self { from: from.to_owned(), to: to.to_owned(), address, mode, accepting })
    }

    /// From now on it does this.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(env: Env, listener: Box<dyn Listener>, upstream: SocketAddr, modes: watch::Receiver<Mode>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        // What fails concerns one connection, or passes.
        let Ok((client, _)) = listener.accept().await else {
            env.sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (own_env, mut modes) = (env.clone(), modes.clone());
        env.spawn(async move {
            let mut broken = modes.clone();
            tokio::select! {
                // Dropping both ends breaks the connection; that is all a peer would see of an error.
                _ = carry(&own_env, client, upstream, &mut modes) => {}
                _ = broken.wait_for(|mode| *mode == Mode::Broken) => {}
            }
            drop(place);
        });
    }
}

async fn carry(
    env: &Env,
    client: Box<dyn Connection>,
    upstream: SocketAddr,
    modes: &mut watch::Receiver<Mode>,
) -> io::Result<()> {
    passes(modes, |mode| !matches!(mode, Mode::Hole { .. })).await?;
    let server = env.connect(&upstream.to_string()).await?;
    let (client_read, client_write) = split(client);
    let (server_read, server_write) = split(server);
    let requests = pump(env, client_read, server_write, modes.clone(), |mode| {
        !matches!(mode, Mode::Hole { requests: true, .. })
    });
    let answers = pump(env, server_read, client_write, modes.clone(), |mode| {
        !matches!(mode, Mode::Hole { answers: true, .. })
    });
    tokio::try_join!(requests, answers).map(drop)
}

async fn pump(
    env: &Env,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut modes: watch::Receiver<Mode>,
    open: fn(&Mode) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        let mode = passes(&mut modes, open).await?;
        if let Mode::Slow(delay) = mode {
            env.sleep(delay).await;
        }
        let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(piece).await?;
    }
}

/// Waits until the link lets bytes through.
async fn passes(modes: &mut watch::Receiver<Mode>, open: fn(&Mode) -> bool) -> io::Result<Mode> {
    modes.wait_for(open).await.map(|mode| *mode).map_err(|_| io::ErrorKind::ConnectionAborted.into())
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use env::{Connection, Env};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Link, Mode};

    /// A link to a server that sends back what it is sent.
    async fn echo(env: &Env) -> Link {
        let listener = env.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_address().unwrap();
        let own_env = env.clone();
        env.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                own_env.spawn(async move {
                    let (mut read, mut write) = tokio::io::split(connection);
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        Link::open(env, "client", "echo", address).await.unwrap()
    }

    async fn connect(env: &Env, link: &Link) -> Box<dyn Connection> {
        env.connect(&link.address.to_string()).await.unwrap()
    }

    async fn ask(connection: &mut Box<dyn Connection>) -> std::io::Result<[u8; 4]> {
        connection.write_all(b"ping").await?;
        let mut answer = [0; 4];
        connection.read_exact(&mut answer).await.map(|_| answer)
    }

    #[tokio::test]
    async fn a_hole_holds_bytes_until_it_is_closed() {
        let env = Env::real();
        let link = echo(&env).await;
        let mut connection = connect(&env, &link).await;
        assert_eq!(ask(&mut connection).await.unwrap(), *b"ping");
        for (requests, answers) in [(true, false), (false, true), (true, true)] {
            link.set(Mode::Hole { requests, answers });
            let held = env.timeout(Duration::from_millis(50), ask(&mut connection)).await;
            assert!(held.is_err(), "{held:?}");
            link.set(Mode::Open);
            let mut late = [0; 4];
            connection.read_exact(&mut late).await.unwrap();
            assert_eq!(late, *b"ping");
        }
    }

    #[tokio::test]
    async fn a_broken_link_breaks_connections_old_and_new_and_comes_back() {
        let env = Env::real();
        let link = echo(&env).await;
        let mut old = connect(&env, &link).await;
        ask(&mut old).await.unwrap();
        link.set(Mode::Broken);
        ask(&mut old).await.unwrap_err();
        ask(&mut connect(&env, &link).await).await.unwrap_err();
        link.set(Mode::Open);
        assert_eq!(ask(&mut connect(&env, &link).await).await.unwrap(), *b"ping");
    }

    #[tokio::test]
    async fn a_slow_link_is_slow() {
        let env = Env::real();
        let link = echo(&env).await;
        let mut connection = connect(&env, &link).await;
        link.set(Mode::Slow(Duration::from_millis(30)));
        let begun = env.now();
        ask(&mut connection).await.unwrap();
        assert!(env.now().since(begun) >= Duration::from_millis(60));
    }
}
