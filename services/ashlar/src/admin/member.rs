//! `ashlar admin node` and `ashlar admin disk`: who belongs to the cluster, and who is to leave.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use admin_api::{Intended, Resource, ShortOfDisks};
use clap::{Args, Subcommand};
use env::{Env, Instant};
use metadata_api::{ClusterMap, DiskState, FormerTarget, Intent, NodeState};
use serde::Serialize;
use types::{DiskId, NodeId};
use worker::{AuditOptions, AuditReport, audit};

use super::{
    audit::lost_in_words,
    connect::{Reached, Remote, Source, failed},
    pace::{Line, Pace},
    status,
};
use crate::Exit;

/// How often a drain's progress is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Time without progress after which it is asked what is lost with disks that are away, and how often after that.
const STALLED: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// For how long, while it waits, questions may fail one after the other until it gives up.
const FAILING_MAX: Duration = Duration::from_secs(600);

/// Most lost objects to show.
const LOSSES_SHOWN: usize = 20;

/// Nodes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ashlar admin node drain 3f9a --wait --metadata meta1:9300")]
pub(crate) struct Node {
    #[command(subcommand)]
    action: Action,
}

/// Disks.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ashlar admin disk remove 07c1 --wait --data ./data")]
pub(crate) struct Disk {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows them.
    #[command(after_help = "Examples:\n  ashlar admin disk list --data ./data\n  \
        ashlar admin node list --metadata meta1:9300")]
    List(List),
    /// Moves all shards elsewhere; reads are served meanwhile.
    #[command(after_help = "Examples:\n  ashlar admin disk drain 07c1 --wait --data ./data\n  \
        ashlar admin node drain 3f9a --wait --timeout 3600 --metadata meta1:9300\n  \
        ashlar admin disk drain 07c1 --endpoint https://s3.example.com\n\n\
        With --wait the exit status is 0 only when no shard is left on it; 7 when some were when the time was over; 8 when a storage \
        class has too few other disks, so that what it keeps there stays until there are more; 1 when the cluster cannot be asked.")]
    Drain(Leave),
    /// Takes a drain or a removal back.
    #[command(after_help = "Examples:\n  ashlar admin disk serve 07c1 --data ./data\n  \
        ashlar admin node serve 3f9a --json --metadata meta1:9300")]
    Serve(Change),
    /// Moves all shards elsewhere, rebuilding those of lost disks, and then forgets the disks for good.
    #[command(after_help = "Examples:\n  ashlar admin disk remove 07c1 --wait --data ./data\n  \
        ashlar admin node remove 3f9a --wait --metadata meta1:9300\n\n\
        A disk that is away is not waited for. Objects of which too few shards are left without it are lost: --wait and `ashlar \
        admin audit` name them, and the disk goes when they are deleted. The exit status of --wait is as that of `drain`.")]
    Remove(Leave),
}

#[derive(Debug, Args)]
struct List {
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct Change {
    /// Its id, or as many of its first digits as tell it from the others.
    id: String,
    /// Shows what is wanted of it from now on as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct Leave {
    /// Waits until no shard is left on it, showing how far it is.
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most; as long as it takes when left out.
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "wait",
        value_parser = clap::value_parser!(u64).range(1..=31_536_000)
    )]
    timeout: Option<u64>,
    #[command(flatten)]
    change: Change,
}

/// What is wanted of a node or disk, and how far that is.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    intended: Intended,
    /// Shard indexes of groups that it still holds or receives; nothing where a gateway was not asked for that too.
    slots: Option<usize>,
}

pub(crate) async fn run_node(env: &Env, node: &Node) -> Result<(), Exit> {
    let (change, leave, intent) = match &node.action {
        Action::List(list) => {
            let nodes = match list.source.remote(env).await? {
                Some(remote) => remote.get(Resource::Nodes, &[]).await?,
                None => {
                    let reached = list.source.reach(env).await?;
                    admin_api::nodes(&reached.map().await?, &reached.jobs().await?)
                }
            };
            super::print(&if list.json { super::as_json(&nodes) } else { status::nodes(&nodes) });
            return Ok(());
        }
        Action::Drain(leave) => (&leave.change, Some(leave), Intent::Drain),
        Action::Serve(change) => (change, None, Intent::Serve),
        Action::Remove(leave) => (&leave.change, Some(leave), Intent::Remove),
    };
    if let Some(remote) = change.source.remote(env).await? {
        return note(env, &remote, Wanted { what: "node", intent }, leave, change).await;
    }
    let reached = change.source.reach(env).await?;
    let id = reached.node(&change.id).await?;
    reached.metadata.set_node_intent(id, intent).await.map_err(failed)?;
    let disks_of = |map: &ClusterMap| Intended::disks_of_node(map, id);
    let at = At::Cluster { reached: &reached, disks_of: &disks_of };
    Noted { env, at, wanted: Wanted { what: "node", intent }, id: id.to_string() }
        .finish(leave, change.json)
        .await
}

