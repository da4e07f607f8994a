"""`ashlar torture run` against a cluster of ours, and what an operator does to that cluster meanwhile."""

import json
import os
import pathlib
import subprocess
import threading
import time

import results
from processes import CommandFailed, command

#: What no run may find.
FINDINGS = ("lost", "wrong", "stale", "resurrected")
SETTLE_SECONDS = 1200
BAD = ("panicked at", "stack backtrace", "fatal runtime error")


def admin_environment(target):
    """What `ashlar admin` needs to reach the cluster."""
    return {"PATH": os.environ["PATH"], "ASHLAR_METADATA": target.metadata_addresses(), "ASHLAR_CLUSTER_SECRET": target.cluster_secret}


class Load(threading.Thread):
    """Runs of `ashlar torture`, one after the other, each with the next seed, until `enough` of their reports or until it is told to end
    after the one under way. What the first stored stays; with `keep` what any of them stored, as it has to when an outage may come while a
    run removes it."""

    def __init__(self, target, seed, operations, *words, enough=lambda reports: False, keep=False):
        super().__init__()
        self.seed = seed
        self.words = [target.binary, "torture", "run", "--endpoint", ",".join(target.endpoints), "--operations", operations, *words]
        # Without the metadata services, that it makes no audit in the end of each run: it would look at a cluster that changes.
        self.environment = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": target.access_key, "AWS_SECRET_ACCESS_KEY": target.secret_key}
        self.enough = enough
        self.keep = keep
        self.ending = threading.Event()
        self.reports = []
        self.failure = None

    def run(self):
        while self.failure is None and not self.ending.is_set() and not self.enough(self.reports):
            words = [*self.words, "--seed", self.seed + len(self.reports), *(["--keep"] if self.keep or not self.reports else [])]
            done = subprocess.run([str(word) for word in words], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, check=False)
            line = done.stdout.strip().splitlines()[-1:]
            if line:
                self.reports.append(json.loads(line[0]))
                print(f"    {line[0]}", flush=True)
            if done.returncode != 0 or not line:
                self.failure = f"code {done.returncode}\n{done.stdout}\n{done.stderr}"

    def check(self):
        """Fails when a run did."""
        assert self.failure is None, self.failure

    def end(self):
        """Waits for the run under way; fails when any of them did."""
        self.ending.set()
        self.join()
        self.check()

    def sum(self, name):
        """A count over all runs."""
        return sum(report[name] for report in self.reports)

    def failures(self):
        """How often each failure was answered, over all runs."""
        counts = {}
        for report in self.reports:
            for name, count in report["failures"].items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def figures(self):
        """What is kept of it."""
        return results.figures(self.reports)

    def told(self):
        """What came of it, in a line."""
        longest = max((report["unavailable_p100"] for report in self.reports), default=0)
        return (f"{self.sum('acked')} changes and {self.sum('reads')} reads in {len(self.reports)} runs, "
                + ", ".join(f"{self.sum(name)} {name}" for name in FINDINGS)
                + f", longest without an answer {longest} s, failures {json.dumps(self.failures(), sort_keys=True)}")


class Operator:
    """Looks after the cluster by `ashlar admin`, past whatever strikes it."""

    def __init__(self, target):
        self.target = target
        self.environment = admin_environment(target)

    def admin(self, *words, seconds=120, patience=0):
        """Runs a command; returns what it printed. Tries again for so many seconds while services are away."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return command([self.target.binary, "--log", "warn", "admin", *words], self.environment, seconds=seconds)
            except CommandFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def status(self, patience=0):
        """The cluster at a glance."""
        return json.loads(self.admin("status", "--json", patience=patience))

    def audit(self):
        """What a comparison of every shard with every manifest finds, every byte read."""
        done = subprocess.run([self.target.binary, "--log", "warn", "admin", "audit", "--deep", "--json"], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def wait_until_clean(self, quiet=False, seconds=600):
        """Audits until nothing is wrong, with `quiet` also until nothing is left to be done; returns the last audit."""
        deadline = time.monotonic() + seconds
        while True:
            audit = self.audit()
            if audit["clean"] and (audit["quiet"] or not quiet):
                return audit
            assert time.monotonic() < deadline, json.dumps(audit, indent=1)
            time.sleep(5)

    def busy(self, patience=0):
        """What is on its way: moves and evictions."""
        status = self.status(patience)
        return sum(item["moves"] for item in status["classes"]) + status["evictions"]

    def settle(self, check=lambda: None, patience=0):
        """Waits until nothing is on its way, nor begins to be."""
        deadline, still = time.monotonic() + SETTLE_SECONDS, 0
        while still < 5:
            check()
            assert time.monotonic() < deadline, f"not at rest after {SETTLE_SECONDS} s\n{self.admin('status')}"
            still = 0 if self.busy(patience) else still + 1
            time.sleep(2)


def bad_lines(folder):
    """What no service may log, whatever strikes it."""
    logs = sorted(pathlib.Path(folder).glob("*.log"))
    return [f"{log.name}: {line}" for log in logs for line in log.read_text(errors="replace").splitlines() if any(bad in line for bad in BAD)]
