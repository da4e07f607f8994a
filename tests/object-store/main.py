"""Runs the tests that the crate object_store (https://crates.io/crates/object_store, of Apache Arrow) ships for stores, against an Ashlar, and
holds their outcome against excluded.txt: a test that fails and is not listed there fails the run, and so does one that is listed and passes."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import boto3

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "lib"))

import suites  # noqa: E402
from report import Report  # noqa: E402
from targets import Cluster, Embedded  # noqa: E402

EXCLUDED = HERE / "excluded.txt"
BUCKET = "object-store"

EXAMPLES = """examples:
  tests/object-store/run                     on one process; the first run builds the suite, which takes some minutes
  tests/object-store/run --cluster --tls     on a cluster, over HTTPS

It is built in $XDG_CACHE_HOME/ashlar or ~/.cache/ashlar, once for all working copies."""


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/object-store/run", description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", action="store_true", help="services in processes of their own over Postgres, not one process")
    parser.add_argument("--tls", action="store_true", help="over HTTPS")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    suites.add_option(parser)
    return parser.parse_args()


def built():
    """The suite's program."""
    folder = suites.cache() / "object-store-suite"
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--manifest-path", HERE / "suite/Cargo.toml", "--target-dir", folder], check=True,
                   cwd=HERE)
    return folder / "debug" / "object-store-suite"


def version():
    """The version of the crate that the suite is built with."""
    packages = tomllib.loads((HERE / "suite/Cargo.lock").read_text())["package"]
    return next(one["version"] for one in packages if one["name"] == "object_store")


def run_suite(program, target):
    """Runs the suite in a bucket of its own and returns the outcome of each test: None for one that passed, else why it did not."""
    boto3.client("s3", endpoint_url=target.endpoint, region_name=target.region, aws_access_key_id=target.access_key,
                 aws_secret_access_key=target.secret_key, verify=str(target.ca) if target.ca else None).create_bucket(Bucket=BUCKET)
    done = subprocess.run([program, BUCKET], env=suites.environment(target), capture_output=True, text=True, check=False, timeout=900)
    print(done.stderr, file=sys.stderr)
    outcomes = {name: None if outcome == "ok" else "see above" for outcome, name in re.findall(r"^(ok|FAIL) (.*)$", done.stdout, re.MULTILINE)}
    if not done.stdout.endswith("\ndone\n"):
        raise SystemExit(f"the suite did not run to its end: {done.stdout[-2000:]}")
    return outcomes


def main():
    """Runs what was asked for."""
    chosen = arguments()
    chosen.binary = chosen.binary.resolve()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    program = built()
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-object-store-"))
    # Postgres runs as another user and must reach its folder.
    folder.chmod(0o755)
    try:
        with (Cluster if chosen.cluster else Embedded)(folder / "target", chosen.tls, chosen.binary) as target:
            suites.judge(run_suite(program, target), EXCLUDED, report)
            if chosen.record:
                suites.record(HERE, "object_store's integration tests", version(), *report.counts())
            with report.case("the server logged no error"):
                bad = target.bad_log_lines()
                assert not bad, "\n".join(bad[:20])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report.close("object-store")


if __name__ == "__main__":
    sys.exit(main())
