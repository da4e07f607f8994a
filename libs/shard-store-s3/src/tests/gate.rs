//! Stands between a store and its server: passes requests on, or refuses them, or loses their answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
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
    /// Keeps it and passes it on when the mode changes, though the client may be gone by then.
    Hold = 4,
    /// Loses the answers to puts of shards and keeps requests for marks as [`Mode::Hold`] does; passes all else on, so that
    /// the claim stays renewed.
    Orphan = 5,
}

/// A gate on a port of its own.
pub(super) struct Gate {
    pub(super) address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    mode: AtomicU8,
    /// Answers to be lost before the gate opens by itself.
    to_lose: AtomicUsize,
    /// Requests for marks that are held, or were.
    marks_held: AtomicUsize,
    /// Of those, how many were answered.
    marks_answered: AtomicUsize,
    /// Requests that put shards, passed on or not.
    shard_puts: AtomicUsize,
}

impl Gate {
    pub(super) async fn start(env: &Env, server: &str) -> Self {
        let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_address().unwrap().to_string();
        let state = Arc::<State>::default();
        let (own_env, own_state, server) = (env.clone(), state.clone(), server.to_owned());
        env.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let pass = pass(own_env.clone(), own_state.clone(), client, server.clone());
                own_env.spawn(pass);
            }
        });
        Self { address, state }
    }

    pub(super) fn set(&self, mode: Mode) {
        self.state.to_lose.store(usize::MAX, Ordering::SeqCst);
        self.state.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Loses so many answers and then opens.
    pub(super) fn lose_answers(&self, count: usize) {
        self.state.to_lose.store(count, Ordering::SeqCst);
        self.state.mode.store(Mode::LoseAnswers as u8, Ordering::SeqCst);
    }

    /// Requests that put shards and have come so far.
    pub(super) fn shard_puts(&self) -> usize {
        self.state.shard_puts.load(Ordering::SeqCst)
    }

    /// Requests for marks that have been held, and how many of them the server has answered since.
    pub(super) fn marks_held(&self) -> (usize, usize) {
        (self.state.marks_held.load(Ordering::SeqCst), self.state.marks_answered.load(Ordering::SeqCst))
    }
}

async fn pass(env: Env, state: Arc<State>, mut client: Box<dyn Connection>, server: String) {
    let Ok(mut server) = env.connect(&server).await else { return };
    let is = |wanted: Mode| state.mode.load(Ordering::SeqCst) == wanted as u8;
    let mut held_marks = false;
    let mut loses_answer = false;
    let [mut from_client, mut from_server] = [vec![0; 64 << 10], vec![0; 64 << 10]];
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(length @ 1..) = read else { return };
                let text = String::from_utf8_lossy(&from_client[..length]);
                let line = text.lines().next().unwrap_or_default();
                let puts_shard = line.starts_with("PUT ") && line.contains("/shards/");
                state.shard_puts.fetch_add(usize::from(puts_shard), Ordering::SeqCst);
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
                let marks = text.contains("/marks/");
                loses_answer |= puts_shard && is(Mode::Orphan);
                if is(Mode::Hold) || marks && is(Mode::Orphan) {
                    held_marks = marks;
                    state.marks_held.fetch_add(usize::from(held_marks), Ordering::SeqCst);
                    while is(Mode::Hold) || is(Mode::Orphan) {
                        env.sleep(Duration::from_millis(5)).await;
                    }
                }
                if server.write_all(&from_client[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(length @ 1..) = read else { return };
                state.marks_answered.fetch_add(usize::from(std::mem::take(&mut held_marks)), Ordering::SeqCst);
                if loses_answer {
                    return;
                }
                if is(Mode::LoseAnswers) {
                    let left = state.to_lose.load(Ordering::SeqCst) - 1;
                    state.to_lose.store(left, Ordering::SeqCst);
                    if left == 0 {
                        state.mode.store(Mode::Open as u8, Ordering::SeqCst);
                    }
                    return;
                }
                if is(Mode::Shut) || client.write_all(&from_server[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
