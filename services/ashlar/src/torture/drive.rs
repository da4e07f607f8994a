//! A run from beginning to end.

use std::{
    collections::BTreeMap,
    io::{Write, stderr},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use env::Env;
use service_kit::Shutdown;
use worker::AuditReport;

use crate::{
    admin,
    torture::{
        TortureError,
        args::Settings,
        audit, clear,
        faults::{Fault, Target, schedule},
        judge::judge,
        progress::Progress,
        readback::read_back,
        report::Report,
        stage::Stage,
        workload::{Ended, make_buckets},
    },
};
use s3_client::Access;

/// How long everything may take to be readable when the faults are over, beside what the reading itself takes.
const READ_BACK_PATIENCE: Duration = Duration::from_secs(120);

/// How long work in the background may take afterwards: leases of killed gateways are revoked a minute after their last
/// renewal, then what they left is reaped, and garbage is held for a while.
const AUDIT_PATIENCE: Duration = Duration::from_secs(300);

/// A run that is ready to begin.
pub(crate) struct Drive {
    pub(crate) env: Env,
    pub(crate) scenario: &'static str,
    pub(crate) settings: Settings,
    pub(crate) accesses: Vec<Access>,
    pub(crate) target: Target,
    /// The cluster to audit, when it is not our own.
    pub(crate) audited: Option<admin::Connect>,
    /// Whether what was stored is removed in the end.
    pub(crate) clear: bool,
}

impl Drive {
    /// Compares every shard with every manifest, when the cluster is within reach.
    async fn audit(
        &self,
        patience: Duration,
        shutdown: &Shutdown,
    ) -> Result<Option<AuditReport>, TortureError> {
        let reached = match (&self.target, &self.audited) {
            (Target::Local(cluster), _) => cluster.reach().await,
            (Target::Foreign(_), Some(connect)) => connect.reach(&self.env).await,
            (Target::Foreign(_), None) => return Ok(None),
        };
        let reached = reached.map_err(|exit| TortureError::Audit(exit.to_string()))?;
        audit::audit(&self.env, &reached, self.until_quiet(), patience, shutdown).await.map(Some)
    }

    /// Whether work in the background must end: in somebody else's cluster others may be writing.
    fn until_quiet(&self) -> bool {
        matches!(self.target, Target::Local(_))
    }

    /// Makes the run, writes its line to `out`, and fails when anything is wrong.
    pub(crate) async fn run(
        mut self,
        shutdown: &Shutdown,
        out: &mut (dyn Write + Send),
    ) -> Result<(), TortureError> {
        let begun = self.env.now();
        let run = self.env.random_bytes::<4>().map(|byte| format!("{byte:02x}")).concat();
        let stage = Arc::new(Stage::new(&self.env, std::mem::take(&mut self.accesses), &run));
        let (settings, workload) = (&self.settings, &self.settings.workload);
        let seed = workload.plan.seed;
        // A closed standard error is no reason to stop.
        let _ = writeln!(stderr(), "torture: seed {seed}, buckets {} and {}", stage.plain, stage.versioned);
        make_buckets(&stage).await?;

        let struck: Mutex<BTreeMap<Fault, u32>> = Mutex::default();
        let strike = |fault| {
            *struck.lock().unwrap_or_else(PoisonError::into_inner).entry(fault).or_default() += 1;
            stage.struck.fetch_add(1, Ordering::Relaxed);
        };
        let schedule = schedule(seed, workload.goal, settings.counts);
        let progress = Progress::begin(&stage, settings);
        let faults = self.target.strike_all(&stage, seed, &schedule, strike);
        let (ended, mut result) = workload.run(&stage, shutdown, faults).await;
        drop(progress);

        if ended == Ended::Goal {
            // What is read back comes from disks, not from the memory of those who wrote it.
            if let Target::Local(cluster) = &mut self.target {
                result = result.and(cluster.restart().await.map_err(TortureError::from));
            }
            if result.is_ok() {
                read_back(&stage, workload.clients, READ_BACK_PATIENCE).await;
            }
        }
        let mut findings = stage.findings();
        findings.extend(judge(stage.log.records()));
        let mut audit = None;
        if ended == Ended::Goal && result.is_ok() {
            // What is lost already will not come back.
            let patience = if findings.is_empty() { AUDIT_PATIENCE } else { Duration::ZERO };
            match self.audit(patience, shutdown).await {
                Ok(report) => audit = report,
                Err(error) => result = Err(error),
            }
        }
        findings.extend(audit.iter().flat_map(|report| audit::findings(report, self.until_quiet())));
        let report = Report {
            scenario: self.scenario,
            settings,
            stage: &stage,
            ended: if result.is_err() && ended == Ended::Goal { Ended::Broken } else { ended },
            findings: &findings,
            audit: audit.as_ref(),
            struck: &struck.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            duration: self.env.now().since(begun),
        };
        let _ = stderr().write_all(report.findings().as_bytes());
        writeln!(out, "{}", report.json()).and_then(|()| out.flush()).map_err(TortureError::Output)?;

        let verdict = if !findings.is_empty() {
            Err(TortureError::Found { count: findings.len(), seed })
        } else {
            Ok(())
        };
        // What was stored is kept for whoever looks into it when something is wrong.
        let result = verdict.and(result);
        match self.target {
            Target::Local(mut cluster) => {
                let stopped = cluster.stop().await;
                result.and(stopped.map_err(TortureError::from))
            }
            Target::Foreign(_) if self.clear && result.is_ok() => clear::clear(&stage).await,
            Target::Foreign(_) => result,
        }
    }
}
