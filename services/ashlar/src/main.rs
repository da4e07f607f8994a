//! The `ashlar` command.

/// A request makes and drops some hundreds of small things; this allocator takes half the time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    ashlar::main()
}
