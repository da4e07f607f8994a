"""Lets `ashlar torture` start a server and a cluster, strike them while clients work, and check that nothing that was
acknowledged is lost, wrong, stale or back from the dead."""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import results  # noqa: E402
from disks import Disks  # noqa: E402
from postgres import Postgres  # noqa: E402
from report import NotRun, Report  # noqa: E402

REPOSITORY = HERE.parents[1]
BAD = ("panicked at", "stack backtrace", "fatal runtime error")
DISKS = 6

#: What strikes in each form, and how often.
SHORT = {
    "server": {"operations": 1200, "kills": 7, "stops": 1},
    "cluster": {"operations": 900, "kills": 7, "stops": 1, "partitions": 3, "delays": 1},
    "power": {"operations": 400, "power-cuts": 2, "disk-cuts": 1},
}
LONG = {
    "server": {"operations": 50_000, "kills": 200, "stops": 20},
    "cluster": {"operations": 50_000, "kills": 200, "stops": 40, "partitions": 60, "delays": 40},
    "power": {"operations": 20_000, "kills": 20, "power-cuts": 100, "disk-cuts": 40},
}
SABOTAGE = {"operations": 400, "power-cuts": 5}
SABOTAGE_SEED = 4
#: Small objects only, so that the short form is short.
SHORT_SIZE_MAX = "1MiB"
#: The run ends when all garbage is gone.
SHORT_HOLD = "3s"


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/torture/run", description=__doc__, epilog="""examples:
  tests/torture/run                             2,100 changes, 14 kills and more, over one process and over a cluster
  tests/torture/run --target power              power cuts of disks and of everything (root)
  tests/torture/run --target power --sabotage   the same on disks that lie about what they keep: the loss must be seen
  tests/torture/run --long                      50,000 changes through 200 kills of a cluster; one JSON line on standard output
  tests/torture/run --target cluster --seed 7   a run that printed seed 7; when faults strike is never quite the same""",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=sorted(SHORT), action="append", help="may be given more than once (server, cluster; with --long cluster)")
    parser.add_argument("--long", action="store_true", help="the long form")
    parser.add_argument("--sabotage", action="store_true", help="with --target power: prove that a loss is seen")
    parser.add_argument("--seed", type=int, help="seed of the plan")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    results.add_option(parser)
    return parser.parse_args()


def torture(chosen, counts, seed, folder, more):
    """Runs the program and returns its code, its last line and what it said."""
    words = [chosen.binary, "torture", "local", folder / "run", "--seed", seed, "--commit", results.commit(), "--disks", DISKS, *more]
    words += [word for name, count in counts.items() for word in (f"--{name}", count)]
    if not chosen.long:
        words += ["--size-max", SHORT_SIZE_MAX]
        words += ["--garbage-hold", SHORT_HOLD]
    limit = 6 * 3600 if chosen.long else 600
    # Not killed but asked to stop when it takes too long, so that it takes its services along.
    with subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            printed, said = process.communicate(timeout=limit)
        except SystemExit:
            process.terminate()
            process.communicate(timeout=120)
            raise
        except subprocess.TimeoutExpired:
            process.terminate()
            printed, said = process.communicate(timeout=120)
            said += f"\nnot done after {limit} s"
    line = printed.strip().splitlines()[-1] if printed.strip() else ""
    return process.returncode, line, said.strip()


def expect_good(counts, code, line, said):
    """Fails when the program did, or when it did less than it was asked to."""
    assert code == 0, f"code {code}\n{line}\n{said}"
    told = json.loads(line)
    for name, count in counts.items():
        key = {"operations": "acked"}.get(name, name.replace("-", "_"))
        assert told[key] >= count, f"{key} is {told[key]}, wanted {count}"
    for name in ("lost", "wrong", "stale", "resurrected", "leaked_bytes"):
        assert told[name] == 0, f"{name} is {told[name]}, and the program did not fail"
    assert told["audit"]["quiet"], f"the audit is not quiet, and the program did not fail: {told['audit']}"


def expect_loss(code, line, said):
    """Fails when the program did not see that data is lost."""
    assert code != 0, f"nothing was found wrong\n{line}"
    told = json.loads(line)
    assert told["lost"] > 0, f"nothing was found lost\n{line}\n{said}"


def bad_lines(folder):
    """What no service may log, whatever strikes it."""
    return [f"{log.name}: {line}" for log in sorted(folder.glob("*.log")) for line in log.read_text(errors="replace").splitlines()
            if any(bad in line for bad in BAD)]


@contextlib.contextmanager
def surroundings(target, folder, honest):
    """What a target needs beside the program; yields more words for its command line."""
    with contextlib.ExitStack() as undo:
        if target == "server":
            yield []
        elif target == "cluster":
            postgres = Postgres(folder / "postgres")
            undo.callback(postgres.stop)
            postgres.start()
            yield ["--database", postgres.url]
        else:
            disks = undo.enter_context(Disks(folder / "disks", DISKS, honest))
            yield ["--database", disks.postgres.url, "--data", ",".join(map(str, disks.data)),
                   "--cut-command", disks.command("cut"), "--restore-command", disks.command("restore")]


def run(chosen, target, seed, folder, report):
    """One target with its cases; returns the line that its run printed."""
    report.section(f"{target}, seed={seed}")
    folder.mkdir()
    line = ""
    counts = SABOTAGE if chosen.sabotage else (LONG if chosen.long else SHORT)[target]
    name = ", ".join(f"{count} {name}" for name, count in counts.items())
    with report.case(f"{name}, on disks that lie: the loss is seen" if chosen.sabotage else name):
        if target == "power" and os.geteuid() != 0:
            raise NotRun("only root can mount disks")
        with surroundings(target, folder, honest=not chosen.sabotage) as more:
            code, line, said = torture(chosen, counts, seed, folder, more)
            (folder / "said.txt").write_text(said)
        if chosen.sabotage:
            expect_loss(code, line, said)
        else:
            expect_good(counts, code, line, said)
    if line:
        with report.case("no service panicked"):
            bad = bad_lines(folder / "run")
            assert not bad, "\n".join(bad[:20])
    print(line, flush=True)
    return line


def main():
    """Runs what was asked for."""
    chosen = arguments()
    # Mounts and Postgres are taken down also when somebody ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen.binary = chosen.binary.resolve()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    if chosen.sabotage and chosen.target != ["power"]:
        print("--sabotage goes with --target power", file=sys.stderr)
        return 2
    if chosen.sabotage and chosen.seed is None:
        chosen.seed = SABOTAGE_SEED
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    targets = chosen.target or (["cluster"] if chosen.long else ["server", "cluster"])
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-torture-"))
    # Postgres runs as another user.
    folder.chmod(0o755)
    lines = []
    # The long form's standard output is for programs: one line for each target.
    with contextlib.redirect_stdout(sys.stderr) if chosen.long else contextlib.nullcontext():
        try:
            for target in targets:
                lines.append(run(chosen, target, seed, folder / target, report))
        finally:
            if chosen.keep or report.failed:
                print(f"kept {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
        if chosen.record:
            reports = [json.loads(line) for line in lines if line]
            report.figures |= results.figures(reports) | {"seconds": round(sum(one["seconds"] for one in reports))}
            words = [*(f"--target {target}" for target in targets), *(["--long"] if chosen.long else []), *(["--sabotage"] if chosen.sabotage else [])]
            results.record(" ".join(["tests/torture/run", *words]), seed, report)
        code = report.close("torture")
    if chosen.long:
        print("\n".join(filter(None, lines)))
    return code


if __name__ == "__main__":
    sys.exit(main())
