//! The line that tells each second how far a phase is.

use std::{
    io::{IsTerminal, Write, stderr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use env::{Env, Task};

use crate::bench::phase::Counters;
use s3_client::{show_count, show_size};

/// Tells the progress until it is dropped, on standard error.
pub(crate) struct Progress {
    task: Option<Task<()>>,
    /// Lines are written over each other.
    terminal: bool,
}

impl Progress {
    /// `wanted` even when standard error is no terminal. `goal` is the number of requests, if there is one.
    pub(crate) fn begin(
        env: &Env,
        title: &'static str,
        counters: Arc<Counters>,
        goal: Option<u64>,
        wanted: bool,
    ) -> Self {
        let terminal = stderr().is_terminal();
        let task =
            (terminal || wanted).then(|| env.spawn(tell(env.clone(), title, counters, goal, terminal)));
        Self { task, terminal }
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

async fn tell(env: Env, title: &'static str, counters: Arc<Counters>, goal: Option<u64>, terminal: bool) {
    let begun = env.now();
    let (mut operations_before, mut bytes_before) = (0, 0);
    for second in 1_u32.. {
        env.sleep((begun.after(Duration::from_secs(1) * second)).since(env.now())).await;
        let operations = counters.succeeded.load(Ordering::Relaxed);
        let bytes = counters.bytes.load(Ordering::Relaxed);
        let failed = counters.failed.load(Ordering::Relaxed);
        let of = goal.map_or(String::new(), |goal| format!(" of {}", show_count(goal)));
        let line = format!(
            "{title} {second} s: {}{of} done, {}/s, {}/s, {} failed",
            show_count(operations),
            show_count(operations - operations_before),
            show_size(bytes - bytes_before),
            show_count(failed),
        );
        (operations_before, bytes_before) = (operations, bytes);
        // A closed standard error is no reason to stop.
        let _ = if terminal { write!(stderr(), "\r\x1b[K{line}") } else { writeln!(stderr(), "{line}") };
    }
}
