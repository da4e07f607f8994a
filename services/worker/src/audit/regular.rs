//! The audit that the cluster makes by itself, once a period.
//!
//! It compares names, and reads no bytes of shards: that is for scrubs and for `ashlar admin audit --deep`. What is missing is
//! handed to repair, shard by shard; nothing is freed, moved or evicted. An audit that is broken off is begun anew by
//! whichever worker has the job next. One that could not look at every disk counts as none: it is made again soon.

use std::time::Duration;

use super::{AuditError, AuditOptions, AuditProgress, AuditReport, audit_and_name, pace::Pace};
use crate::{context::Context, jobs::Progress};

/// How long a worker that has just taken the job waits, so that one that is restarted again and again does not audit all the
/// time.
const FIRST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What part of the period it is until an audit is made again that could not look at every disk.
const SOON: u32 = 7;

/// Pause before the next try when the audit came to no result.
const RETRY: Duration = Duration::from_secs(10 * 60);

/// Audits as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let Some(period) = context.options.audit.period() else { return };
    context.counts.audit.begin(period, context.env.wall_clock_ms());
    let mut wait = FIRST_WAIT;
    let mut last = None;
    loop {
        context.pause(wait.min(period)).await;
        wait = match one(&context, &progress, &mut last).await {
            Ok(Some(report)) if report.looked_everywhere() => period,
            Ok(Some(_)) => period / SOON,
            Ok(None) => RETRY,
            Err(error) => {
                tracing::warn!(%error, "the cluster was not audited");
                context.counts.audit.failed.increment();
                RETRY
            }
        };
    }
}

/// Makes one audit; none while the metadata may be older than the disks. `last` is how many shards the one before has listed.
async fn one(
    context: &Context,
    progress: &Progress,
    last: &mut Option<u64>,
) -> Result<Option<AuditReport>, AuditError> {
    if context.map().await?.is_frozen {
        tracing::info!("the cluster is not audited before its metadata was compared with its disks");
        return Ok(None);
    }
    tracing::info!("an audit begins");
    let options = AuditOptions { repair: true, ..AuditOptions::default() };
    let pace = Pace::of(&context.env, context.options.audit.rate);
    let mut told = 0;
    let mut tell = |seen: AuditProgress| {
        progress.add(seen.shards - told);
        told = seen.shards;
        progress.set_left(last.map_or(0, |last| last.saturating_sub(told)));
    };
    let audited = audit_and_name(&*context.metadata, &context.pool, options, &pace, &mut tell).await;
    progress.set_left(0);
    let (report, _) = audited?;
    *last = Some(told);
    context.counts.audit.end(&report, context.env.wall_clock_ms());
    say(&report);
    Ok(Some(report))
}

fn say(report: &AuditReport) {
    let AuditReport {
        chunks, shards, missing, corrupt, queued_before, lost, moved, orphaned, misplaced, ..
    } = report;
    if report.findings.is_empty() {
        tracing::info!(chunks, shards, "an audit found nothing wrong");
    } else {
        tracing::warn!(
            chunks,
            shards,
            missing,
            corrupt,
            queued_before,
            lost,
            moved,
            orphaned,
            misplaced,
            "an audit found what should not be; `ashlar admin audit` names it"
        );
    }
    if !report.looked_everywhere() {
        let disks: Vec<String> = report.unreached.iter().map(ToString::to_string).collect();
        let disks = disks.join(", ");
        tracing::warn!(
            disks,
            unseen = report.unseen,
            "an audit could not look at these disks, and is made again"
        );
    }
}
