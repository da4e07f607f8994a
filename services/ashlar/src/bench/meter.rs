//! What the server and the load generator itself use while requests are made.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use env::{Env, Task};

use crate::bench::{
    BenchError,
    usage::{Usage, resident_bytes_of, usage_of},
};

/// How often the server's memory is looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// Watches processes from [`Meter::begin`] to [`Meter::end`].
pub(crate) struct Meter {
    env: Env,
    pids: Vec<u32>,
    before: Vec<Usage>,
    resident_peak: Arc<AtomicU64>,
    sampler: Option<Task<()>>,
}

/// What several processes together used between two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Used {
    pub(crate) cpu_seconds: f64,
    /// The most memory that was seen in between, looked at every 100 ms.
    pub(crate) resident_peak_bytes: u64,
    /// The most memory since the processes started, by the kernel's own count.
    pub(crate) resident_highest_bytes: u64,
    /// Bytes they caused to be written; `None` when we may not know.
    pub(crate) written_bytes: Option<u64>,
}

impl Meter {
    /// Begins to watch.
    pub(crate) async fn begin(env: &Env, pids: Vec<u32>) -> Result<Self, BenchError> {
        let before = read_all(env, &pids).await?;
        let resident = before.iter().map(|usage| usage.resident_bytes).sum();
        let resident_peak = Arc::new(AtomicU64::new(resident));
        let sampler =
            (!pids.is_empty()).then(|| env.spawn(sample(env.clone(), pids.clone(), resident_peak.clone())));
        Ok(Self { env: env.clone(), pids, before, resident_peak, sampler })
    }

    /// Ends watching. Fails when a process has ended meanwhile.
    pub(crate) async fn end(self) -> Result<Used, BenchError> {
        let after = read_all(&self.env, &self.pids).await?;
        let resident: u64 = after.iter().map(|usage| usage.resident_bytes).sum();
        let written = |usages: &[Usage]| usages.iter().map(|usage| usage.written_bytes).sum::<Option<u64>>();
        let written_bytes =
            written(&after).zip(written(&self.before)).map(|(after, before)| after.saturating_sub(before));
        let cpu = |usages: &[Usage]| usages.iter().map(|usage| usage.cpu_seconds).sum::<f64>();
        Ok(Used {
            cpu_seconds: cpu(&after) - cpu(&self.before),
            resident_peak_bytes: self.resident_peak.load(Ordering::Relaxed).max(resident),
            resident_highest_bytes: after.iter().map(|usage| usage.resident_peak_bytes).sum(),
            written_bytes,
        })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.sampler.iter().for_each(Task::abort);
    }
}

async fn read_all(env: &Env, pids: &[u32]) -> Result<Vec<Usage>, BenchError> {
    let pids = pids.to_owned();
    let reading = env.spawn_blocking(move || {
        let read = |pid| usage_of(pid).map_err(|source| BenchError::Process { pid, source });
        pids.into_iter().map(read).collect::<Result<Vec<Usage>, _>>()
    });
    reading.await.unwrap_or_else(|| Ok(Vec::new()))
}

async fn sample(env: Env, pids: Vec<u32>, peak: Arc<AtomicU64>) {
    let pids = Arc::new(pids);
    loop {
        env.sleep(SAMPLE_INTERVAL).await;
        let pids = pids.clone();
        let reading = env.spawn_blocking(move || pids.iter().map(|pid| resident_bytes_of(*pid)).sum());
        peak.fetch_max(reading.await.unwrap_or(0), Ordering::Relaxed);
    }
}
