"""What the scripts beside this one have in common: a seed, a folder of their own, the program to test, and figures that can be kept."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile

import results
from report import NotRun, Report

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


#: Room that a cluster takes here while shards are moved, beyond the twentieth of a disk with which it counts as full.
ROOM_BYTES = 10 << 30


def has_room(folder, report):
    """Whether disks there take what is moved to them; otherwise what was to be done is told as not run: a disk that is as good as full is given
    nothing, and the load would go on and on."""
    usage = shutil.disk_usage(folder)
    wanted = usage.total // 20 + ROOM_BYTES
    with report.case("there is room to move shards to"):
        if usage.free < wanted:
            raise NotRun(f"{usage.free >> 30} GiB are free at {folder}, and it takes {wanted >> 30}")
        return True
    return False


def add_options(parser, seed):
    """The switches that all have; `seed` says what it decides."""
    parser.add_argument("--seed", type=int, help=seed)
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    results.add_option(parser)


def perform(name, chosen, run):
    """Calls `run(chosen, folder, report)`; returns the exit code."""
    # Everything is taken down also when somebody ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen.binary = chosen.binary.resolve()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    if chosen.seed is None:
        chosen.seed = random.SystemRandom().randrange(10**6)
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"ashlar-{name.split()[0]}-"))
    # Postgres runs as another user.
    folder.chmod(0o755)
    with contextlib.ExitStack() as undo:
        report.section(f"{name}, seed={chosen.seed}")
        if not chosen.keep:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
        run(chosen, folder, report)
        if report.failed:
            undo.pop_all()
            print(f"kept {folder}")
    if chosen.record:
        results.record(" ".join([f"tests/torture/{name}", *(["--long"] if getattr(chosen, "long", False) else [])]), chosen.seed, report)
    return report.close(name)
