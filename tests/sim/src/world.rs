//! A world: a cluster, its clients, what goes wrong in it, and what is checked.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use env::Env;
use http::Method;
use metadata_api::{
    Metadata, StorageClassDefinition,
    fake::{Fake, Options},
};
use types::StorageClassName;

use crate::{
    audit::{EverNamed, audit, unrest},
    client::{BUCKET, Client, VERSIONED},
    database::Database,
    disk::SimDisk,
    drains::DiskOperator,
    history::{Counts, History},
    life::Life,
    loss::Losses,
    nemesis::{DISK_BYTES, Nemesis},
    network::{Machine, Net},
    operator::{move_to_a_class, operate},
    process::{Process, onlooker},
    rng::{Rng, SharedRng},
    role::Role,
    s3::{Call, S3},
    sabotage::Sabotage,
    site::{PORT, Site},
    time::{self, SimClock},
    trace::Trace,
};

/// How long things go wrong.
const RAGE: Duration = Duration::from_secs(30);

/// How long a cluster without faults may take to be ready, to answer every read, and to come to rest.
const REPAIR_LIMIT: Duration = Duration::from_secs(300);

/// Requests of each client: so few that two hundred worlds take about a minute, unoptimised.
const REQUESTS: u32 = 24;

/// What a world is to be like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Nothing goes wrong.
    pub(crate) calm: bool,
    pub(crate) sabotage: Option<Sabotage>,
}

/// What became of it.
pub(crate) struct Report {
    pub(crate) counts: Counts,
    pub(crate) good_shards: u64,
    pub(crate) disks_lost: usize,
    pub(crate) time: Duration,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { counts, good_shards, disks_lost, time } = self;
        let Counts { acknowledged, read, unknown, refused, completed, aborted, raced, removed, .. } = counts;
        let Counts { renamed, repeated, copied, ranges, continued, .. } = counts;
        let Counts { drained, taken_back, disks_removed, .. } = counts;
        write!(f, "acknowledged: {acknowledged}, read: {read}, unknown: {unknown}, refused: {refused}, ")?;
        write!(f, "uploads completed: {completed}, uploads aborted: {aborted}, uploads raced: {raced}, ")?;
        write!(f, "versions removed: {removed}, renamed: {renamed}, renames repeated: {repeated}, ")?;
        write!(f, "parts copied: {copied}, ranges copied: {ranges}, pages continued: {continued}, ")?;
        write!(f, "drained: {drained}, taken back: {taken_back}, disks removed: {disks_removed}, ")?;
        write!(f, "disks lost: {disks_lost}, ")?;
        write!(f, "good shards: {good_shards}, virtual time: {time:?}")
    }
}

/// Runs a world from its beginning to the last check. An error says what was found.
pub(crate) async fn run(plan: Plan, trace: Trace) -> Result<Report, String> {
    let mut rng = Rng::new(plan.seed);
    let world = World::new(plan, &mut rng, trace).await;
    world.start().await?;
    world.live(&mut rng).await;
    world.come_to_rest().await
}

struct World {
    plan: Plan,
    site: Arc<Site>,
    processes: Vec<Arc<Process>>,
    history: History,
    ever: EverNamed,
    losses: Losses,
    keys: Vec<String>,
    versioned_keys: Vec<String>,
    auditor: Env,
    database_clock: SimClock,
}

