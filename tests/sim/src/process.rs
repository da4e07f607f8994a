//! A process on a machine of its own: started, killed, started again.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use env::Env;
use service_kit::{ShutdownTrigger, shutdown_channel};
use tokio::sync::watch;

use crate::{
    disk::SimDisk,
    life::{Life, Standing},
    network::Machine,
    rng::SharedRng,
    role::{self, Role},
    site::Site,
    time::{self, SimClock},
};

/// A process, over all of its lives.
pub(crate) struct Process {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) machine: Machine,
    pub(crate) disk: SimDisk,
    /// The folders of a chunk service, each of which stands for a disk.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) clock: SimClock,
    pub(crate) rng: SharedRng,
    running: Mutex<Option<Running>>,
    wanted: watch::Sender<bool>,
    lives: AtomicU64,
}

struct Running {
    life: Arc<Life>,
    trigger: ShutdownTrigger,
}

impl Process {
    /// A process that runs once [`Process::keep_running`] does.
    pub(crate) fn new(
        role: Role,
        machine: Machine,
        disk: SimDisk,
        folders: Vec<PathBuf>,
        rng: SharedRng,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: format!("{role:?} {}", machine.0).into(),
            role,
            machine,
            disk,
            folders,
            clock: SimClock::default(),
            rng,
            running: Mutex::default(),
            wanted: watch::Sender::new(true),
            lives: AtomicU64::new(0),
        })
    }

    /// Starts the process, and again whenever it has ended, as long as it is wanted.
    pub(crate) async fn keep_running(self: Arc<Self>, site: Arc<Site>) {
        let mut wanted = self.wanted.subscribe();
        loop {
            // The sender lives as long as `self`.
            let _ = wanted.wait_for(|wanted| *wanted).await;
            site.net.set_power(self.machine, true);
            let number = self.lives.fetch_add(1, Ordering::Relaxed);
            let life = Life::new(self.rng.with(|rng| rng.fork("life")), site.slow_work_once_in());
            self.rng.with(|rng| rng.next());
            let (trigger, shutdown) = shutdown_channel();
            let env =
                site.env(self.machine, &self.clock, self.rng.clone(), self.disk.of(life.clone()), &life);
            site.trace.event("start", &self.name, [number, 0, 0]);
            let task = env.spawn(role::run(self.clone(), site.clone(), env.clone(), shutdown));
            *self.running() = Some(Running { life: life.clone(), trigger });
            tokio::select! { biased; () = life.dead() => {}, _ = task => {} }
            life.end(Standing::Killed);
            let standing = life.standing();
            if standing == Standing::PowerLost {
                site.net.set_power(self.machine, false);
            }
            site.trace.event("end", &self.name, [number, u64::from(standing == Standing::PowerLost), 0]);
            *self.running() = None;
            // Its tasks, which are aborted, go away meanwhile.
            let pause = self.rng.with(|rng| rng.between(5, 300));
            time::sleep_ms(pause).await;
            self.disk.restart(standing);
        }
    }

    /// Ends the process now. It does not start again before [`Process::want`].
    pub(crate) fn kill(&self, standing: Standing) {
        self.wanted.send_replace(false);
        if let Some(running) = &*self.running() {
            running.life.end(standing);
        }
    }

    /// Asks the process to stop in order. It does not start again before [`Process::want`].
    pub(crate) fn stop(&self) {
        self.wanted.send_replace(false);
        if let Some(running) = &*self.running() {
            running.trigger.begin();
        }
    }

    /// Lets the process run, if it does not.
    pub(crate) fn want(&self) {
        self.wanted.send_replace(true);
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().expect("nobody panics with it")
    }
}

/// An environment of someone who outlives every fault: clients and the auditor.
pub(crate) fn onlooker(site: &Site, machine: Machine) -> Env {
    let rng = site.rng.fork(&format!("onlooker {}", machine.0));
    let life = Life::new(rng.clone(), u64::MAX);
    let disk = SimDisk::new("none", rng.clone(), site.trace.clone(), 0, false);
    site.env(machine, &SimClock::default(), SharedRng::new(rng), disk.of(life.clone()), &life)
}