pub(crate) async fn run_disk(env: &Env, disk: &Disk) -> Result<(), Exit> {
    let (change, leave, intent) = match &disk.action {
        Action::List(list) => {
            let disks = match list.source.remote(env).await? {
                Some(remote) => remote.get(Resource::Disks, &[]).await?,
                None => {
                    let reached = list.source.reach(env).await?;
                    admin_api::disks(&reached.map().await?, &reached.jobs().await?)
                }
            };
            super::print(&if list.json { super::as_json(&disks) } else { status::disks(&disks) });
            return Ok(());
        }
        Action::Drain(leave) => (&leave.change, Some(leave), Intent::Drain),
        Action::Serve(change) => (change, None, Intent::Serve),
        Action::Remove(leave) => (&leave.change, Some(leave), Intent::Remove),
    };
    if let Some(remote) = change.source.remote(env).await? {
        return note(env, &remote, Wanted { what: "disk", intent }, leave, change).await;
    }
    let reached = change.source.reach(env).await?;
    let id = reached.disk(&change.id).await?;
    reached.metadata.set_disk_intent(id, intent).await.map_err(failed)?;
    let disks_of = |_: &ClusterMap| vec![id];
    let at = At::Cluster { reached: &reached, disks_of: &disks_of };
    Noted { env, at, wanted: Wanted { what: "disk", intent }, id: id.to_string() }
        .finish(leave, change.json)
        .await
}

/// Has a gateway note it.
async fn note(
    env: &Env,
    remote: &Remote,
    wanted: Wanted,
    leave: Option<&Leave>,
    change: &Change,
) -> Result<(), Exit> {
    let id = remote.member(wanted.what, &change.id).await?;
    let intended = remote.change(wanted.change(), &id).await?;
    let at = At::Gateway { remote, intended: Mutex::new(intended) };
    Noted { env, at, wanted, id }.finish(leave, change.json).await
}

/// What is wanted of what.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// `node` or `disk`.
    what: &'static str,
    intent: Intent,
}

impl Wanted {
    fn change(self) -> admin_api::Change {
        match self.what {
            "node" => admin_api::Change::Node(self.intent),
            _ => admin_api::Change::Disk(self.intent),
        }
    }
}

/// Who was told, and is asked how far it is.
enum At<'a> {
    Cluster {
        reached: &'a Reached,
        /// The disks that it is about, by the map of now.
        disks_of: &'a (dyn Fn(&ClusterMap) -> Vec<DiskId> + Sync),
    },
    Gateway {
        remote: &'a Remote,
        /// What it answered last.
        intended: Mutex<Intended>,
    },
}

/// How far it is.
struct Seen {
    intended: Intended,
    /// As of [`Told`].
    slots: usize,
    /// Whether a disk of it does not answer.
    is_away: bool,
}

impl Seen {
    fn told(self) -> Told {
        Told { intended: self.intended, slots: Some(self.slots) }
    }
}

fn locked(intended: &Mutex<Intended>) -> MutexGuard<'_, Intended> {
    intended.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was said of a node or disk.
struct Noted<'a> {
    env: &'a Env,
    at: At<'a>,
    wanted: Wanted,
    id: String,
}

/// How the waiting for it ended.
enum End {
    Empty,
    TimedOut,
    /// Something stays on it until there are more disks.
    Short,
}

