//! What goes wrong, and when: all of it from the seed.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    life::Standing,
    loss::{self, Losses},
    network::{Conduct, Machine},
    process::Process,
    rng::Rng,
    role::Role,
    site::Site,
    time::{self, SimClock},
};

/// Size of every machine's disk.
pub(crate) const DISK_BYTES: u64 = 4 << 30;

/// How wrong a wall clock may be, either way.
const SKEW_MS_MAX: u64 = 3_600_000;

/// The one that makes things go wrong.
pub(crate) struct Nemesis {
    pub(crate) site: Arc<Site>,
    pub(crate) rng: Rng,
    pub(crate) processes: Vec<Arc<Process>>,
    pub(crate) onlookers: Vec<Machine>,
    pub(crate) database_clock: SimClock,
    /// What was destroyed: one disk of a world. Every coding bears that, and before another is lost it is to be rebuilt.
    pub(crate) losses: Losses,
}

impl Nemesis {
    /// Makes things go wrong for this long, then lets everything be repaired.
    pub(crate) async fn rage(mut self, duration: Duration) {
        let conduct = Conduct {
            latency_ms: (1, self.rng.between(2, 12)),
            slow_once_in: self.rng.between(100, 1000),
            break_once_in: self.rng.between(300, 3000),
        };
        self.site.net.set_conduct(conduct);
        let until = time::now() + duration;
        // Faults whose end is awaited. More than one may be there at a time.
        let mut pending = JoinSet::new();
        while time::now() < until {
            time::sleep_ms(self.rng.between(200, 2500)).await;
            self.do_harm(&mut pending).await;
        }
        while pending.join_next().await.is_some() {}
        self.repair();
    }

    /// Ends every fault that is still there.
    fn repair(&self) {
        self.site.net.set_conduct(Conduct::CALM);
        self.site.net.mend_all();
        // The database's clock is not turned back any more: what is due by it comes due.
        self.database_clock.skew(i64::try_from(SKEW_MS_MAX).expect("an hour"));
        for process in &self.processes {
            process.disk.set_capacity(DISK_BYTES);
            process.want();
        }
        self.note("repair", "all", [0; 3]);
    }

    async fn do_harm(&mut self, pending: &mut JoinSet<()>) {
        match self.rng.below(100) {
            0..20 => self.end_process(pending),
            20..32 => self.cut_power_between_calls(pending),
            32..36 => self.black_out(pending),
            36..48 => self.cut_link(pending),
            48..58 => self.isolate(pending),
            58..72 => {
                self.note("break", "connections", [0; 3]);
                self.site.net.break_connections();
            }
            72..82 => self.turn_clock(),
            82..89 => self.fail_disk(pending),
            89..97 => self.fill_disk(pending),
            _ => self.destroy_disk(pending).await,
        }
    }

    fn note(&self, what: &'static str, subject: &str, numbers: [u64; 3]) {
        self.site.trace.event(what, &subject.into(), numbers);
    }

    fn process(&mut self) -> Arc<Process> {
        self.rng.pick(&self.processes).clone()
    }

    fn chunk_service(&mut self) -> Arc<Process> {
        let with_disks: Vec<_> =
            self.processes.iter().filter(|process| process.role == Role::Chunk).cloned().collect();
        self.rng.pick(&with_disks).clone()
    }

    /// Kills a process, cuts its machine's power, or asks it to stop.
    fn end_process(&mut self, pending: &mut JoinSet<()>) {
        let process = self.process();
        let way = self.rng.below(3);
        self.note("end process", &process.name, [way, 0, 0]);
        match way {
            0 => process.kill(Standing::Killed),
            1 => process.kill(Standing::PowerLost),
            _ => process.stop(),
        }
        self.want_later(pending, process, 6000);
    }

    /// Cuts a disk's power between two calls of its file system.
    fn cut_power_between_calls(&mut self, pending: &mut JoinSet<()>) {
        let process = self.chunk_service();
        let calls = self.rng.below(30);
        self.note("power to end", &process.name, [calls, 0, 0]);
        process.disk.cut_power_after(calls);
        self.want_later(pending, process, 3000);
    }

    /// Cuts the power of all chunk services at once.
    fn black_out(&mut self, pending: &mut JoinSet<()>) {
        self.note("black-out", "chunk services", [0; 3]);
        for process in self.processes.clone() {
            if process.role == Role::Chunk {
                process.kill(Standing::PowerLost);
                self.want_later(pending, process, 2000);
            }
        }
    }

