# Run `just` for a list.

default:
    @just --list

# Everything the build server checks.
check: format lint test

format:
    cargo fmt --all -- --check

lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The tests, installing what they need.
test:
    ./test

# Licences, sources and duplicate versions (installs cargo-deny once).
deny:
    command -v cargo-deny >/dev/null || cargo install cargo-deny --locked
    cargo deny check licenses bans sources