impl Noted<'_> {
    /// Says what was done and, when asked to, waits until it is complete.
    async fn finish(self, leave: Option<&Leave>, as_json: bool) -> Result<(), Exit> {
        let Some(leave) = leave.filter(|leave| leave.wait) else {
            // Whoever may change it may not have the right to look at all disks.
            let told = match &self.at {
                At::Cluster { .. } => self.look().await?.told(),
                At::Gateway { intended, .. } => Told { intended: locked(intended).clone(), slots: None },
            };
            told.intended.short_of_disks.iter().for_each(|short| eprintln!("{}", self.in_words(short)));
            let words = match self.wanted.intent {
                Intent::Serve => "it serves\n",
                Intent::Drain | Intent::Remove => {
                    "noted; workers move its shards from now on (`ashlar admin status` shows how far they are)\n"
                }
            };
            super::print(&if as_json { super::as_json(&told) } else { words.to_owned() });
            return Ok(());
        };
        let (seen, end) = self.wait(leave.timeout.map(Duration::from_secs)).await?;
        let (slots, told) = (seen.slots, seen.told());
        if as_json {
            super::print(&super::as_json(&told));
        }
        match end {
            End::Empty if as_json => Ok(()),
            End::Empty => {
                super::print("no shard is left on it\n");
                Ok(())
            }
            End::TimedOut => {
                Err(Exit::new(Exit::WAITS, format!("{slots} group slots are left on it, which goes on")))
            }
            End::Short => {
                let short = told.intended.short_of_disks.iter().map(|short| self.in_words(short));
                Err(Exit::new(Exit::BLOCKED, short.collect::<Vec<_>>().join("\n")))
            }
        }
    }

    async fn look(&self) -> Result<Seen, Exit> {
        match &self.at {
            At::Cluster { reached, disks_of } => {
                let map = reached.map().await?;
                let disks = disks_of(&map);
                let intended = Intended::new(self.id.clone(), self.wanted.intent, &map, &disks);
                Ok(Seen { intended, slots: slots_on(&map, &disks), is_away: is_away(&map, &disks) })
            }
            At::Gateway { remote, intended } => {
                let disks: Vec<admin_api::Disk> = remote.get(Resource::Disks, &[]).await?;
                let is_its = |disk: &&admin_api::Disk| {
                    let id = if self.wanted.what == "node" { &disk.node } else { &disk.disk };
                    *id == self.id
                };
                let slots = disks.iter().filter(is_its).map(|disk| disk.groups + disk.arriving).sum();
                let is_away = disks.iter().filter(is_its).any(|disk| disk.state == "down");
                Ok(Seen { intended: locked(intended).clone(), slots, is_away })
            }
        }
    }

    /// Finds out why nothing moves.
    async fn find_out(&self) -> Result<AuditReport, Exit> {
        match &self.at {
            At::Cluster { reached, .. } => Losses::find(reached).await,
            At::Gateway { remote, intended } => {
                // To say it again changes nothing, and is answered with the classes that are short of disks now.
                let again = remote.change(self.wanted.change(), &self.id).await?;
                *locked(intended) = again;
                Ok(AuditReport::default())
            }
        }
    }

    /// Whether it is worth finding that out: what is lost with a disk takes an audit, and that takes a cluster.
    fn is_unclear(&self, seen: &Seen) -> bool {
        match self.at {
            At::Cluster { .. } => self.wanted.intent == Intent::Remove && seen.is_away,
            At::Gateway { .. } => true,
        }
    }

    fn in_words(&self, short: &ShortOfDisks) -> String {
        let ShortOfDisks { class, disks_needed, disks_left } = short;
        format!(
            "storage class {class} needs {disks_needed} disks and {disks_left} are left to it: what it keeps there stays until disks are \
             added; `ashlar admin {} serve {}` takes it back",
            self.wanted.what, self.id
        )
    }

    async fn wait(&self, time: Option<Duration>) -> Result<(Seen, End), Exit> {
        let env = self.env;
        let until = time.map(|time| env.now().after(time));
        let (mut pace, mut line) = (Pace::default(), Line::new());
        let mut losses = Losses { least: usize::MAX, next: env.now() };
        let (mut maps, mut audits) = (Patience::default(), Patience::default());
        let mut last = self.look().await?;
        loop {
            let seen = self.look().await;
            if let Some(seen) = maps.take(seen, "the cluster map was not read", &mut line, env.now())? {
                last = seen;
                let now = env.now();
                pace.look(last.slots as u64, now);
                line.show_share(pace.share(), &pace.text("group slots moved"), now);
                if last.slots == 0 {
                    return Ok((last, End::Empty));
                }
                if !last.intended.short_of_disks.is_empty() {
                    return Ok((last, End::Short));
                }
                if self.is_unclear(&last) && losses.are_due(last.slots, now) {
                    let report = self.find_out().await;
                    let what = "it was not found out what holds it up";
                    let report = audits.take(report, what, &mut line, env.now())?;
                    losses.told(report.as_ref(), &mut line, env.now());
                }
            }
            let left = until.map_or(LOOK, |until| until.since(env.now()));
            if left.is_zero() {
                return Ok((last, End::TimedOut));
            }
            env.sleep(LOOK.min(left)).await;
        }
    }
}

/// What is lost with disks that are away and are not waited for: groups whose last shards they had stay until nothing names these.
struct Losses {
    /// Fewest group slots that were left.
    least: usize,
    /// When to ask.
    next: Instant,
}

impl Losses {
    /// Whether nothing has moved for a while.
    fn are_due(&mut self, left: usize, now: Instant) -> bool {
        if left < self.least {
            (self.least, self.next) = (left, now.after(STALLED));
        }
        now >= self.next
    }

