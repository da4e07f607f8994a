"""Points S3 clients at a server and checks what they store and get back."""

import argparse
import importlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

# What the machine's user has configured for AWS is none of the tests' business.
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)

import outcomes  # noqa: E402
import together  # noqa: E402
from catalog import CLIENTS  # noqa: E402
from files import parse_size  # noqa: E402
from report import Report  # noqa: E402
from sessions import REPOSITORY, Session  # noqa: E402
from targets import Cluster, Embedded, ERASURE_PATHS, Other  # noqa: E402

# Data libraries and what stores through them; the first two are quick, and show whether conditional puts hold.
DATA = ["obstore", "deltalake", "polars", "lance", "zarr", "pyarrow", "duckdb", "pyiceberg", "s3fs", "dvc", "litestream", "juicefs"]
HTTPS_ONLY = {"pgbackrest"}
OVER_HTTP = [name for name in CLIENTS if name not in HTTPS_ONLY]
# Rows of target, TLS, clients. Together they take more than an hour; README.md says what each row is for.
MATRIX = [
    ("embedded", False, OVER_HTTP),
    ("embedded", True, list(CLIENTS)),
    ("erasure", True, ["boto3", "rclone", "aws-crt"]),
    ("cluster", False, OVER_HTTP),
    ("cluster", True, list(CLIENTS)),
]
# What `--short` runs: what takes minutes or needs packages of its own is left out, and so is what differs little
# from another row. The longest rows come first, for what is run beside each other.
SHORT = [
    ("embedded", False, ["aws-cli", "aws-cli-debian", "terraform", "s3cmd"]),
    ("embedded", False, ["boto3", "rclone", "restic", "aws-sdk-rust", "s5cmd", "minio-py", "aws-sdk-js", "minio-js", *DATA[:2]]),
    ("cluster", False, ["aws-cli", "boto3", "rclone", "restic", "aws-sdk-rust", "terraform", "deltalake"]),
    ("embedded", True, ["aws-cli", "restic", "aws-sdk-rust", "aws-sdk-js", "minio-js", *DATA[:2]]),
    ("erasure", True, ["boto3", "rclone"]),
    ("cluster", True, ["rclone", "aws-sdk-rust"]),
]
# Logs and inventories are delivered soon; nothing expires within minutes.
SETTINGS = {"ASHLAR_ACCESS_LOG_INTERVAL": "1", "ASHLAR_LIFECYCLE_DAY": "60"}
# aws-cli moves its large file and tree at full size in the first row only, and rclone has its many keys there.
REDUCED = 5

HELP_END = """examples:
  tests/clients/run                                   every client as in the matrix of README.md
  tests/clients/run --short --at-once 3               what `./test` runs of it
  tests/clients/run --target cluster --tls boto3      one client, one server
  tests/clients/run --record --target cluster         every client on one kind of server, for docs/compatibility.md
  tests/clients/run --large 3GiB --files 5000 aws-cli at full size
  tests/clients/run --target embedded --keys 1000000 --binary target/release/ashlar rclone
  tests/clients/run --endpoint http://127.0.0.1:8333 boto3    another server, to compare (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)
"""


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/clients/run", description=__doc__, epilog=HELP_END,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="which clients: " + ", ".join(CLIENTS))
    parser.add_argument("--target", choices=["embedded", "erasure", "cluster"],
                        help="one data path, six data paths (4+2), or services in processes of their own over Postgres")
    parser.add_argument("--tls", action="store_true", help="over HTTPS")
    parser.add_argument("--endpoint", metavar="URL", help="a server that already runs, of any make")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    parser.add_argument("--large", type=parse_size, default="300MiB", metavar="SIZE", help="size of aws-cli's large file (300MiB)")
    parser.add_argument("--files", type=int, default=400, metavar="N", help="files in aws-cli's tree (400)")
    parser.add_argument("--keys", type=int, metavar="N", help="keys that rclone counts and compares (10000; 1500 with --short)")
    parser.add_argument("--short", action="store_true", help="without what takes minutes: what `./test` runs")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="kinds of server at a time, each shown when it is done (1)")
    parser.add_argument("--record", action="store_true",
                        help=f"keep what passed and failed in {outcomes.RESULTS.relative_to(REPOSITORY)}, for docs/compatibility.md")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    parser.add_argument("--list", action="store_true", help="print the matrix and end")
    chosen = parser.parse_args()
    chosen.keys = chosen.keys or (1500 if chosen.short else 10_000)
    for name in chosen.clients:
        if name not in CLIENTS:
            parser.error(f"no client {name!r}; there are {', '.join(CLIENTS)}")
    if chosen.at_once > 1 and (chosen.record or chosen.endpoint):
        parser.error("--at-once is for neither --record nor --endpoint")
    return chosen


