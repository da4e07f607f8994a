//! `ashlar admin audit`: every shard against every manifest.

use std::time::Duration;

use chunk_api::DiskStatus;
use clap::Args;
use env::{Env, Instant};
use metadata_api::ContentKind;
use serde_json::json;
use worker::{
    AuditOptions, AuditProgress, AuditReport, Finding, FreedOrphans, LostContent, audit, free_orphans,
};

use super::{
    connect::Connect,
    pace::{Line, Pace},
    table::{bytes, short},
};
use crate::Exit;

/// How to audit.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin audit --data ./data\n  ashlar admin audit --deep --json --metadata meta1:9300\n  \
    ashlar admin audit --free-orphans --metadata meta1:9300\n\n\
    The exit status is 0 only when nothing is missing, corrupt, orphaned or misplaced and every disk was looked at."
)]
pub(crate) struct Audit {
    #[command(flatten)]
    connect: Connect,
    /// Reads and verifies every byte of every shard, and every chunk against its manifest's checksum.
    #[arg(long)]
    deep: bool,
    /// Shows the result as JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Queues what is missing or corrupt to be rebuilt by the workers; audit again afterwards.
    #[arg(long)]
    repair: bool,
    /// Frees chunks that nothing names, nor will: those that are orphaned now and still when everything is audited again
    /// after --orphan-wait. Audit again afterwards.
    #[arg(long)]
    free_orphans: bool,
    /// Seconds between the two audits of --free-orphans.
    #[arg(
        long,
        default_value_t = 3600,
        value_name = "SECONDS",
        requires = "free_orphans",
        value_parser = clap::value_parser!(u64).range(1..=604_800)
    )]
    orphan_wait: u64,
    /// Fails also when work is left to be done in the background: writes under way, deletions, evictions.
    #[arg(long)]
    quiet_cluster: bool,
    /// Most chunks compared in one pass; one takes about 100 bytes of memory.
    #[arg(long, default_value_t = AuditOptions::default().chunks_max, value_name = "NUMBER")]
    chunks_max: usize,
}

pub(crate) async fn run(env: &Env, args: &Audit) -> Result<(), Exit> {
    let reached = args.connect.reach(env).await?;
    let (pool, _follower) = reached.pool().await?;
    let options = AuditOptions { deep: args.deep, chunks_max: args.chunks_max, repair: args.repair };
    let disks = pool.disks().into_iter().map(|disk| disk.disk).collect();
    let mut shown = Shown::new(env.now(), args.deep, pool.statuses(&disks).await.into_values());
    let own_env = env.clone();
    let mut progress = move |progress: AuditProgress| shown.show(progress, own_env.now());
    let metadata = &*reached.metadata;
    let outcome = if args.free_orphans {
        let wait = Duration::from_secs(args.orphan_wait);
        free_orphans(env, metadata, &pool, options, wait, &mut progress).await
    } else {
        audit(metadata, &pool, options, &mut progress).await.map(|report| (report, FreedOrphans::default()))
    };
    drop(progress);
    let (report, freed) = outcome.map_err(|error| Exit::because(Exit::FAILED, &error))?;
    if report.queued > 0 {
        let before = report.queued_before;
        eprintln!("queued {} shards to be rebuilt, of which {before} were queued before", report.queued);
    }
    if args.free_orphans {
        eprintln!(
            "freed {} of {} chunks that were orphaned twice ({})",
            freed.freed,
            freed.found,
            bytes(freed.freed_bytes)
        );
    }
    let text = if args.json { format!("{:#}\n", as_json(&report)) } else { as_text(&report, args.deep) };
    super::print(&text);
    let good = if args.quiet_cluster { report.is_quiet() } else { report.is_clean() };
    if good { Ok(()) } else { Err(Exit::new(Exit::FAILED, "the audit is not clean".to_owned())) }
}

/// How far an audit is, shown twice a second.
struct Shown {
    /// What the disks said that they have: shards, or, where each is read, units of a MiB.
    all: u64,
    deep: bool,
    pace: Pace,
    line: Line,
    next: Instant,
}

impl Shown {
    fn new(now: Instant, deep: bool, statuses: impl Iterator<Item = DiskStatus>) -> Self {
        let counted = statuses.map(|status| if deep { status.live_bytes >> 20 } else { status.shards });
        Self { all: counted.sum(), deep, pace: Pace::default(), line: Line::new(), next: now }
    }