    /// Looks for the objects that nothing brings back but the disks.
    async fn find(reached: &Reached) -> Result<AuditReport, Exit> {
        let (pool, _follower) = reached.pool().await?;
        let report = audit(&*reached.metadata, &pool, AuditOptions::default(), &mut |_| ()).await;
        report.map_err(|error| Exit::because(Exit::FAILED, &error))
    }

    /// Names them; soon asked for again when they were not found out.
    fn told(&mut self, report: Option<&AuditReport>, line: &mut Line, now: Instant) {
        self.next = now.after(if report.is_some() { ASK_AGAIN } else { STALLED });
        let Some(report) = report else { return };
        if report.lost > 0 {
            line.say(&format!(
                "{} chunks are lost with it; it goes when the objects that name them are deleted, or put anew from elsewhere:",
                report.lost
            ));
            report.lost_contents.iter().take(LOSSES_SHOWN).for_each(|lost| line.say(&lost_in_words(lost)));
            if report.lost_contents.len() > LOSSES_SHOWN {
                line.say("and more, which `ashlar admin audit` names");
            }
        }
    }
}

/// Outlives questions that fail for a while, as they do while services are started anew.
#[derive(Debug, Default)]
struct Patience {
    failing_since: Option<Instant>,
}

impl Patience {
    /// An answer; none when the question failed and is to be asked again.
    fn take<T>(
        &mut self,
        answer: Result<T, Exit>,
        what: &str,
        line: &mut Line,
        now: Instant,
    ) -> Result<Option<T>, Exit> {
        match answer {
            Ok(answer) => {
                self.failing_since = None;
                Ok(Some(answer))
            }
            Err(error) => match self.failing_since {
                Some(since) if now.since(since) >= FAILING_MAX => Err(error),
                Some(_) => Ok(None),
                None => {
                    line.say(&format!("{what}, and is tried again: {error}"));
                    self.failing_since = Some(now);
                    Ok(None)
                }
            },
        }
    }
}

/// Whether one of these disks does not answer.
fn is_away(map: &ClusterMap, disks: &[DiskId]) -> bool {
    let down = |node: NodeId| map.nodes.iter().any(|it| it.node == node && it.state == NodeState::Down);
    let mut leaving = map.disks.iter().filter(|disk| disks.contains(&disk.disk));
    leaving.any(|disk| disk.state == DiskState::Down || down(disk.node))
}

/// How many shard indexes of groups these disks still hold or receive, or may have the only shards of, as they answer and a move to
/// them was sent elsewhere.
fn slots_on(map: &ClusterMap, disks: &[DiskId]) -> usize {
    let is_former = |former: &&FormerTarget| disks.contains(&former.disk) && !is_away(map, &[former.disk]);
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    groups
        .map(|group| {
            let held = group.disks.iter().filter(|disk| disks.contains(disk)).count();
            let former = group.former_targets.iter().filter(is_former).count();
            held + former + group.moves.iter().filter(|pending| disks.contains(&pending.to)).count()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Instant;
    use worker::AuditReport;

    use super::{ASK_AGAIN, FAILING_MAX, Line, Losses, Patience, STALLED};
    use crate::Exit;

    #[test]
    fn a_question_that_fails_for_a_while_ends_no_waiting() {
        let (mut patience, mut line) = (Patience::default(), Line::new());
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let mut take = |works: bool, seconds| {
            let answer = if works { Ok(7) } else { Err(Exit::new(Exit::FAILED, "unavailable")) };
            patience.take(answer, "nothing was read", &mut line, at(seconds)).map_err(|exit| exit.to_string())
        };
        let most = FAILING_MAX.as_secs();
        assert_eq!(take(false, 0), Ok(None));
        assert_eq!(take(false, most - 1), Ok(None));
        assert_eq!(take(true, most), Ok(Some(7)));
        assert_eq!(take(false, most + 1), Ok(None), "it begins anew");
        assert_eq!(take(false, 2 * most), Ok(None));
        assert_eq!(take(false, 2 * most + 1), Err("unavailable".to_owned()));
    }

    #[test]
    fn what_is_lost_is_asked_for_again_soon_when_it_was_not_found_out() {
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let (mut losses, mut line) = (Losses { least: 3, next: at(0) }, Line::new());
        losses.told(None, &mut line, at(100));
        assert_eq!(losses.next, at(100).after(STALLED));
        losses.told(Some(&AuditReport::default()), &mut line, at(200));
        assert_eq!(losses.next, at(200).after(ASK_AGAIN));
    }
}