def plan(chosen):
    """Which clients run against which server: rows of target, TLS, clients."""
    if chosen.endpoint:
        return [("other", False, chosen.clients or list(CLIENTS))]
    if chosen.target or chosen.tls:
        return [(chosen.target or "embedded", chosen.tls, chosen.clients or (list(CLIENTS) if chosen.tls else OVER_HTTP))]
    rows = [(target, tls, [name for name in names if not chosen.clients or name in chosen.clients])
            for target, tls, names in (SHORT if chosen.short else MATRIX)]
    return [row for row in rows if row[2]]


def reduced(chosen):
    """The same options with less to move."""
    return argparse.Namespace(**vars(chosen) | {"large": chosen.large // REDUCED, "files": chosen.files // REDUCED, "keys": chosen.keys // REDUCED})


def run_together(rows, chosen):
    """Runs each row in a process of its own, in the order of the rows."""
    commands = []
    for number, (target, tls, clients) in enumerate(rows):
        options = chosen if number == 0 else reduced(chosen)
        commands.append([sys.executable, HERE / "main.py", "--target", target, *(["--tls"] if tls else []), "--binary", options.binary,
                         "--large", options.large, "--files", options.files, "--keys", options.keys, *(["--keep"] if options.keep else []), *clients])
    return together.run(commands, chosen.at_once)


def make_target(name, tls, folder, chosen):
    """The server of one row."""
    if name == "other":
        return Other(folder, chosen.endpoint)
    if name == "cluster":
        return Cluster(folder, tls, chosen.binary, settings=SETTINGS)
    return Embedded(folder, tls, chosen.binary, ERASURE_PATHS if name == "erasure" else 1, SETTINGS)


def run_row(name, tls, clients, folder, report, chosen):
    """Runs clients against one server, then stops it and reads its logs."""
    where = f"{name}, {'HTTPS' if tls else 'HTTP'}"
    report.section(where)
    target = make_target(name, tls, folder / "target", chosen)
    failed_before = len(report.failed)
    started, counts = False, {}
    with report.case("starts"):
        target.__enter__()
        started = True
    if not started:
        return
    try:
        for client in clients:
            report.section(f"{where}: {client}")
            began, before = time.monotonic(), report.counts()
            module = importlib.import_module(CLIENTS[client].module)
            session = Session(target, report, folder / client, chosen)
            with report.case("runs to its end"):
                module.run(session)
            print(f"        {client} took {time.monotonic() - began:.1f} s", flush=True)
            counts[client] = [after - one for after, one in zip(report.counts(), before)]
            if chosen.record and target.ours:
                outcomes.record(client, name, tls, counts[client])
        report.section(where)
        failed_of_clients = len(report.failed)
        if target.ours:
            with report.case("stops when asked"):
                target.stop()
            with report.case("logged no error"):
                bad = target.bad_log_lines()
                assert not bad, "\n".join(bad[:20])
            if chosen.record and len(report.failed) > failed_of_clients:
                # Whichever client it was that the server did not bear: none of them counts as passed.
                for client, (passed, failed, not_run) in counts.items():
                    outcomes.record(client, name, tls, (passed, failed + 1, not_run))
    finally:
        target.end()
    if len(report.failed) > failed_before:
        for server in target.servers:
            print(server.log_tail(), flush=True)


def main():
    """Runs what was asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = arguments()
    rows = plan(chosen)
    if chosen.list:
        for target, tls, clients in rows:
            print(f"{target:9} {'HTTPS' if tls else 'HTTP':6} {' '.join(clients)}")
        return 0
    chosen.binary = chosen.binary.resolve()
    if not chosen.endpoint and not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    # Only what these clients need, which some of them alone do.
    subprocess.run([REPOSITORY / "tests/lib/install", *sorted({client for _, _, clients in rows for client in clients})], check=True)
    if chosen.at_once > 1 and len(rows) > 1:
        return run_together(rows, chosen)
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-clients-"))
    # Postgres runs as another user and must reach its folder.
    folder.chmod(0o755)
    try:
        for number, (target, tls, clients) in enumerate(rows):
            row = folder / f"{number}-{target}-{'https' if tls else 'http'}"
            row.mkdir()
            run_row(target, tls, clients, row, report, chosen if number == 0 else reduced(chosen))
            if not chosen.keep:
                shutil.rmtree(row, ignore_errors=True)
    finally:
        if chosen.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.close("clients")


if __name__ == "__main__":
    sys.exit(main())
