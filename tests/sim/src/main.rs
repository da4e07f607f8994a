//! The whole cluster in one thread, with a network, disks and clocks that a seed makes fail.
//!
//! `sim --seed 7` builds one world: the services as they are, one process each on a machine of its own, wired over a
//! network in memory, with real S3 requests, real HTTP/2 and HTTP/1.1 between the services and the real disk store on disks
//! that lose what was not synced. The database behind the metadata services is the contract's fake, which is one state for
//! all of them. Time is virtual. A nemesis kills, cuts off, fills and misleads; clients note what they are told; then
//! everything is repaired, and what was acknowledged, what is listed and what lies on the disks is compared.
//!
//! Everything that happens follows from the seed (`test_sim_os` says how), and each event goes into a hash: the same
//! program with the same seed prints the same hash. One world per process, as some of tokio's choices are numbered over
//! the life of a process.

mod audit;
mod calls;
mod client;
mod content;
mod database;
mod disk;
mod drains;
mod history;
mod life;
mod linear;
mod loss;
mod nemesis;
mod network;
mod operator;
mod process;
mod rng;
mod role;
mod s3;
mod sabotage;
mod search;
mod site;
mod time;
mod trace;
mod versions;
mod world;

use std::{
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::Parser;
use futures_util::FutureExt;

use crate::{sabotage::Sabotage, trace::Trace, world::Plan};

/// Runs one simulated world and says what became of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// What everything follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lets nothing go wrong.
    #[arg(long)]
    calm: bool,
    /// Puts a defect in, which is to be found.
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// Prints each event.
    #[arg(long)]
    trace: bool,
    /// Prints what the services log, by this filter.
    #[arg(long)]
    log: Option<String>,
}

/// Longest time on a real clock. A world that needs more goes round in a circle.
const REAL_TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

static PANICKED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed;
    drop(std::thread::spawn(move || {
        std::thread::sleep(REAL_TIME_LIMIT);
        eprintln!("seed {seed}: FOUND, no end after {REAL_TIME_LIMIT:?} on a real clock");
        std::process::exit(1);
    }));
    if let Some(filter) = arguments.log.clone() {
        // By a thread of its own: what it draws of this one's randomness would make another world of the same seed.
        let starting =
            std::thread::spawn(move || service_kit::start_logs(service_kit::LogFormat::Text, &filter));
        starting.join().expect("logs can be started");
    }
    test_sim_os::own(arguments.seed);
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A task that panics takes nothing down with it, so it is remembered here.
        PANICKED.store(true, Ordering::Relaxed);
        default_hook(panic);
    }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    let trace = Trace::new(arguments.trace);
    let plan = Plan { seed: arguments.seed, calm: arguments.calm, sabotage: arguments.sabotage };
    let world = AssertUnwindSafe(world::run(plan, trace.clone())).catch_unwind();
    let result =
        runtime.block_on(world).unwrap_or_else(|_| Err("a check failed; its message is above".to_owned()));
    let (hash, events) = trace.hash();
    let panicked = PANICKED.load(Ordering::Relaxed);
    match result {
        Ok(report) if !panicked => {
            println!("seed {}: good, hash {hash:016x} of {events} events, {report}", arguments.seed);
            ExitCode::SUCCESS
        }
        result => {
            let reason = result.err().unwrap_or_else(|| "a task panicked".to_owned());
            eprintln!("{}", trace.last());
            eprintln!("seed {}: FOUND, hash {hash:016x} of {events} events: {reason}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}