impl World {
    async fn new(plan: Plan, rng: &mut Rng, trace: Trace) -> Self {
        let coding = *rng.pick(&["2+1", "2+1", "1+2", "2+2", "2+2", "3+2"]);
        let coding: types::Coding = coding.parse().expect("a coding");
        let net = Net::new(rng.fork("network"), trace.clone());
        let metadata_machines: Vec<Machine> = (1..=rng.between(1, 2)).map(machine).collect();
        let database_clock = SimClock::default();
        let site = Site {
            rng: rng.clone(),
            trace: trace.clone(),
            net: net.clone(),
            database: Arc::new(Database {
                fake: database(&net, &trace, rng, &database_clock),
                sabotage: plan.sabotage,
            }),
            metadata: metadata_machines
                .iter()
                .map(|machine| format!("{}:{PORT}", machine.address()))
                .collect(),
            down_after_seconds: *rng.pick(&[10, 15, 30]),
            sabotage: plan.sabotage,
            calm: plan.calm,
        };
        let definition = StorageClassDefinition {
            name: StorageClassName::standard(),
            coding,
            inline_limit_bytes: 100,
            whole_limit_bytes: 4000,
            groups: 4,
            medium: None,
        };
        site.database.define_storage_class(definition).await.expect("the class is good");
        let nodes = coding.total() as u64 + rng.below(2);
        let gateways = rng.between(1, 2);
        let roles = metadata_machines
            .iter()
            .map(|machine| (Role::Metadata, *machine))
            .chain((11..11 + nodes).map(|number| (Role::Chunk, machine(number))))
            .chain((41..41 + gateways).map(|number| (Role::Gateway, machine(number))))
            .chain([(Role::Worker, machine(51))]);
        // One node may have two disks.
        let second_disk = machine(11 + rng.below(2 * nodes));
        let ignores_syncs = plan.sabotage == Some(Sabotage::IgnoredSyncs);
        let processes = roles.map(|(role, machine)| {
            let own = rng.fork(&format!("machine {}", machine.0));
            let name = format!("disk {}", machine.0);
            let disk = SimDisk::new(&name, own.fork("disk"), trace.clone(), DISK_BYTES, ignores_syncs);
            let folders: &[&str] = match role {
                Role::Chunk if machine == second_disk => &["/data-1", "/data-2"],
                Role::Chunk => &["/data"],
                Role::Metadata | Role::Gateway | Role::Worker => &[],
            };
            let folders = folders.iter().map(Into::into).collect();
            Process::new(role, machine, disk, folders, SharedRng::new(own))
        });
        let processes = processes.collect();
        let auditor = onlooker(&site, machine(70));
        let keys: Vec<String> = (0..5).map(|number| format!("key-{number}")).collect();
        let versioned_keys: Vec<String> = (0..2).map(|number| format!("versioned-{number}")).collect();
        Self {
            plan,
            site: Arc::new(site),
            processes,
            history: History::new(&keys, &versioned_keys),
            ever: EverNamed::default(),
            losses: Losses::default(),
            keys,
            versioned_keys,
            auditor,
            database_clock,
        }
    }

    fn client(&self, number: u64) -> Client {
        let name = format!("client {number}");
        let env = onlooker(&self.site, machine(60 + number));
        Client {
            s3: S3::new(env.clone()),
            other_s3: S3::new(env),
            rng: self.site.rng.fork(&name),
            name: name.into(),
            history: self.history.clone(),
            site: self.site.clone(),
            ever: self.ever.clone(),
            gateways: self
                .processes
                .iter()
                .filter(|process| process.role == Role::Gateway)
                .cloned()
                .collect(),
            keys: self.keys.clone(),
            versioned_keys: self.versioned_keys.clone(),
        }
    }

    /// Starts every process and waits until the cluster takes writes.
    async fn start(&self) -> Result<(), String> {
        for process in &self.processes {
            drop(tokio::spawn(process.clone().keep_running(self.site.clone())));
        }
        let mut client = self.client(9);
        for gateway in client.gateways.clone() {
            for target in [format!("/{BUCKET}"), format!("/{VERSIONED}"), format!("/{BUCKET}/first")] {
                let body = if target.ends_with("first") { Bytes::from(vec![7; 1000]) } else { Bytes::new() };
                until("each gateway takes writes", async || {
                    let call = Call::new(Method::PUT, target.clone(), body.clone());
                    let answer = client.s3.send(&gateway, call).await;
                    answer.is_ok_and(|answer| answer.status.is_success() || answer.status.as_u16() == 409)
                })
                .await?;
            }
        }
        let gateway = client.gateways[0].clone();
        until("what was written can be deleted", async || {
            let target = format!("/{BUCKET}/first");
            let answer = client.s3.send(&gateway, Call::new(Method::DELETE, target, Bytes::new())).await;
            answer.is_ok_and(|answer| answer.status.is_success())
        })
        .await?;
        until("versioning is enabled", async || client.begin_versions().await).await
    }

    /// Lets clients work while things go wrong.
    async fn live(&self, rng: &mut Rng) {
        let mut parts = tokio::task::JoinSet::new();
        if !self.plan.calm {
            let nemesis = Nemesis {
                site: self.site.clone(),
                rng: rng.fork("nemesis"),
                processes: self.processes.clone(),
                onlookers: (61..=63).map(machine).collect(),
                database_clock: self.database_clock.clone(),
                losses: self.losses.clone(),
            };
            parts.spawn(nemesis.rage(RAGE));
        }
        let nodes = self.processes.iter().filter(|process| process.role == Role::Chunk).count();
        parts.spawn(operate(self.site.clone(), rng.fork("operator"), nodes));
        parts.spawn(move_to_a_class(self.site.clone(), rng.fork("classes"), nodes));
        let disk_operator = DiskOperator {
            site: self.site.clone(),
            rng: rng.fork("disks"),
            env: onlooker(&self.site, machine(71)),
            processes: self.processes.clone(),
            losses: self.losses.clone(),
            history: self.history.clone(),
        };
        for number in 1..=3 {
            let mut client = self.client(number);
            parts.spawn(async move { client.work(REQUESTS).await });
        }
        let ended = async {
            while let Some(ended) = parts.join_next().await {
                ended.expect("no part of the world panics");
            }
        };
        tokio::join!(biased; disk_operator.work(), ended);
    }

