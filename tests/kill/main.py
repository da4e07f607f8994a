"""Kills `ashlar server` with -9 again and again while clients write, overwrite and delete; then every acknowledged write
must read back equal, every acknowledged delete must stay, and nothing half-written may be visible. Then, as root, the same of a
server whose disk is full."""

import argparse
import concurrent.futures
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import full  # noqa: E402
from report import Report  # noqa: E402
from targets import Embedded  # noqa: E402

REPOSITORY = HERE.parents[1]
CLIENTS = 8


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/kill/run", description=__doc__, epilog="""examples:
  tests/kill/run                        one data path, then six (4+2)
  tests/kill/run --paths 6 --kills 100  longer, on six
  tests/kill/run --seed 7               the plan of a run that printed seed=7; when the kills strike is never quite the same""",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, action="append", metavar="N", help="data paths; may be given more than once (1 and 6)")
    parser.add_argument("--objects", type=int, default=1000, metavar="N", help="keys to write (1000)")
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="kills while clients write (20)")
    parser.add_argument("--no-full", dest="full", action="store_false", help="leave out the disk that gets full, which takes root")
    parser.add_argument("--seed", type=int, help="seed of the plan")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    parser.add_argument("--keep", action="store_true", help="keep data and log")
    return parser.parse_args()


class Run:
    """One server, its clients and their histories."""

    def __init__(self, chosen, paths, seed, folder):
        from clients import Progress, Writer, make_client
        from plan import make_plan

        self.chosen = chosen
        self.chance = random.Random(f"kills/{seed}")
        self.target = Embedded(folder / "target", False, chosen.binary, paths)
        self.progress = Progress()
        self.s3 = make_client(self.target)
        self.plans = make_plan(seed, chosen.objects, CLIENTS)
        self.kills = 0
        self.kills_while_starting = 0
        self.slowest_start = 0.0
        self.problems = {"lost": [], "wrong": [], "resurrected": []}
        self.writers = [Writer(self.target, plan, seed, self.progress, self.problems) for plan in self.plans]

    def write_and_kill(self):
        """Lets the clients work; kills the server at random points of their progress."""
        from clients import BUCKET

        self.target.begin()
        self.s3.create_bucket(Bucket=BUCKET)
        for writer in self.writers:
            writer.start()
        operations = sum(len(plan) for plan in self.plans)
        for count in sorted(self.chance.sample(range(1, operations - CLIENTS), self.chosen.kills)):
            self.progress.wait_for(count)
            time.sleep(self.chance.uniform(0, 0.05))
            self.server().kill()
            self.kills += 1
            self.restart()
        for writer in self.writers:
            writer.join(300)
            if writer.is_alive() or self.progress.broken:
                raise RuntimeError(f"a client is stuck: {self.progress.broken or 'no progress'}")

    def server(self):
        """The process as it runs now."""
        return self.target.servers[0]

    def restart(self):
        """Starts the server on the same data; now and then it is killed while it starts."""
        while self.chance.random() < 0.3:
            server, _ = self.target.spawn()
            time.sleep(self.chance.uniform(0, 0.3))
            if server.process.poll() is not None:
                raise RuntimeError(f"the server ended by itself with code {server.process.returncode}\n{server.log_tail()}")
            server.kill()
            self.kills_while_starting += 1
        began = time.monotonic()
        server, ready = self.target.spawn()
        server.wait_until(ready)
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)

    def histories(self):
        """Every key's history."""
        return {key: history for writer in self.writers for key, history in writer.histories.items()}

    def compare(self, when):
        """Reads every key and compares it with its history."""
        from clients import read

        histories = self.histories()
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            found = dict(zip(histories, threads.map(lambda key: read(self.s3, key), histories)))
        for key, history in histories.items():
            problem = history.judge(found[key])
            if problem:
                self.problems[problem].append(f"{when}: {key!r} holds {found[key]}, possible {history.possible}")
            history.settle(found[key])
        return found

    def compare_listing(self, found):
        """Everything listed must be what a read returned, and nothing else may be listed."""
        from clients import BUCKET

        listed = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            listed |= {each["Key"]: each["Size"] for each in page.get("Contents", [])}
        stored = {key: content.size for key, content in found.items() if content is not None}
        for key in listed.keys() | stored.keys():
            if listed.get(key) != stored.get(key):
                self.problems["wrong"].append(f"listing: {key!r} has size {listed.get(key)}, a read has {stored.get(key)}")


def run(chosen, paths, seed, folder, report):
    """One run with its cases."""
    report.section(f"kill -9, {paths} data path{'s' if paths > 1 else ''}, seed={seed}")
    one = Run(chosen, paths, seed, folder)
    failed_before = len(report.failed)
    try:
        with report.case(f"{chosen.objects} objects are written through {chosen.kills} kills"):
            one.write_and_kill()
        if len(report.failed) == failed_before:
            with report.case("every acknowledged write reads back, every acknowledged delete stays"):
                one.compare_listing(one.compare("at the end"))
                expect_none(one.problems)
            with report.case("the same after an orderly restart"):
                one.target.stop()
                one.target.begin()
                one.compare_listing(one.compare("after a restart"))
                expect_none(one.problems)
            with report.case("logged no error"):
                one.target.stop()
                bad = one.target.bad_log_lines()
                assert not bad, "\n".join(bad[:20])
    finally:
        if len(report.failed) > failed_before and one.target.servers:
            print(one.server().log_tail(60))
        one.target.end()
    progress, counts = one.progress, {name: len(found) for name, found in one.problems.items()}
    print(f"seed={seed} paths={paths} acked={progress.acknowledged} objects={len(one.histories())} unanswered={progress.unanswered} "
          f"kills={one.kills} kills_while_starting={one.kills_while_starting} slowest_start={one.slowest_start:.2f}s "
          f"lost={counts['lost']} wrong={counts['wrong']} resurrected={counts['resurrected']}", flush=True)
    if progress.refused:
        print(f"refused: {dict(progress.refused)}")


def expect_none(problems):
    """Fails with the first problems of each kind."""
    shown = [f"{kind}: {text}" for kind, found in problems.items() for text in found[:5]]
    assert not shown, "\n".join(shown)


def main():
    """Runs what was asked for."""
    chosen = arguments()
    chosen.binary = chosen.binary.resolve()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-kill-"))
    try:
        for paths in chosen.paths or [1, 6]:
            run(chosen, paths, seed, folder / f"paths{paths}", report)
        if chosen.full:
            full.run(chosen, folder / "full", report)
    finally:
        if chosen.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.close("kill")


if __name__ == "__main__":
    sys.exit(main())
