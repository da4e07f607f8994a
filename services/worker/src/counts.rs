//! What a worker counts of its work.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use metadata_api::{ClusterMap, DiskState, Intent, JobName, MapDisk, MapNode, NodeState};
use placement::spare_shards;
use telemetry::{Counter, Gauge, Samples, Source, metrics};
use types::{DiskId, NodeId};

use crate::{audit::AuditReport, context::KnownMap};

metrics! {
    HELD: gauge("ashlar_worker_job_held", ["task"], "1 if this worker has the job. Over all workers each job has one holder.");
    DONE: counter("ashlar_worker_job_done_total", ["task"], "What this worker has done of the job: shards of repair, shard indexes of groups that have moved of plan, bytes of move, recode and transition, leases of reap, shards of audit, buckets of lifecycle and inventory.");
    LEFT: gauge("ashlar_worker_job_left", ["task"], "What is left of the job, in the same unit, as its holder last saw it; of audit, as far as the last one tells.");
    QUEUE: gauge("ashlar_repair_queue_shards", ["spare"], "Shards in the repair queue that their disks lack, by how many more shards of their chunk can be lost before it cannot be read: unreadable, 0, 1, 2, more. As the last pass found them, or the one under way if those are more; only from the worker that has the job repair.");
    AWAY: gauge("ashlar_repair_queue_waiting_shards", [], "Shards in the repair queue that wait for a disk that is away. Only from the worker that has the job repair.");
    REPAIRED: counter("ashlar_repair_shards_total", [], "Shards that left the repair queue, whole or freed.");
    REPAIR_BYTES: counter("ashlar_repair_written_bytes_total", [], "Bytes of shards that repairs wrote.");
    MOVES_PENDING: gauge("ashlar_moves_pending", [], "Moves of placement groups' indexes in the cluster map.");
    MOVES_RUNNING: gauge("ashlar_moves_in_progress", [], "Moves that this worker carries out now.");
    MOVES_FINISHED: counter("ashlar_moves_finished_total", [], "Moves that this worker finished.");
    MOVE_BYTES: counter("ashlar_moves_written_bytes_total", [], "Bytes of shards that moves brought over.");
    LEASES: gauge("ashlar_leases", ["state"], "Leases of gateways and workers: live, revoked (to be reaped). Only from the worker that has the job reap.");
    REAPED: counter("ashlar_reaped_leases_total", [], "Revoked leases that were looked through and forgotten.");
    REAPED_CHUNKS: counter("ashlar_reaped_chunks_total", [], "Chunks under revoked leases that nothing named and that were deleted.");
    GARBAGE: counter("ashlar_garbage_freed_items_total", [], "Items of the garbage queue that were freed: what deleted versions and parts named.");
    AUDITS: counter("ashlar_audits_total", ["result"], "Audits that this worker made by itself: complete, incomplete (a disk could not be looked at to its end), failed (no result).");
    AUDIT_PERIOD: gauge("ashlar_audit_period_seconds", [], "Time from an audit to the next. 0 without the job audit.");
    AUDIT_SINCE: gauge("ashlar_audit_since_timestamp_seconds", [], "When the last complete audit ended, and before the first when this worker took the job, as Unix time. 0 without the job audit.");
    AUDIT_FINDINGS: gauge("ashlar_audit_findings", ["finding"], "What the last audit found: missing (shards that their disks lack, or know to be damaged, and of which nobody had said so before; they are queued for repair), lost (chunks with too few shards left), moved (chunks that have enough shards only where the map does not look), orphaned (chunks that nothing names, nor will), misplaced (shards on disks where they do not belong). Zero is the only good answer. Only from the worker that has the job audit.");
    AUDIT_UNREACHED: gauge("ashlar_audit_unreached_disks", [], "Disks that the last audit could not look at to their end. Only from the worker that has the job audit.");
    AUDIT_UNSEEN: gauge("ashlar_audit_unseen_shards", [], "Shards that belong on such disks and were not looked for elsewhere. Only from the worker that has the job audit.");
    EPOCH: gauge("ashlar_cluster_map_epoch", [], "Epoch of the cluster map as this worker knows it.");
    NODES: gauge("ashlar_cluster_nodes", ["state"], "Nodes by state in the cluster map: up, suspect, down. Those that are to be removed and have no disks left are not counted.");
    DEGRADED: gauge("ashlar_cluster_degraded_groups", ["spare"], "Placement groups of which shards are on disks that are down or failed, or on their way from such, by how many more can be lost before the group cannot be read: unreadable, 0, 1, 2, more.");
    DISKS: gauge("ashlar_cluster_disks", ["state"], "Disks by state in the cluster map: up, full, failed, down. Those that were removed are not counted.");
    FROZEN: gauge("ashlar_cluster_frozen", [], "1 while nothing is freed, after a restore of the metadata, until it was compared with the disks.");
    HELD_BACK: gauge("ashlar_cluster_rebuilding_held_back", [], "1 while so many disks are silent that nothing of them is rebuilt elsewhere.");
}

