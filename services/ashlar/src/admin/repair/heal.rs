//! Waits until a cluster is whole, and proves it by reading.

use std::{collections::BTreeSet, time::Duration};

use admin_api::{Repair, named_disks};
use data_pool::Pool;
use env::{Env, Instant};
use types::DiskId;
use worker::{AuditOptions, AuditProgress, AuditReport, audit};

use super::waiting::{blocked, others, read, text};
use crate::{
    Exit,
    admin::{
        connect::{Reached, failed},
        pace::{Line, Pace},
        table::bytes,
    },
};

/// How often it is looked at how far everything is.
const LOOK: Duration = Duration::from_secs(2);

/// Pause before everything is read again after an audit that could not look at all of it.
const AGAIN: Duration = Duration::from_secs(30);

/// How the waiting ended.
#[derive(Debug)]
pub(super) enum End {
    /// Every shard was found where it belongs, and was read unless only names were to be compared.
    Healed(Box<AuditReport>),
    /// The time was over; what was waited for then.
    TimedOut(String),
    /// Nothing that goes on by itself makes it whole; why.
    Blocked(String),
}

/// What an audit says of a cluster for which nothing waits.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Healed,
    /// It is to be waited for that, and audited again.
    Open(String),
    Lost(String),
}

/// The waiting.
pub(super) struct Healing<'a> {
    env: &'a Env,
    reached: &'a Reached,
    pool: &'a Pool,
    /// Whether every byte is read in the end.
    deep: bool,
    until: Instant,
    shards: Pace,
    moves: Pace,
    evictions: Pace,
    line: Line,
    told: String,
}

impl<'a> Healing<'a> {
    pub(super) fn new(
        env: &'a Env,
        reached: &'a Reached,
        pool: &'a Pool,
        deep: bool,
        time: Duration,
    ) -> Self {
        Self {
            env,
            reached,
            pool,
            deep,
            until: env.now().after(time),
            shards: Pace::default(),
            moves: Pace::default(),
            evictions: Pace::default(),
            line: Line::new(),
            told: String::new(),
        }
    }

    /// Waits; the first look is given. Answers what waits in the end, too. A metadata service that does not answer is waited
    /// for like everything else.
    pub(super) async fn wait(mut self, mut waiting: Repair) -> (Repair, End) {
        let mut unknown = None;
        loop {
            let left = self.until.since(self.env.now());
            if unknown.is_none() && !waiting.waits() {
                if let Some(reason) = blocked(&waiting) {
                    return (waiting, End::Blocked(reason));
                }
                self.line.say("nothing waits; an audit shows whether everything is there");
                let audited = self.env.timeout(left, self.audit()).await;
                match audited {
                    Err(_) => return (waiting, End::TimedOut("the audit was not over".to_owned())),
                    Ok(Ok((Verdict::Healed, report))) => return (waiting, End::Healed(Box::new(report))),
                    Ok(Ok((Verdict::Lost(reason), _))) => return (waiting, End::Blocked(reason)),
                    Ok(Ok((Verdict::Open(reason), _))) => {
                        self.line.say(&reason);
                        unknown = Some(reason);
                    }
                    Ok(Err(exit)) => unknown = Some(exit.to_string()),
                }
            }
            let left = self.until.since(self.env.now());
            if left.is_zero() {
                let reason = unknown.unwrap_or_else(|| text(&waiting));
                return (waiting, End::TimedOut(reason));
            }
            self.tell(&waiting, unknown.as_deref());
            let pause = if unknown.is_some() { AGAIN } else { LOOK };
            self.env.sleep(pause.min(left)).await;
            unknown = match read(self.reached, self.pool).await {
                Ok(now) => {
                    waiting = now;
                    None
                }
                Err(exit) => Some(exit.to_string()),
            };
        }
    }

