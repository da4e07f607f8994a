//! Stands between a store and its server: passes requests on, or refuses them, or loses their answers.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use env::{Connection, Env};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a gate does with what comes from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Passes it on.
    Open = 0,
    /// Answers 503 in the server's stead.
    SlowDown = 1,
    /// Passes it on, and hangs up instead of passing the answer on.
    LoseAnswers = 2,
    /// Hangs up.
    Shut = 3,
}

/// A gate on a port of its own.
pub(super) struct Gate {
    pub(super) address: String,
    mode: Arc<AtomicU8>,
}

impl Gate {
    pub(super) async fn start(env: &Env, server: &str) -> Self {
        let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_address().unwrap().to_string();
        let mode = Arc::new(AtomicU8::new(0));
        let (own_env, own_mode, server) = (env.clone(), mode.clone(), server.to_owned());
        env.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let pass = pass(own_env.clone(), own_mode.clone(), client, server.clone());
                own_env.spawn(pass);
            }
        });
        Self { address, mode }
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

async fn pass(env: Env, mode: Arc<AtomicU8>, mut client: Box<dyn Connection>, server: String) {
    let Ok(mut server) = env.connect(&server).await else { return };
    let is = |wanted: Mode| mode.load(Ordering::SeqCst) == wanted as u8;
    let [mut from_client, mut from_server] = [vec![0; 64 << 10], vec![0; 64 << 10]];
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(length @ 1..) = read else { return };
                if is(Mode::Shut) {
                    return;
                }
                if is(Mode::SlowDown) {
                    let text = "<Error><Code>SlowDown</Code></Error>";
                    let answer = format!(
                        "HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
                        text.len()
                    );
                    let _ = client.write_all(answer.as_bytes()).await;
                    return;
                }
                if server.write_all(&from_client[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(length @ 1..) = read else { return };
                if is(Mode::LoseAnswers) || is(Mode::Shut) || client.write_all(&from_server[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