/// Values of the label `spare`.
const SPARES: [&str; 5] = ["unreadable", "0", "1", "2", "more"];

/// Counters of a worker.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    jobs: [Job; JobName::ALL.len()],
    queue: [Gauge; SPARES.len()],
    away: Gauge,
    pub(crate) repaired: Counter,
    pub(crate) repair_bytes: Counter,
    pub(crate) moves_running: Gauge,
    pub(crate) moves_finished: Counter,
    pub(crate) move_bytes: Counter,
    live_leases: Gauge,
    revoked_leases: Gauge,
    pub(crate) reaped: Counter,
    pub(crate) reaped_chunks: Counter,
    pub(crate) garbage: Counter,
    pub(crate) audit: AuditCounts,
}

/// Values of the label `finding`.
const FINDINGS: [&str; 5] = ["missing", "lost", "moved", "orphaned", "misplaced"];

/// Of audits.
#[derive(Debug, Default)]
pub(crate) struct AuditCounts {
    complete: Counter,
    incomplete: Counter,
    pub(crate) failed: Counter,
    period: Gauge,
    since: Gauge,
    findings: [Gauge; FINDINGS.len()],
    unreached: Gauge,
    unseen: Gauge,
}

impl AuditCounts {
    /// This worker audits from now on, once in this time.
    pub(crate) fn begin(&self, period: Duration, now_ms: i64) {
        self.period.set(i64::try_from(period.as_secs()).unwrap_or(i64::MAX));
        self.since.set(now_ms / 1000);
    }

    /// An audit has ended.
    pub(crate) fn end(&self, report: &AuditReport, now_ms: i64) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let AuditReport { missing, corrupt, queued_before, lost, moved, orphaned, misplaced, .. } = *report;
        let unnoticed = (missing + corrupt).saturating_sub(queued_before);
        for (gauge, count) in self.findings.iter().zip([unnoticed, lost, moved, orphaned, misplaced]) {
            gauge.set(number(count));
        }
        self.unreached.set(number(report.unreached.len() as u64));
        self.unseen.set(number(report.unseen));
        if report.looked_everywhere() {
            self.complete.increment();
            self.since.set(now_ms / 1000);
        } else {
            self.incomplete.increment();
        }
    }

    fn give_up(&self) {
        let alone = [&self.period, &self.since, &self.unreached, &self.unseen];
        self.findings.iter().chain(alone).for_each(|gauge| gauge.set(0));
    }

    fn tell(&self, samples: &mut Samples) {
        let results = [&self.complete, &self.incomplete, &self.failed];
        for (name, counter) in ["complete", "incomplete", "failed"].iter().zip(results) {
            samples.add(&AUDITS, &[name], counter);
        }
        samples.add(&AUDIT_PERIOD, &[], &self.period);
        samples.add(&AUDIT_SINCE, &[], &self.since);
        for (finding, gauge) in FINDINGS.iter().zip(&self.findings) {
            samples.add(&AUDIT_FINDINGS, &[finding], gauge);
        }
        samples.add(&AUDIT_UNREACHED, &[], &self.unreached);
        samples.add(&AUDIT_UNSEEN, &[], &self.unseen);
    }
}

/// Of one job.
#[derive(Debug, Default)]
pub(crate) struct Job {
    held: Gauge,
    pub(crate) done: Counter,
    pub(crate) left: Gauge,
}

impl Counts {
    /// Those of a job.
    pub(crate) fn job(&self, job: JobName) -> &Job {
        let place = JobName::ALL.iter().position(|known| *known == job).unwrap_or_default();
        &self.jobs[place]
    }

    /// This worker has the job from now on.
    pub(crate) fn took(&self, job: JobName) {
        self.job(job).held.set(1);
    }