    fn tell(&mut self, waiting: &Repair, unknown: Option<&str>) {
        let now = self.env.now();
        self.shards.look(waiting.shards_due + waiting.shards_waiting_for_disks, now);
        self.moves.look(waiting.moves + waiting.moves_not_begun, now);
        self.evictions.look(waiting.evictions, now);
        let others = match unknown {
            Some(reason) => reason.to_owned(),
            None => others(waiting),
        };
        if others != self.told && !others.is_empty() {
            self.line.say(&format!("waits for: {others}"));
        }
        self.told = others;
        let texts = [self.shards.text("shards"), self.moves.text("moves"), self.evictions.text("evictions")];
        self.line.show(&texts.join("; "), now);
    }

    /// Audits, queues what is missing or corrupt, and looks once more whether anything has begun to wait meanwhile.
    async fn audit(&self) -> Result<(Verdict, AuditReport), Exit> {
        let options = AuditOptions { deep: self.deep, repair: true, ..AuditOptions::default() };
        let mut shown = self.env.now();
        let (env, mut line) = (self.env.clone(), Line::new());
        let mut progress = move |progress: AuditProgress| {
            let now = env.now();
            if now.since(shown) >= Duration::from_millis(500) {
                shown = now;
                let AuditProgress { rows, shards, verified_bytes } = progress;
                line.show(&format!("{rows} rows, {shards} shards, {} verified", bytes(verified_bytes)), now);
            }
        };
        let metadata = &*self.reached.metadata;
        let report = audit(metadata, self.pool, options, &mut progress).await;
        let report = report.map_err(|error| Exit::because(Exit::FAILED, &error))?;
        let map = metadata.cluster_map(None).await.map_err(failed)?.unwrap_or_default();
        let mut verdict = judge(&report, &named_disks(&map));
        if verdict == Verdict::Healed {
            let waiting = read(self.reached, self.pool).await?;
            if waiting.waits() || waiting.is_blocked() {
                verdict = Verdict::Open("something came to wait while everything was audited".to_owned());
            }
        }
        Ok((verdict, report))
    }
}

/// Disks that no group is on are not needed, and so need not answer.
fn judge(report: &AuditReport, needed: &BTreeSet<DiskId>) -> Verdict {
    let AuditReport { missing, lost, corrupt, unreadable, unseen, .. } = *report;
    let silent = report.unreached.intersection(needed).count();
    if silent > 0 || unseen > 0 {
        return Verdict::Open(format!(
            "the audit could not look at {silent} disks that groups are on, nor for {unseen} shards"
        ));
    }
    if lost + unreadable > 0 {
        return Verdict::Lost(format!(
            "{lost} chunks are lost and {unreadable} unreadable; `ashlar admin audit` names their objects"
        ));
    }
    if missing + corrupt > 0 {
        return Verdict::Open(format!(
            "the audit found {missing} shards missing and {corrupt} corrupt; they were queued to be rebuilt"
        ));
    }
    Verdict::Healed
}

#[cfg(test)]
mod tests {
    use types::DiskId;
    use worker::AuditReport;

    use super::{Verdict, judge};

    fn report(change: impl FnOnce(&mut AuditReport)) -> AuditReport {
        let mut report = AuditReport::default();
        change(&mut report);
        report
    }

    #[test]
    fn only_an_audit_that_found_everything_where_it_was_looked_for_says_healed() {
        let (needed, other) = (DiskId([1; 16]), DiskId([2; 16]));
        let judged = |report: &AuditReport| judge(report, &[needed].into());
        assert_eq!(judged(&AuditReport::default()), Verdict::Healed);
        let not_needed = report(|report| {
            report.orphaned = 1;
            report.unreached = [other].into();
        });
        assert_eq!(judged(&not_needed), Verdict::Healed);
        for open in [
            report(|report| report.missing = 1),
            report(|report| report.corrupt = 1),
            report(|report| report.unseen = 1),
            report(|report| {
                report.lost = 1;
                report.unreached = [needed].into();
            }),
        ] {
            assert!(matches!(judged(&open), Verdict::Open(_)), "{open:?}");
        }
        for lost in
            [report(|report| (report.lost, report.missing) = (1, 3)), report(|report| report.unreadable = 1)]
        {
            assert!(matches!(judged(&lost), Verdict::Lost(_)), "{lost:?}");
        }
    }
}
