//! The `ashlar` command.

fn main() -> std::process::ExitCode {
    ashlar::main()
}
