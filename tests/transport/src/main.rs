//! Measures shard transports over loopback TCP and prints a table.
//!
//! Client and server run in this process, so its CPU time is that of both ends. The service behind both transports is
//! the same stub: it verifies each cell that is put and forgets it, and answers reads from memory.
//!
//! `cargo run --release -p transport [seconds per line]`

mod grpc;
mod http;
mod stub;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chunk_api::{CellRange, ChunkService, Purpose, conformance::Sample};
use env::Env;
use futures_util::future::join_all;
use rustix::time::{ClockId, clock_gettime};

use crate::stub::{DISK, Stub};

/// Rounds over the whole table; each cell of it shows the round with the least CPU time.
const ROUNDS: usize = 3;

#[derive(Clone, Copy)]
enum Operation {
    Put,
    Get,
}

/// What one measurement found.
#[derive(Clone, Copy)]
struct Figures {
    operations_per_second: f64,
    cpu_us: f64,
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Runs an operation `in_flight` at a time for a while.
async fn measure(
    client: &dyn ChunkService,
    sample: &Sample,
    operation: Operation,
    in_flight: usize,
    time: Duration,
) -> Figures {
    run(client, sample, operation, in_flight, time / 5).await;
    let (cpu, begun) = (cpu_time(), Instant::now());
    let operations = run(client, sample, operation, in_flight, time).await;
    let (cpu, elapsed) = (cpu_time() - cpu, begun.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "for showing")]
    let operations = operations as f64;
    Figures {
        operations_per_second: operations / elapsed.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / operations,
    }
}

async fn run(
    client: &dyn ChunkService,
    sample: &Sample,
    operation: Operation,
    in_flight: usize,
    time: Duration,
) -> u64 {
    let done = AtomicU64::new(0);
    let end = Instant::now() + time;
    join_all((0..in_flight).map(|_| async {
        while Instant::now() < end {
            one(client, sample, operation).await;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }))
    .await;
    done.into_inner()
}

async fn one(client: &dyn ChunkService, sample: &Sample, operation: Operation) {
    match operation {
        Operation::Put => {
            let body = if sample.cells.len() > 4 { sample.stream() } else { sample.whole() };
            client.put_shard(DISK, sample.header.clone(), body, Purpose::Write).await.unwrap();
        }
        Operation::Get => {
            let count = u32::try_from(sample.cells.len()).unwrap();
            let cells = client.read_cells(DISK, sample.shard(), CellRange { first: 0, count }).await.unwrap();
            for (number, cell) in (0..).zip(&cells) {
                cell.verify(sample.shard(), number).unwrap();
            }
        }
    }
}

fn main() {
    let seconds: f64 = std::env::args().nth(1).map_or(1.5, |text| text.parse().expect("seconds per line"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let env = Env::real();
        let samples: Vec<_> = [1 << 10, 64 << 10, 4 << 20]
            .into_iter()
            .zip(1..)
            .map(|(length, n)| Sample::single(1, n, length))
            .collect();
        let stub = Arc::new(Stub::new(&samples));
        let http = http::start(&env, stub.clone()).await;
        let grpc = grpc::start(stub).await;
        let time = Duration::from_secs_f64(seconds);
        println!("| shard | call | in flight | HTTP/1.1 | gRPC |\n|---|---|---|---|---|");
        for sample in &samples {
            for (operation, name) in [(Operation::Put, "put"), (Operation::Get, "get")] {
                for in_flight in [1, 16] {
                    let clients: [&dyn ChunkService; 2] = [&http, &grpc];
                    let mut best: [Option<Figures>; 2] = [None; 2];
                    for _ in 0..ROUNDS {
                        for (client, best) in clients.into_iter().zip(&mut best) {
                            let found = measure(client, sample, operation, in_flight, time).await;
                            if best.is_none_or(|best| found.cpu_us < best.cpu_us) {
                                *best = Some(found);
                            }
                        }
                    }
                    let shown = best
                        .map(|best| best.map_or_else(String::new, |best| show(best, sample.header.length())));
                    println!(
                        "| {} KiB | {name} | {in_flight} | {} | {} |",
                        sample.header.length() >> 10,
                        shown[0],
                        shown[1]
                    );
                }
            }
        }
    });
}

fn show(figures: Figures, bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for showing")]
    let megabytes = figures.operations_per_second * bytes as f64 / 1e6;
    format!("{:.0}/s, {megabytes:.0} MB/s, {:.0} µs", figures.operations_per_second, figures.cpu_us)
}