    fn show(&mut self, progress: AuditProgress, now: Instant) {
        let AuditProgress { rows, shards, verified_bytes } = progress;
        let (done, what) = if self.deep { (verified_bytes >> 20, "MiB read") } else { (shards, "shards") };
        if now >= self.next {
            self.pace.look(self.all.saturating_sub(done), now);
            self.next = now.after(Duration::from_millis(500));
            let text = format!("{rows} rows, {shards} shards; {}", self.pace.text(what));
            self.line.show_share(self.pace.share(), &text, now);
        }
    }
}

fn as_text(report: &AuditReport, deep: bool) -> String {
    let mut out = format!("{} chunks, {} shards, {}\n", report.chunks, report.shards, bytes(report.bytes));
    for (name, count) in report.counts() {
        // Known only when every byte was read.
        let is_told = deep || !matches!(name, "corrupt" | "unreadable");
        let more = if name == "orphaned" && count > 0 {
            format!(" ({})", bytes(report.orphaned_bytes))
        } else {
            String::new()
        };
        if is_told {
            out += &format!("{name:>18} {count}{more}\n");
        }
    }
    for disk in &report.unreached {
        out += &format!("disk {disk} could not be looked at\n");
    }
    if report.quarantined > 0 {
        out += "`ashlar admin quarantine list` shows what is quarantined; what is missing of it is counted above\n";
    }
    for finding in &report.findings {
        out += &format!("{}\n", in_words(finding));
    }
    for content in &report.lost_contents {
        out += &format!("lost       {}\n", lost_in_words(content));
    }
    if !report.lost_contents.is_empty() {
        out += "What is lost cannot be rebuilt unless a disk with its shards comes back. Restore these objects from a copy \
                elsewhere, or delete them; the workers stop looking for a deleted object's shards.\n";
    }
    out
}

/// Which object lost bytes.
pub(super) fn lost_in_words(content: &LostContent) -> String {
    let bucket = content.bucket_name.as_ref();
    let bucket = bucket.map_or_else(|| format!("bucket number {}", content.bucket.0), ToString::to_string);
    let key = content.key.as_ref().map(|key| key.as_bytes().escape_ascii().to_string());
    let part = if content.kind == ContentKind::Part { " (a part of an upload)" } else { "" };
    format!("{bucket}/{}{part}, chunk {}", key.unwrap_or_default(), content.chunk)
}

/// One line for people.
pub(crate) fn in_words(finding: &Finding) -> String {
    match finding {
        Finding::Missing { shard, disks } => {
            let disks: Vec<String> = disks.iter().map(short).collect();
            format!("missing    {shard} (belongs on {})", disks.join(" or "))
        }
        Finding::Corrupt { shard, disk } => format!("corrupt    {shard} on {disk}"),
        Finding::Unreadable { chunk, reason } => format!("unreadable {chunk}: {reason}"),
        Finding::Orphaned { chunk, shards, owner } => {
            format!("orphaned   {chunk}, {shards} shards, of {owner}")
        }
        Finding::Misplaced { shard, disk } => format!("misplaced  {shard} on {disk}"),
    }
}

/// For programs.
pub(crate) fn as_json(report: &AuditReport) -> serde_json::Value {
    json!({
        "clean": report.is_clean(),
        "quiet": report.is_quiet(),
        "chunks": report.chunks,
        "shards": report.shards,
        "bytes": report.bytes,
        "missing": report.missing,
        "lost_chunks": report.lost,
        "moved_chunks": report.moved,
        "lost_contents": report.lost_contents.iter().map(lost_in_words).collect::<Vec<_>>(),
        "corrupt": report.corrupt,
        "unreadable": report.unreadable,
        "orphaned": report.orphaned,
        "orphaned_bytes": report.orphaned_bytes,
        "misplaced": report.misplaced,
        "quarantined": report.quarantined,
        "unseen": report.unseen,
        "in_flight": report.in_flight,
        "awaiting_reaping": report.awaiting_reaping,
        "awaiting_deletion": report.awaiting_deletion,
        "awaiting_eviction": report.awaiting_eviction,
        "unreached_disks": report.unreached.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(in_words).collect::<Vec<_>>(),
    })
}
