//! What a run tells in the end.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use serde_json::json;
use worker::AuditReport;

use crate::{
    admin::audit_as_json,
    torture::{
        args::Settings,
        faults::Fault,
        findings::{Finding, Kind, count},
        stage::Stage,
        workload::Ended,
    },
};

/// Findings that are told one by one.
const TOLD_MAX: usize = 20;

/// A run that is over.
pub(crate) struct Report<'a> {
    pub(crate) scenario: &'static str,
    pub(crate) settings: &'a Settings,
    pub(crate) stage: &'a Stage,
    pub(crate) ended: Ended,
    pub(crate) findings: &'a [Finding],
    /// What the audit in the end found; `None` when none was made.
    pub(crate) audit: Option<&'a AuditReport>,
    /// How often each kind of fault struck.
    pub(crate) struck: &'a BTreeMap<Fault, u32>,
    pub(crate) duration: Duration,
}

impl Report<'_> {
    /// One JSON object on one line.
    pub(crate) fn json(&self) -> String {
        let stage = self.stage;
        let struck = |fault| self.struck.get(&fault).copied().unwrap_or(0);
        let line = json!({
            "scenario": self.scenario,
            "seed": self.settings.workload.plan.seed,
            "acked": stage.acknowledged(),
            "lost": count(self.findings, Kind::Lost),
            "wrong": count(self.findings, Kind::Wrong),
            "stale": count(self.findings, Kind::Stale),
            "resurrected": count(self.findings, Kind::Resurrected),
            "leaked_bytes": self.audit.map(|audit| audit.orphaned_bytes),
            "audit": self.audit.map(audit_as_json),
            "unavailable_p100": seconds(stage.longest_silence()),
            "commit": self.settings.commit,
            "reads": stage.reads.load(Ordering::Relaxed),
            "refused": stage.refused.load(Ordering::Relaxed),
            "unknown": stage.unknown.load(Ordering::Relaxed),
            "failures": stage.failures(),
            "kills": struck(Fault::Kill),
            "stops": struck(Fault::Stop),
            "partitions": struck(Fault::Partition),
            "delays": struck(Fault::Delay),
            "power_cuts": struck(Fault::PowerCut),
            "disk_cuts": struck(Fault::DiskCut),
            "commands": struck(Fault::Command),
            "seconds": seconds(self.duration),
            "ended_by": self.ended.name(),
        });
        line.to_string()
    }

    /// The first findings, for people.
    pub(crate) fn findings(&self) -> String {
        let mut text: String = self.findings.iter().take(TOLD_MAX).map(|one| format!("{one}\n")).collect();
        if let Some(more) = self.findings.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
            text += &format!("and {more} more\n");
        }
        text
    }
}

/// Seconds with three decimals.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}