    /// With everything repaired: reads every key and every version, waits until nothing is left to be done, and checks.
    async fn come_to_rest(&self) -> Result<Report, String> {
        let mut client = self.client(8);
        self.read_keys(&mut client).await?;
        until("the bucket can be listed", async || client.list().await).await?;
        for bucket in [BUCKET, VERSIONED] {
            until("what is open can be aborted", async || client.abort_all(bucket).await).await?;
        }
        self.renew_leases().await?;
        let audited = self.audit_until_good().await;
        // Once more: nothing may have come or gone since.
        self.read_keys(&mut client).await?;
        self.read_versions(&mut client).await?;
        self.history.check()?;
        let (counts, disks_lost) = (self.history.counts(), self.losses.disks().len());
        Ok(Report { counts, good_shards: audited?, disks_lost, time: time::now() })
    }

    /// Reads every key, and lists its versions where it has some.
    async fn read_keys(&self, client: &mut Client) -> Result<(), String> {
        for key in &self.keys {
            until(&format!("{key} can be read"), async || client.get(key).await.is_some()).await?;
        }
        for key in &self.versioned_keys {
            let what = format!("{key} and its versions can be read");
            until(&what, async || client.list_versions(key).await).await?;
            until(&what, async || client.get_current(key).await.is_some()).await?;
        }
        Ok(())
    }

    /// Reads every version that there is or ever was.
    async fn read_versions(&self, client: &mut Client) -> Result<(), String> {
        for key in &self.versioned_keys {
            for name in self.history.seen(key) {
                let what = format!("version {} of {key} can be read", self.history.id(name));
                until(&what, async || client.get_version(key, name).await.is_some()).await?;
            }
        }
        Ok(())
    }

    /// Those who write.
    fn writers(&self) -> impl Iterator<Item = &Arc<Process>> {
        self.processes.iter().filter(|process| matches!(process.role, Role::Gateway | Role::Worker))
    }

    /// Stops whoever holds a lease and lets him begin anew: what was written under the old leases and never named may be
    /// freed then. In most worlds the leases of those who were killed are revoked at once, as `ashlar server` does when it
    /// starts; in the others a worker has to find out by their silence, which takes a minute more.
    async fn renew_leases(&self) -> Result<(), String> {
        for process in self.writers() {
            process.stop();
            process.want();
        }
        if self.plan.seed.is_multiple_of(8) {
            return Ok(());
        }
        let leases = self.site.database.list_leases().await.map_err(|error| error.to_string())?;
        for lease in leases {
            let revoked = self.site.database.revoke_lease(lease.id, lease.renewals).await;
            revoked.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Until workers have repaired and freed all that is to be, and the disks have what the database names and no more.
    async fn audit_until_good(&self) -> Result<u64, String> {
        let limit = time::now() + REPAIR_LIMIT;
        loop {
            time::sleep_ms(2000).await;
            let unrest = unrest(&self.site, &self.losses, self.writers().count()).await;
            let unrest = unrest.map_err(|error| error.to_string())?;
            if !unrest.is_empty() && time::now() < limit {
                continue;
            }
            let mut found = match audit(&self.site, &self.auditor, &self.ever, &self.losses).await {
                Ok(findings) if findings.defects().is_empty() => return Ok(findings.good_shards),
                Ok(findings) => findings.defects(),
                Err(reason) => vec![format!("the audit did not come through: {reason}")],
            };
            if time::now() > limit {
                found.extend(unrest);
                return Err(found.join("; "));
            }
            time::sleep_ms(3000).await;
        }
    }
}

fn machine(number: u64) -> Machine {
    Machine(u8::try_from(number).expect("few machines"))
}

fn database(net: &Net, trace: &Trace, rng: &Rng, clock: &SimClock) -> Fake {
    let rng = rng.fork("database");
    let life = Life::new(rng.clone(), u64::MAX);
    let disk = SimDisk::new("database", rng.clone(), trace.clone(), 0, false).of(life.clone());
    let network = net.of(machine(200), life.clone());
    let env =
        Env::new(Arc::new(clock.clone()), Arc::new(SharedRng::new(rng)), Arc::new(network), Arc::new(disk));
    let options = Options { garbage_hold: Duration::from_secs(2), part_size_min: 100, ..Options::default() };
    Fake::with_options(env.simulated(life), options)
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Result<(), String> {
    let limit = time::now() + REPAIR_LIMIT;
    while !is_so().await {
        if time::now() > limit {
            return Err(format!("{what}: not within {REPAIR_LIMIT:?}"));
        }
        time::sleep_ms(200).await;
    }
    Ok(())
}
