//! An orderly stop, told to every part of a service at once.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Tells that the service is to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    receiver: watch::Receiver<bool>,
}

/// Begins the stop; dropping it begins the stop too.
#[derive(Debug)]
pub struct ShutdownTrigger {
    sender: watch::Sender<bool>,
}

/// A stop that has not begun, and the trigger that begins it.
pub fn shutdown_channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger { sender }, Shutdown { receiver })
}

impl ShutdownTrigger {
    /// Begins the stop.
    pub fn begin(&self) {
        self.sender.send_replace(true);
    }
}

impl Shutdown {
    /// Waits until the stop begins.
    pub async fn begun(&self) {
        let mut receiver = self.receiver.clone();
        // An error means that the trigger is gone, which begins the stop as well.
        let _ = receiver.wait_for(|begun| *begun).await;
    }

    /// Whether the stop has begun.
    pub fn has_begun(&self) -> bool {
        *self.receiver.borrow() || self.receiver.has_changed().is_err()
    }
}

/// A stop that begins with SIGINT (Ctrl-C) or SIGTERM. A second signal ends the process at once with status 130.
pub fn shutdown_on_signals(env: &env::Env) -> std::io::Result<Shutdown> {
    let (trigger, shutdown) = shutdown_channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    env.spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        tracing::info!("stopping: finishing requests in flight; a second signal stops at once");
        trigger.begin();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130);
    });
    Ok(shutdown)
}
