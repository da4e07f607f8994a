"""What is kept of a public suite's last run, in `results.json` beside its script, for `docs/compatibility.md`."""

import datetime
import json
import os
import pathlib


def add_option(parser):
    """The switch of a script that can keep its counts."""
    parser.add_argument("--record", action="store_true", help="keep the counts in results.json, for docs/compatibility.md")


def cache():
    """Where suites are built, outside of the tree."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ashlar"


def environment(target):
    """Variables of a suite's program: where the server is, its credentials, and nothing of the user's own settings for AWS."""
    variables = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ} | {
        "AWS_ACCESS_KEY_ID": target.access_key,
        "AWS_SECRET_ACCESS_KEY": target.secret_key,
        "AWS_REGION": target.region,
        "AWS_ENDPOINT_URL": target.endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # Nothing is tried again: what fails once has failed.
        "AWS_MAX_ATTEMPTS": "1",
    }
    return variables | ({"SSL_CERT_FILE": str(target.ca)} if target.ca else {})


def record(folder, suite, version, passed, failed, excluded):
    """Replaces what was kept before."""
    kept = {"suite": suite, "version": version, "passed": passed, "failed": failed, "excluded": excluded,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    (folder / "results.json").write_text(json.dumps(kept, indent=1) + "\n")


def excluded(path):
    """Names of tests that are known to fail, with the reason for each: the comment before them."""
    reasons, reason = {}, ""
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            reason = line.lstrip("# ")
        elif line.strip():
            reasons[line.strip()] = reason
    return reasons


def judge(outcomes, path, report, show=False):
    """One case for each test of a suite, from its outcomes: None for one that passed, else why it did not. One that is excluded must fail."""
    reasons = excluded(path)
    for name, problem in sorted(outcomes.items()):
        if problem is not None and name in reasons:
            report.not_run.append(name)
            if show:
                print(f"  --    {name}: {reasons[name]}: {problem[:300]}")
            continue
        with report.case(name):
            assert problem is None, problem[:2000]
            assert name not in reasons, f"passes; take it off {path.name}"