    /// This worker does not have the job any more: what is left of it is for its next holder to tell.
    pub(crate) fn gave_up(&self, job: JobName) {
        let counted = self.job(job);
        counted.held.set(0);
        counted.left.set(0);
        match job {
            JobName::Repair => self.set_queue(&Queued::default()),
            JobName::Reap => self.set_leases(0, 0),
            JobName::Audit => self.audit.give_up(),
            _ => {}
        }
    }

    /// A pass found this in the repair queue.
    pub(crate) fn set_queue(&self, queued: &Queued) {
        for (gauge, shards) in self.queue.iter().zip(queued.by_spare) {
            gauge.set(shards);
        }
        self.away.set(queued.away);
    }

    /// A pass that goes on has found this so far. What the pass before found stays until it is known to be less.
    pub(crate) fn raise_queue(&self, queued: &Queued) {
        for (gauge, shards) in self.queue.iter().zip(queued.by_spare) {
            gauge.set(gauge.get().max(shards));
        }
        self.away.set(self.away.get().max(queued.away));
    }

    /// There are so many leases.
    pub(crate) fn set_leases(&self, live: usize, revoked: usize) {
        self.live_leases.set(live.cast_signed() as i64);
        self.revoked_leases.set(revoked.cast_signed() as i64);
    }
}

/// What a pass found in the repair queue.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Queued {
    by_spare: [i64; SPARES.len()],
    away: i64,
}

impl Queued {
    /// A shard whose chunk can lose so many more; negative when it cannot be read.
    pub(crate) fn add(&mut self, spare: isize) {
        let place = usize::try_from(spare.saturating_add(1)).unwrap_or(0);
        self.by_spare[place.min(SPARES.len() - 1)] += 1;
    }

    /// Shards that wait for their disks.
    pub(crate) fn add_away(&mut self, shards: usize) {
        self.away += shards.cast_signed() as i64;
    }
}

/// Tells what is counted, and how the cluster is.
pub(crate) struct WorkerSource {
    pub(crate) counts: Arc<Counts>,
    pub(crate) map: KnownMap,
}

#[async_trait]
impl Source for WorkerSource {
    async fn collect(&self, samples: &mut Samples) {
        let counts = &*self.counts;
        for job in JobName::ALL {
            let (name, job) = (job.name(), counts.job(job));
            samples.add(&HELD, &[name], &job.held);
            samples.add(&DONE, &[name], &job.done);
            samples.add(&LEFT, &[name], &job.left);
        }
        for (spare, shards) in SPARES.iter().zip(&counts.queue) {
            samples.add(&QUEUE, &[spare], shards);
        }
        samples.add(&AWAY, &[], &counts.away);
        samples.add(&REPAIRED, &[], &counts.repaired);
        samples.add(&REPAIR_BYTES, &[], &counts.repair_bytes);
        samples.add(&MOVES_RUNNING, &[], &counts.moves_running);
        samples.add(&MOVES_FINISHED, &[], &counts.moves_finished);
        samples.add(&MOVE_BYTES, &[], &counts.move_bytes);
        samples.add(&LEASES, &["live"], &counts.live_leases);
        samples.add(&LEASES, &["revoked"], &counts.revoked_leases);
        samples.add(&REAPED, &[], &counts.reaped);
        samples.add(&REAPED_CHUNKS, &[], &counts.reaped_chunks);
        samples.add(&GARBAGE, &[], &counts.garbage);
        counts.audit.tell(samples);
        tell(&self.map.get(), samples);
    }
}

fn tell(map: &ClusterMap, samples: &mut Samples) {
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    samples.add(&MOVES_PENDING, &[], groups.map(|group| group.moves.len()).sum::<usize>());
    samples.add(&EPOCH, &[], map.epoch);
    let states = [("up", NodeState::Up), ("suspect", NodeState::Suspect), ("down", NodeState::Down)];
    for (name, state) in states {
        let nodes = map.nodes.iter().filter(|node| node.state == state && !is_removed(map, node));
        samples.add(&NODES, &[name], nodes.count());
    }
    for (spare, groups) in SPARES.iter().zip(degraded(map)) {
        samples.add(&DEGRADED, &[spare], groups);
    }
    let [mut up, mut full, mut failed, mut down] = [0_u64; 4];
    for disk in &map.disks {
        match disk.state {
            DiskState::Up if disk.failed => failed += 1,
            DiskState::Up if !disk.writable => full += 1,
            DiskState::Up => up += 1,
            DiskState::Down => down += 1,
            DiskState::Gone => {}
        }
    }
    for (name, disks) in [("up", up), ("full", full), ("failed", failed), ("down", down)] {
        samples.add(&DISKS, &[name], disks);
    }
    samples.add(&FROZEN, &[], map.is_frozen);
    samples.add(&HELD_BACK, &[], map.mass_loss().is_some());
}

