"""Figures that are kept: one line of JSON for each long run, in docs/results.jsonl."""

import datetime
import functools
import json
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "docs/results.jsonl"
#: What a run of `ashlar torture` tells of itself and is kept.
KEPT = ("acked", "reads", "unknown", "lost", "wrong", "stale", "resurrected", "leaked_bytes", "kills", "stops", "partitions", "delays", "power_cuts", "disk_cuts")


@functools.cache
def commit():
    """Which build is tested, as far as the repository knows: asked first when a run begins."""
    done = subprocess.run(["git", "-C", REPOSITORY, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def add_option(parser):
    """The switch of a script that can keep its figures."""
    commit()
    parser.add_argument("--record", action="store_true", help="add the figures to docs/results.jsonl, also when it fails")


def figures(reports):
    """The sums over some reports of `ashlar torture`, and the longest time without an answer."""
    sums = {name: sum(report.get(name) or 0 for report in reports) for name in KEPT}
    sums["missing"] = sum((report.get("audit") or {}).get("missing", 0) for report in reports)
    return sums | {"unavailable_p100": max((report["unavailable_p100"] for report in reports), default=None)}


def record(scenario, seed, report):
    """Adds a line: what was run and when, how many of its cases passed and failed, and its figures."""
    line = {"scenario": scenario, "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "commit": commit(), "seed": seed,
            "passed": report.passed, "failed": len(report.failed)}
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line | report.figures) + "\n")
