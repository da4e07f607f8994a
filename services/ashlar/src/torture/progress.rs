//! The line that tells each second how far a run is.

use std::{
    io::{IsTerminal, Write, stderr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use env::Task;

use crate::torture::{args::Settings, stage::Stage};
use s3_client::show_count;

/// Tells the progress until it is dropped, on standard error.
pub(crate) struct Progress {
    task: Option<Task<()>>,
    terminal: bool,
}

impl Progress {
    pub(crate) fn begin(stage: &Arc<Stage>, settings: &Settings) -> Self {
        let terminal = stderr().is_terminal();
        let wanted = terminal || settings.progress;
        let telling = wanted.then(|| stage.env.spawn(tell(stage.clone(), settings.workload.goal, terminal)));
        Self { task: telling, terminal }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
            if self.terminal {
                // Clears the line for what comes next.
                let _ = stderr().write_all(b"\r\x1b[K");
            }
        }
    }
}

async fn tell(stage: Arc<Stage>, goal: u64, terminal: bool) {
    let begun = stage.env.now();
    for second in 1_u32.. {
        stage.env.sleep(begun.after(Duration::from_secs(1) * second).since(stage.env.now())).await;
        let line = format!(
            "torture {second} s: {} of {} changes acknowledged, {} reads, {} refused, {} unknown, {} struck, {} findings",
            show_count(stage.acknowledged()),
            show_count(goal),
            show_count(stage.reads.load(Ordering::Relaxed)),
            show_count(stage.refused.load(Ordering::Relaxed)),
            show_count(stage.unknown.load(Ordering::Relaxed)),
            stage.struck.load(Ordering::Relaxed),
            stage.findings().len(),
        );
        // A closed standard error is no reason to stop.
        let _ = if terminal { write!(stderr(), "\r\x1b[K{line}") } else { writeln!(stderr(), "{line}") };
    }
}
