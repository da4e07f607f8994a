"""Runs the public suite s3s-e2e (https://crates.io/crates/s3s-e2e, of the s3s project) against an Ashlar, and holds its outcome against
excluded.txt: a test that fails and is not listed there fails the run, and so does one that is listed and passes."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "lib"))

import suites  # noqa: E402
from report import Report  # noqa: E402
from targets import Embedded  # noqa: E402

#: Later ones need a newer compiler.
VERSION = "0.14.1"
EXCLUDED = HERE / "excluded.txt"

EXAMPLES = """examples:
  tests/s3s-e2e/run                    the whole suite; the first run builds it, which takes some ten minutes
  tests/s3s-e2e/run --filter Tagging   tests whose names match
  tests/s3s-e2e/run --tls              over HTTPS

It is installed into $XDG_CACHE_HOME/ashlar or ~/.cache/ashlar, and built once for all working copies."""


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/s3s-e2e/run", description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", metavar="EXPRESSION", help="only tests whose names match")
    parser.add_argument("--tls", action="store_true", help="over HTTPS")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    suites.add_option(parser)
    chosen = parser.parse_args()
    if chosen.record and chosen.filter:
        parser.error("only the whole suite is recorded")
    return chosen


def installed():
    """The suite's program, which is built when it is not there."""
    root = suites.cache() / f"s3s-e2e-{VERSION}"
    program = root / "bin" / "s3s-e2e"
    if not program.exists():
        print(f"installing s3s-e2e {VERSION} into {root}", flush=True)
        # Built in a folder of its own, so that the workspace's settings for cargo are none of its business.
        with tempfile.TemporaryDirectory(prefix="ashlar-s3s-e2e-") as folder:
            subprocess.run(["cargo", "install", f"s3s-e2e@{VERSION}", "--locked", "--root", root], check=True, cwd=folder,
                           env=os.environ | {"CARGO_TARGET_DIR": f"{folder}/target"})
    return program


def run_suite(program, target, folder, chosen):
    """Runs the suite and returns the outcome of each test: None for one that passed, else why it did not."""
    words = [program, "--json", folder / "report.json"]
    if chosen.filter:
        words += ["--filter", chosen.filter]
    subprocess.run(words, cwd=folder, env=suites.environment(target), stdout=sys.stderr, check=False, timeout=600)
    outcomes = {}
    for suite in json.loads((folder / "report.json").read_text())["suites"]:
        for fixture in suite["fixtures"]:
            # Without its preparation no case of a fixture is run. What succeeds of it is no test.
            for holder, name in ((suite, suite["name"]), (fixture, f"{suite['name']}/{fixture['name']}")):
                outcomes |= {f"{name}/{step}": problem(holder[step]) for step in ("setup", "teardown") if holder[step] and problem(holder[step])}
            for case in fixture["cases"]:
                if not case["ignored"]:
                    outcomes[f"{suite['name']}/{fixture['name']}/{case['name']}"] = problem(case["run"]) if case["run"] else "was not run"
    return outcomes


def problem(run):
    """Why a function of the suite failed, or None."""
    result = run["result"]
    return None if result == "Ok" else json.dumps(result)


def main():
    """Runs what was asked for."""
    chosen = arguments()
    chosen.binary = chosen.binary.resolve()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    program = installed()
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-s3s-e2e-"))
    try:
        with Embedded(folder / "target", chosen.tls, chosen.binary) as target:
            suites.judge(run_suite(program, target, folder, chosen), EXCLUDED, report)
            if chosen.record:
                suites.record(HERE, "s3s-e2e", VERSION, *report.counts())
            with report.case("the server logged no error"):
                bad = target.bad_log_lines()
                assert not bad, "\n".join(bad[:20])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report.close("s3s-e2e")


if __name__ == "__main__":
    sys.exit(main())
