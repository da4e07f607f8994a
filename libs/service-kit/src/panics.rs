//! Panics: defects of this program.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{PanicHookInfo, set_hook},
    sync::atomic::{AtomicU64, Ordering},
};

/// Of this process.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// From now on each panic of this process is logged and counted, in the place of what Rust writes to standard error of itself. The line
/// says where it was and, where that is a text of the program itself, what it said: anything else may have in it what a client has sent.
pub fn log_panics() {
    set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let place = panic.location().map(tracing::field::display);
    let said = panic.payload().downcast_ref::<&'static str>().copied();
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace));
    tracing::error!(
        place,
        said,
        thread = thread.name(),
        backtrace,
        "a panic, which is a defect of this program; report where it was"
    );
}

/// How many there were.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
