//! What goes over connections between services.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use env::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Passes connections on and keeps what went over them, up to a bound.
pub(crate) struct Tap {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    const KEPT_MAX: usize = 4 << 20;

    pub(crate) async fn start(env: &Env, to: &str) -> Self {
        let listener = env.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let address = listener.local_address().expect("an address").to_string();
        let (seen, to, own_env) = (Arc::<Mutex<Vec<u8>>>::default(), to.to_owned(), env.clone());
        let kept = seen.clone();
        env.spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let Ok(service) = own_env.connect(&to).await else { continue };
                let (from_caller, to_caller) = tokio::io::split(caller);
                let (from_service, to_service) = tokio::io::split(service);
                own_env.spawn(pass(from_caller, to_service, kept.clone()));
                own_env.spawn(pass(from_service, to_caller, kept.clone()));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<u8> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    kept: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        {
            let mut kept = kept.lock().expect("nobody panics with it");
            if kept.len() < Tap::KEPT_MAX {
                kept.extend_from_slice(&buffer[..length]);
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
