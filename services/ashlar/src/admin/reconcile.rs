//! `ashlar admin reconcile`: metadata that was restored against disks that are newer.

use std::collections::HashMap;

use clap::Args;
use env::Env;
use metadata_api::{Error, NewMove, PAGE_SIZE_MAX, PlacementGroup};
use serde_json::json;
use types::{GroupId, LeaseId};
use worker::{AuditOptions, AuditReport, audit};

use super::{
    audit::lost_in_words,
    audit_as_json,
    connect::{Connect, Reached, failed},
    table::bytes,
};
use crate::Exit;

/// Moves that begin with one call.
const MOVES_AT_ONCE: usize = 200;

/// How to reconcile.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin reconcile --data ./data\n  ashlar admin reconcile --finish --metadata meta1:9300\n  \
    ashlar admin reconcile --freeze --metadata meta1:9300\n\n\
    Without --finish nothing is changed, and the exit status is 0 only when no object lost data."
)]
pub(crate) struct Reconcile {
    #[command(flatten)]
    connect: Connect,
    /// Follows shards that have moved since the backup, has chunks freed that were written since, and lets what is deleted be
    /// freed again. Refused while a disk is away, whose shards nobody can compare.
    #[arg(long, conflicts_with = "freeze")]
    finish: bool,
    /// Frees nothing from now on, without comparing anything.
    #[arg(long)]
    freeze: bool,
    /// With --finish: disks that are away do not matter. What was written on them since the backup stays there until another
    /// `reconcile --finish` finds it.
    #[arg(long, requires = "finish")]
    without_disks: bool,
    /// Shows the result as JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Most chunks compared in one pass; one takes about 100 bytes of memory.
    #[arg(long, default_value_t = AuditOptions::default().chunks_max, value_name = "NUMBER")]
    chunks_max: usize,
}

pub(crate) async fn run(env: &Env, args: &Reconcile) -> Result<(), Exit> {
    let reached = args.connect.reach(env).await?;
    if args.freeze {
        reached.metadata.set_frozen(true).await.map_err(failed)?;
        super::print("nothing is freed from now on\n");
        return Ok(());
    }
    let is_frozen = reached.map().await?.is_frozen;
    if args.finish && !is_frozen {
        return Err(Exit::new(
            Exit::FAILED,
            "there is nothing to finish: nothing is frozen, as `ashlar admin status` would say",
        ));
    }
    let mut report = compare(&reached, args).await?;
    let mut followed = 0;
    if args.finish && !report.strays.is_empty() {
        followed = follow(&reached, &report).await?;
        report = compare(&reached, args).await?;
    }
    let adopted = if args.finish { finish(&reached, &report, args).await? } else { 0 };
    let text = if args.json {
        let value = json!({
            "frozen": is_frozen && !args.finish, "followed_moves": followed, "adopted_leases": adopted, "audit": audit_as_json(&report),
        });
        format!("{value:#}\n")
    } else {
        as_text(&report, args.finish)
    };
    super::print(&text);
    if report.lost + report.unreadable == 0 {
        return Ok(());
    }
    Err(Exit::new(Exit::FAILED, "objects that the metadata names have lost data; they are listed above"))
}

async fn compare(reached: &Reached, args: &Reconcile) -> Result<AuditReport, Exit> {
    let (pool, _follower) = reached.pool().await?;
    let options = AuditOptions { deep: false, chunks_max: args.chunks_max, repair: false };
    let mut rows = 0;
    let mut progress = |progress: worker::AuditProgress| {
        if progress.rows >= rows {
            rows = progress.rows + 10_000;
            eprint!("\r{} rows, {} shards ", progress.rows, progress.shards);
        }
    };
    let report = audit(&*reached.metadata, &pool, options, &mut progress).await;
    eprint!("\r\x1b[K");
    report.map_err(|error| Exit::because(Exit::FAILED, &error))
}

