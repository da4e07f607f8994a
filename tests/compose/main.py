"""Runs the cluster of docker-compose.yml in containers, kills parts of it and reads everything back.

Starts a Docker engine if none runs (root), makes the images that are missing, and leaves nothing running."""

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import results  # noqa: E402
from report import Report  # noqa: E402

REPOSITORY = HERE.parents[1]
LOGS = REPOSITORY / "target" / "test-logs" / "compose"
PAIRS = 4
BAD_LINE = re.compile(r"\bERROR\b|panicked at|stack backtrace|memory allocation of|fatal runtime error")

HELP_END = """examples:
  tests/compose/run              the program of `cargo build -p ashlar`
  tests/compose/run --release    the program of `cargo build --release -p ashlar`
  tests/compose/run --pairs 15   every pair of chunk services
  tests/compose/run --long       also what takes minutes: more and fewer containers, rolling restarts, pauses, lost networks
  tests/compose/run --earlier ./ashlar-of-before     begins with the image of that program, and goes on with that of the other
  tests/compose/run --keep       leaves the cluster running, to look at it
"""


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/compose/run", description=__doc__, epilog=HELP_END,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="store_true", help="test target/release/ashlar instead of target/debug/ashlar")
    parser.add_argument("--binary", type=pathlib.Path, help="test this program")
    parser.add_argument("--earlier", type=pathlib.Path, metavar="FILE", help="begin with this program, and upgrade as the guide says, by deploy/compose/upgrade")
    parser.add_argument("--pairs", type=int, default=PAIRS, metavar="N", help=f"pairs of chunk services to kill, of 15 ({PAIRS})")
    parser.add_argument("--long", action="store_true", help="also the cases that take minutes")
    parser.add_argument("--seed", type=int, help="seed of pairs and sizes")
    results.add_option(parser)
    parser.add_argument("--keep", action="store_true", help="leave the cluster, and the engine, running")
    chosen = parser.parse_args()
    chosen.binary = (chosen.binary or REPOSITORY / "target" / ("release" if chosen.release else "debug") / "ashlar").resolve()
    return chosen


class Run:
    """What the cases work with."""

    def __init__(self, chosen, cluster, report):
        from objects import Objects

        self.report = report
        self.cluster = cluster
        self.seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
        # One of each gateway.
        self.clients = cluster.clients
        # Written while everything is up: any two chunk services may be lost.
        self.settled = Objects(self.clients, "settled")


def run_cases(run, chosen, image):
    """Everything, in order. Later cases make no sense on a cluster that does not start."""
    from chunk_cases import pairs_of, run_pair
    from cluster import CHUNKS, GATEWAYS, METADATA
    from long_cases import run_backup, run_disconnect, run_keys, run_new_containers, run_numbers, run_pause, run_rolling, run_scale
    from single_case import run_single
    from service_cases import run_balancer, run_exchange, run_layout, run_postgres, run_restart, run_takeover
    from upgrade_cases import run_interruptions, run_upgrade

    run_single(run)
    run.report.section(f"start, seed={run.seed}")
    with run.report.case("docker compose up --wait"):
        run.cluster.up()
    if run.report.failed:
        return
    run_exchange(run)
    if chosen.earlier:
        run_upgrade(run, image, chosen.binary)
    run_interruptions(run)
    run_layout(run)
    run_balancer(run)
    run.report.figures |= {"seed": run.seed, "pairs": 0, "reads": 0}
    for pair in pairs_of(CHUNKS, chosen.pairs, random.Random(run.seed)):
        run_pair(run, pair)
    for metadata, gateway in zip(METADATA, GATEWAYS):
        run_takeover(run, metadata, gateway)
    run_postgres(run)
    run_restart(run)
    if chosen.long:
        for cases in (run_rolling, run_pause, run_disconnect, run_new_containers, run_keys, run_scale, run_backup, run_numbers):
            cases(run)


def read_logs(run):
    """Looks for what no healthy service logs."""
    from cluster import OURS

    run.report.section("logs")
    with run.report.case("no service logged an error"):
        bad = [f"{service}: {line}" for service in OURS for line in run.cluster.log(service).splitlines() if BAD_LINE.search(line)]
        assert not bad, f"{len(bad)} lines\n" + "\n".join(bad[:20])


def keep_logs(cluster):
    """Keeps all logs and shows the end of each."""
    from cluster import SERVICES
    from processes import end_of

    LOGS.mkdir(parents=True, exist_ok=True)
    for service in SERVICES:
        text = cluster.log(service)
        (LOGS / f"{service}.log").write_text(text, encoding="utf-8")
        print(f"--- the last lines of {LOGS / service}.log\n{end_of(text, 20)}", flush=True)


def run_cluster(chosen, docker, folder, report):
    """Builds the image, runs the cases, and takes everything away again."""
    from cluster import Cluster
    from images import Image, ensure_base_images

    cluster = Cluster(docker, folder)
    # What a run that was killed left behind.
    cluster.down()
    ensure_base_images(docker)
    image = Image(docker, cluster)
    run = Run(chosen, cluster, report)
    left = []
    try:
        began = time.monotonic()
        if chosen.earlier:
            cluster.use_image("earlier")
        image.build(chosen.earlier or chosen.binary)
        print(f"built the image in {time.monotonic() - began:.1f} s", flush=True)
        run_cases(run, chosen, image)
        read_logs(run)
    finally:
        if report.failed:
            keep_logs(cluster)
        if chosen.keep:
            print(f"the cluster runs: {cluster.endpoint}; settings in {cluster.settings}", flush=True)
        else:
            cluster.down()
            left = cluster.leftovers()
            image.remove()
    if not chosen.keep:
        report.section("end")
        with report.case("docker compose down -v leaves nothing"):
            assert not left, f"left: {left}"


def stop(number, _):
    """Ends the program by an exception, so that everything is cleaned up."""
    sys.exit(128 + number)


def main():
    """Runs what was asked for."""
    chosen = arguments()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    if chosen.earlier and not os.access(chosen.earlier, os.X_OK):
        print(f"{chosen.earlier} is no program", file=sys.stderr)
        return 2
    from engine import Docker, Engine

    signal.signal(signal.SIGTERM, stop)
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-compose-"))
    try:
        docker = Docker()
        with Engine(docker, folder / "engine.log"):
            run_cluster(chosen, docker, folder, report)
    finally:
        if not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if chosen.record:
        words = [f"--pairs {chosen.pairs}", *(["--long"] if chosen.long else []), *(["--earlier FILE"] if chosen.earlier else [])]
        results.record(" ".join(["tests/compose/run", *words]), report.figures.pop("seed", None), report)
    return report.close("compose")


if __name__ == "__main__":
    sys.exit(main())
