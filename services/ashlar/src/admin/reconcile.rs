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
    pace::Line,
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
    Without --finish nothing is changed, and the exit status is 0 only when no object lost data. With it the exit status is 0 only \
    when all was finished. It may be given again, after it was broken off, refused or done."
)]
pub(crate) struct Reconcile {
    #[command(flatten)]
    connect: Connect,
    /// Follows shards that have moved since the backup; then has chunks freed that were written since, and lets what is deleted be
    /// freed again. These two are refused while objects have lost data or shards are where they cannot be followed, and while a
    /// disk is away, whose shards nobody can compare.
    #[arg(long, conflicts_with = "freeze")]
    finish: bool,
    /// Frees nothing from now on, without comparing anything.
    #[arg(long)]
    freeze: bool,
    /// With --finish: objects that are lost, and shards that could not be followed, do not matter. A newer backup cannot bring them
    /// back once what was written since this one is freed.
    #[arg(long, requires = "finish")]
    accept_losses: bool,
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

/// What was done.
struct Done {
    was_frozen: bool,
    followed: usize,
    /// Leases that were adopted; none when it was not finished.
    adopted: Option<usize>,
}

impl Done {
    fn is_nothing(&self) -> bool {
        !self.was_frozen && self.followed == 0 && self.adopted == Some(0)
    }
}

pub(crate) async fn run(env: &Env, args: &Reconcile) -> Result<(), Exit> {
    let reached = args.connect.reach(env).await?;
    if args.freeze {
        reached.metadata.set_frozen(true).await.map_err(failed)?;
        super::print(&if args.json {
            format!("{:#}\n", json!({ "frozen": true }))
        } else {
            "nothing is freed from now on\n".to_owned()
        });
        return Ok(());
    }
    let mut done = Done { was_frozen: reached.map().await?.is_frozen, followed: 0, adopted: None };
    let mut report = compare(env, &reached, args).await?;
    // What a move was begun for can leave another one to be begun.
    while args.finish && !report.strays.is_empty() {
        let followed = follow(&reached, &report).await?;
        if followed == 0 {
            break;
        }
        done.followed += followed;
        report = compare(env, &reached, args).await?;
    }
    let refused = if args.finish { refusal(&report, args) } else { None };
    if args.finish && refused.is_none() {
        done.adopted = Some(finish(&reached, &report).await?);
    }
    let text = if args.json {
        let value = json!({
            "frozen": done.was_frozen && done.adopted.is_none(), "finished": done.adopted.is_some(),
            "followed_moves": done.followed, "adopted_leases": done.adopted.unwrap_or(0), "audit": audit_as_json(&report),
        });
        format!("{value:#}\n")
    } else {
        as_text(&report, &done)
    };
    super::print(&text);
    match refused {
        Some(reason) => Err(Exit::new(Exit::FAILED, reason)),
        None if args.finish || report.lost + report.unreadable == 0 => Ok(()),
        None => Err(Exit::new(
            Exit::FAILED,
            "objects that the metadata names have lost data; they are listed above",
        )),
    }
}

/// Why nothing is freed yet, if that is so.
fn refusal(report: &AuditReport, args: &Reconcile) -> Option<String> {
    if !report.unreached.is_empty() && !args.without_disks {
        let disks: Vec<String> = report.unreached.iter().map(ToString::to_string).collect();
        return Some(format!(
            "disks could not be looked at: {}; bring them back, or finish --without-disks. Nothing was finished",
            disks.join(", ")
        ));
    }
    let lost = report.lost + report.unreadable;
    if lost > 0 && !args.accept_losses {
        return Some(format!(
            "{lost} chunks cannot be read any more; the objects that they are of are listed above. Restore a newer backup, bring \
             disks back, or delete these objects; or finish --accept-losses. Nothing was finished"
        ));
    }
    if report.misplaced > 0 && !args.accept_losses {
        return Some(format!(
            "{} shards could not be followed to where they are, perhaps because other moves of their groups are under way; try \
             again when `ashlar admin status` shows none, or finish --accept-losses. Nothing was finished",
            report.misplaced
        ));
    }
    None
}

async fn compare(env: &Env, reached: &Reached, args: &Reconcile) -> Result<AuditReport, Exit> {
    let (pool, _follower) = reached.pool().await?;
    let options = AuditOptions { deep: false, chunks_max: args.chunks_max, repair: false };
    let (mut rows, own_env, mut line) = (0, env.clone(), Line::new());
    let mut progress = move |progress: worker::AuditProgress| {
        if progress.rows >= rows {
            rows = progress.rows + 10_000;
            line.show(&format!("{} rows, {} shards", progress.rows, progress.shards), own_env.now());
        }
    };
    let report = audit(&*reached.metadata, &pool, options, &mut progress).await;
    drop(progress);
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
async fn finish(reached: &Reached, report: &AuditReport) -> Result<usize, Exit> {
    let leases: Vec<LeaseId> = report.orphaned_leases.iter().copied().collect();
    let mut adopted = 0;
    for page in leases.chunks(PAGE_SIZE_MAX) {
        adopted += reached.metadata.adopt_leases(page).await.map_err(failed)?;
    }
    reached.metadata.set_frozen(false).await.map_err(failed)?;
    Ok(adopted)
}

fn as_text(report: &AuditReport, done: &Done) -> String {
    let mut out = format!("{} chunks are named, {} shards are there\n", report.chunks, report.shards);
    let written = report.orphaned + report.awaiting_reaping;
    out += &format!(
        "{written} chunks were written since the backup and nothing names them ({} of them known)\n",
        bytes(report.orphaned_bytes)
    );
    out +=
        &format!("{} shards are missing; {} chunks cannot be read any more\n", report.missing, report.lost);
    out += &format!("{} shards are on disks where the map does not say they are\n", report.misplaced);
    if report.moved > 0 {
        out += &format!(
            "{} chunks have only moved: they can be read once `ashlar admin reconcile --finish` has followed their shards; delete none of them\n",
            report.moved
        );
    }
    if done.followed > 0 {
        out += &format!("{} moves were begun to where shards are\n", done.followed);
    }
    for disk in &report.unreached {
        out += &format!("disk {disk} could not be looked at\n");
    }
    for content in &report.lost_contents {
        out += &format!("lost       {}\n", lost_in_words(content));
    }
    if report.missing > 0 {
        out += "`ashlar admin audit --repair` queues what is missing to be rebuilt.\n";
    }
    out += if done.is_nothing() {
        "Nothing is left to be done: what is deleted is freed already.\n"
    } else if done.adopted.is_some() {
        "What is deleted is freed again.\n"
    } else if done.followed > 0 {
        "Nothing else was changed.\n"
    } else {
        "Nothing was changed; `ashlar admin reconcile --finish` follows what has moved and frees what nothing names.\n"
    };
    out
}