/// Moves indexes of groups to the disks that have their shards: readers look at both places from then on, and the workers
/// bring over what is missing there.
async fn follow(reached: &Reached, report: &AuditReport) -> Result<usize, Exit> {
    let mut followed = 0;
    let strays = report.strays.iter();
    let strays: Vec<NewMove> =
        strays.map(|((group, index), disk)| NewMove { group: *group, index: *index, to: *disk }).collect();
    for page in strays.chunks(MOVES_AT_ONCE) {
        match begin(reached, page).await {
            Ok(begun) => followed += begun,
            // One that cannot begin must not hold up the others.
            Err(Error::Malformed { .. }) => {
                for one in page {
                    match begin(reached, std::slice::from_ref(one)).await {
                        Ok(begun) => followed += begun,
                        Err(error) => eprintln!(
                            "shard {} of group {} is not followed to {}: {error}",
                            one.index.0, one.group.0, one.to
                        ),
                    }
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(followed)
}

/// Begins those of the moves that the map of now leaves to be begun, and answers how many.
async fn begin(reached: &Reached, moves: &[NewMove]) -> Result<usize, Error> {
    loop {
        let map = reached.metadata.cluster_map(None).await?.unwrap_or_default();
        let groups: HashMap<GroupId, &PlacementGroup> =
            map.classes.iter().flat_map(|class| &class.groups).map(|group| (group.id, group)).collect();
        let is_open = |new: &&NewMove| {
            groups.get(&new.group).is_some_and(|group| {
                group.move_of(new.index).is_none() && group.named_disks().all(|disk| disk != new.to)
            })
        };
        let open: Vec<NewMove> = moves.iter().filter(is_open).copied().collect();
        if open.is_empty() {
            return Ok(0);
        }
        match reached.metadata.begin_moves(map.epoch, &open).await {
            Err(Error::StaleMap { .. }) => {}
            result => return result.map(|_| open.len()),
        }
    }
}

/// Has everything reaped that was written since the backup, and thaws.
async fn finish(reached: &Reached, report: &AuditReport, args: &Reconcile) -> Result<usize, Exit> {
    if !report.unreached.is_empty() && !args.without_disks {
        let disks: Vec<String> = report.unreached.iter().map(ToString::to_string).collect();
        return Err(Exit::new(
            Exit::FAILED,
            format!(
                "disks could not be looked at: {}; bring them back, or finish --without-disks. Nothing was finished",
                disks.join(", ")
            ),
        ));
    }
    let leases: Vec<LeaseId> = report.orphaned_leases.iter().copied().collect();
    let mut adopted = 0;
    for page in leases.chunks(PAGE_SIZE_MAX) {
        adopted += reached.metadata.adopt_leases(page).await.map_err(failed)?;
    }
    reached.metadata.set_frozen(false).await.map_err(failed)?;
    Ok(adopted)
}

fn as_text(report: &AuditReport, is_finished: bool) -> String {
    let mut out = format!("{} chunks are named, {} shards are there\n", report.chunks, report.shards);
    let written = report.orphaned + report.awaiting_reaping;
    out += &format!(
        "{written} chunks were written since the backup and nothing names them ({} of them known)\n",
        bytes(report.orphaned_bytes)
    );
    out +=
        &format!("{} shards are missing; {} chunks cannot be read any more\n", report.missing, report.lost);
    out += &format!("{} shards are on disks where the map does not say they are\n", report.misplaced);
    for disk in &report.unreached {
        out += &format!("disk {disk} could not be looked at\n");
    }
    for content in &report.lost_contents {
        out += &format!("lost       {}\n", lost_in_words(content));
    }
    if report.missing > 0 {
        out += "`ashlar admin audit --repair` queues what is missing to be rebuilt.\n";
    }
    out += if is_finished {
        "What is deleted is freed again.\n"
    } else {
        "Nothing was changed; `ashlar admin reconcile --finish` frees what nothing names.\n"
    };
    out
}
