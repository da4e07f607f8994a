//! Every shard against every manifest, when everything has come to rest.

use std::{
    io::{Write, stderr},
    time::Duration,
};

use env::Env;
use service_kit::Shutdown;
use worker::{AuditOptions, AuditReport, Finding as AuditFinding, audit as compare};

use crate::{
    admin::{Reached, finding_in_words},
    torture::{
        TortureError,
        findings::{Finding, Kind},
    },
};

/// Pause between two looks.
const PERIOD: Duration = Duration::from_secs(5);

/// Compares everything with everything, again and again until nothing is wrong, with `until_quiet` also until nothing is
/// left to be done in the background, or until `patience` ends. Every byte is read once more in the end. The last report.
pub(crate) async fn audit(
    env: &Env,
    reached: &Reached,
    until_quiet: bool,
    patience: Duration,
    shutdown: &Shutdown,
) -> Result<AuditReport, TortureError> {
    let (pool, _follower) = reached.pool().await.map_err(|exit| TortureError::Audit(exit.to_string()))?;
    let look = async |deep| {
        let options = AuditOptions { deep, ..AuditOptions::default() };
        let report = compare(&*reached.metadata, &pool, options, &mut |_| ()).await;
        report.map_err(|error| TortureError::Audit(error.to_string()))
    };
    let good = |report: &AuditReport| if until_quiet { report.is_quiet() } else { report.is_clean() };
    let begun = env.now();
    loop {
        let waited = env.now().since(begun);
        let mut report = look(false).await?;
        if good(&report) || waited >= patience {
            report = look(true).await?;
            if good(&report) || waited >= patience {
                return Ok(report);
            }
        }
        tell(waited, &report);
        if shutdown.has_begun() {
            return Err(TortureError::Interrupted);
        }
        env.sleep(PERIOD).await;
    }
}

fn tell(waited: Duration, report: &AuditReport) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(stderr(), "torture: audit after {} s: {}", waited.as_secs(), summary(report));
}

fn summary(report: &AuditReport) -> String {
    let counts = report.counts().into_iter().filter(|(_, count)| *count > 0);
    let told: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    if told.is_empty() { "nothing to be told".to_owned() } else { told.join(", ") }
}

/// What a report means for a run; with `until_quiet`, work that is left to be done is a leak.
pub(crate) fn findings(report: &AuditReport, until_quiet: bool) -> Vec<Finding> {
    let mut findings: Vec<Finding> = report
        .findings
        .iter()
        .map(|finding| {
            let kind = match finding {
                AuditFinding::Orphaned { .. } => Kind::Leaked,
                _ => Kind::Unsound,
            };
            Finding::new(kind, finding_in_words(finding))
        })
        .collect();
    if !report.unreached.is_empty() {
        findings.push(Finding::new(Kind::Unsound, "not all disks could be looked at"));
    }
    if until_quiet && report.is_clean() && !report.is_quiet() {
        findings.push(Finding::new(Kind::Leaked, format!("work does not end: {}", summary(report))));
    }
    findings
}