/// Whether nothing is left of a node that was to be removed.
fn is_removed(map: &ClusterMap, node: &MapNode) -> bool {
    let mut disks = map.disks.iter().filter(|disk| disk.node == node.node);
    node.intent == Intent::Remove && disks.all(|disk| disk.state == DiskState::Gone)
}

/// Groups that lack shards, by [`SPARES`].
fn degraded(map: &ClusterMap) -> [i64; SPARES.len()] {
    let down: HashSet<NodeId> =
        map.nodes.iter().filter(|node| node.state == NodeState::Down).map(|node| node.node).collect();
    let is_up = |disk: &&MapDisk| disk.state == DiskState::Up && !disk.failed && !down.contains(&disk.node);
    let up: HashSet<DiskId> = map.disks.iter().filter(is_up).map(|disk| disk.disk).collect();
    let mut groups = Queued::default();
    for class in &map.classes {
        let coding = class.definition.coding;
        for group in &class.groups {
            let spare = spare_shards(&group.placed(), coding, |disk| up.contains(&disk));
            if spare < coding.total().cast_signed() - coding.data().cast_signed() {
                groups.add(spare);
            }
        }
    }
    groups.by_spare
}

#[cfg(test)]
mod tests {
    use metadata_api::{DiskState, Intent, JobName, NodeState, ShardMove};
    use types::ShardIndex;

    use super::{Counts, Queued, degraded, is_removed};
    use crate::tests::maps::{disk, map};

    #[test]
    fn shards_are_counted_by_what_their_chunk_can_still_lose() {
        let mut queued = Queued::default();
        [-3, -1, 0, 1, 2, 3, isize::MAX].into_iter().for_each(|spare| queued.add(spare));
        queued.add_away(4);
        assert_eq!(queued, Queued { by_spare: [2, 1, 1, 1, 2], away: 4 });
        let counts = Counts::default();
        counts.took(JobName::Repair);
        counts.set_queue(&queued);
        assert_eq!(
            (counts.queue[0].get(), counts.away.get(), counts.job(JobName::Repair).held.get()),
            (2, 4, 1)
        );
        let mut more = Queued::default();
        (0..3).for_each(|_| more.add(-1));
        counts.raise_queue(&more);
        assert_eq!((counts.queue[0].get(), counts.queue[1].get(), counts.away.get()), (3, 1, 4));
        counts.gave_up(JobName::Repair);
        assert_eq!(
            (counts.queue[0].get(), counts.away.get(), counts.job(JobName::Repair).held.get()),
            (0, 0, 0)
        );
    }

    #[test]
    fn groups_are_counted_by_what_they_can_still_lose() {
        // 2+2.
        let mut map = map(6, &[[0, 1, 2, 3], [0, 1, 4, 5]]);
        assert_eq!(degraded(&map), [0; 5], "nothing is lost");
        map.disks[0].state = DiskState::Down;
        assert_eq!(degraded(&map), [0, 0, 2, 0, 0]);
        map.nodes[2].state = NodeState::Down;
        assert_eq!(degraded(&map), [0, 1, 1, 0, 0]);
        map.disks[1].failed = true;
        assert_eq!(degraded(&map), [1, 1, 0, 0, 0]);
        map.classes[0].groups[0].moves =
            vec![ShardMove { index: ShardIndex(0), to: disk(5), since: 1, redirected: false }];
        assert_eq!(degraded(&map), [1, 1, 0, 0, 0], "it is not there yet");
    }

    #[test]
    fn a_node_that_was_removed_is_none() {
        let mut map = map(4, &[[0, 1, 2, 3]]);
        let node = map.nodes[0].clone();
        map.nodes[0].intent = Intent::Remove;
        assert!(!is_removed(&map, &map.nodes[0]), "it has a disk");
        map.disks
            .iter_mut()
            .filter(|disk| disk.node == node.node)
            .for_each(|disk| disk.state = DiskState::Gone);
        assert!(is_removed(&map, &map.nodes[0]));
        assert!(!is_removed(&map, &map.nodes[1]) && !is_removed(&map, &node));
    }
}