    fn want_later(&mut self, pending: &mut JoinSet<()>, process: Arc<Process>, most_ms: u64) {
        let after = self.rng.between(10, most_ms);
        pending.spawn(async move {
            time::sleep_ms(after).await;
            process.want();
        });
    }

    /// Cuts a link in one direction or in both.
    fn cut_link(&mut self, pending: &mut JoinSet<()>) {
        let (from, to) = (self.process().machine, self.process().machine);
        let both = self.rng.once_in(2);
        self.note("cut link", if both { "both ways" } else { "one way" }, [from.0.into(), to.0.into(), 0]);
        let mut links = vec![(from, to)];
        links.extend(both.then_some((to, from)));
        self.cut(pending, links);
    }

    /// Cuts a machine off from all others, in one direction or in both.
    fn isolate(&mut self, pending: &mut JoinSet<()>) {
        let machine = self.process().machine;
        let way = self.rng.below(3);
        self.note("isolate", "machine", [machine.0.into(), way, 0]);
        let others =
            self.processes.iter().map(|process| process.machine).chain(self.onlookers.iter().copied());
        let others: Vec<_> = others.filter(|other| *other != machine).collect();
        let incoming = others.iter().map(|other| (*other, machine)).filter(|_| way != 0);
        let outgoing = others.iter().map(|other| (machine, *other)).filter(|_| way != 1);
        self.cut(pending, incoming.chain(outgoing).collect());
    }

    fn cut(&mut self, pending: &mut JoinSet<()>, links: Vec<(Machine, Machine)>) {
        let net = self.site.net.clone();
        let lasts = self.rng.between(100, 9000);
        links.iter().for_each(|(from, to)| net.cut(*from, *to));
        pending.spawn(async move {
            time::sleep_ms(lasts).await;
            links.iter().for_each(|(from, to)| net.mend(*from, *to));
        });
    }

    /// Sets a wall clock wrong: of a process, or of the database.
    fn turn_clock(&mut self) {
        let process = self.process();
        let clock = if self.rng.once_in(4) { &self.database_clock } else { &process.clock };
        let ahead = i64::try_from(self.rng.below(2 * SKEW_MS_MAX)).expect("two hours");
        let skew = ahead - i64::try_from(SKEW_MS_MAX).expect("an hour");
        clock.skew(skew);
        self.note("turn clock", &process.name, [skew.unsigned_abs(), u64::from(skew < 0), 0]);
    }

    /// Makes a disk's next sync fail. Its operator starts the machine again a while later, which it has to survive.
    fn fail_disk(&mut self, pending: &mut JoinSet<()>) {
        let process = self.chunk_service();
        self.note("fail disk", &process.name, [0; 3]);
        process.disk.fail_next_sync();
        let (works, restarts) = (self.rng.between(500, 6000), self.rng.between(100, 2000));
        pending.spawn(async move {
            time::sleep_ms(works).await;
            process.kill(Standing::PowerLost);
            // If it were to fail afterwards, nobody would start it again.
            process.disk.fail_no_sync();
            time::sleep_ms(restarts).await;
            process.want();
        });
    }

    /// Destroys a disk for good, with all that is on it, whether its service runs or not. It is replaced by an empty one.
    async fn destroy_disk(&mut self, pending: &mut JoinSet<()>) {
        if !self.losses.may_destroy() {
            return;
        }
        let process = self.chunk_service();
        let lost = loss::destroy(&self.site, &process, &self.losses, &mut self.rng).await;
        self.note("destroy disk", &process.name, [u64::from(lost.is_some()), 0, 0]);
        if let Some(lost) = lost {
            pending.spawn(lost.replace(self.site.clone(), self.rng.fork("loss")));
        }
    }

    /// Leaves a disk hardly any room for a while.
    fn fill_disk(&mut self, pending: &mut JoinSet<()>) {
        let process = self.chunk_service();
        let room = self.rng.below(200_000);
        self.note("fill disk", &process.name, [room, 0, 0]);
        // What shards may take ends at a reserve.
        process.disk.set_capacity(process.disk.used() + room + (64 << 20));
        let lasts = self.rng.between(500, 6000);
        pending.spawn(async move {
            time::sleep_ms(lasts).await;
            process.disk.set_capacity(DISK_BYTES);
        });
    }
}
