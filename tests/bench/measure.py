"""Starts a server for a measurement and runs `ashlar bench` against it."""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "lib"))

from targets import Cluster, Embedded  # noqa: E402

MIB = 1 << 20


def parser(name, document, examples):
    """The options that every measurement has."""
    made = argparse.ArgumentParser(prog=f"tests/bench/{name}", description=document, epilog=examples,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--binary", type=pathlib.Path, metavar="FILE", help="a built ashlar (else it is built, in release)")
    made.add_argument("--data", type=pathlib.Path, metavar="FOLDER",
                      help="where the server's data goes, in a folder of its own that is removed again (the system's temporary folder)")
    made.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every report of ashlar bench there, one a line")
    return made


def built(binary):
    """The program to measure: the one given, or a release build of this tree."""
    if binary is None:
        print("building ashlar in release", file=sys.stderr, flush=True)
        subprocess.run(["cargo", "build", "--release", "-p", "ashlar"], cwd=REPOSITORY, check=True)
        binary = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "ashlar"
    if not binary.is_file():
        sys.exit(f"{binary} is not there; build it with `cargo build --release -p ashlar`")
    return binary.resolve()


class Measured:
    """A server, and the load generator pointed at it."""

    def __init__(self, binary, endpoint, access_key, secret_key, pids, json_file):
        self.binary = binary
        self.pids = pids
        self.json_file = json_file
        # Nothing of the user's own settings is let through.
        self.environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
        }

    def bench(self, words, what=""):
        """Runs `ashlar bench` with these words; returns its report. Any failed request ends the measurement."""
        command = [str(self.binary), "--log", "warn", "bench", "--json", *words.split()]
        if self.pids:
            command += ["--server-pid", ",".join(map(str, self.pids))]
        done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
        report = json.loads(done.stdout) if done.stdout.strip() else None
        if report and self.json_file:
            with open(self.json_file, "a", encoding="utf-8") as out:
                out.write(json.dumps({"what": what, "words": words, **report}) + "\n")
        if done.returncode != 0:
            print(f"ashlar bench {words}: ended with {done.returncode}", file=sys.stderr)
            print(json.dumps(report["failures"], indent=2) if report else "no report", file=sys.stderr)
            sys.exit(1)
        return report


@contextlib.contextmanager
def embedded(chosen, paths=1):
    """`ashlar server` on so many fresh data paths; stopped, and its data removed, in the end."""
    with embedded_target(chosen, paths) as (_, measured):
        yield measured


@contextlib.contextmanager
def embedded_target(chosen, paths=1):
    """The same, with the server itself."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-bench-", dir=chosen.data))
    try:
        with Embedded(folder / "target", False, built(chosen.binary), paths) as target:
            pid = target.servers[0].process.pid
            yield target, Measured(target.binary, target.endpoint, target.access_key, target.secret_key, [pid], chosen.json)
            target.stop()
            for line in target.bad_log_lines():
                print(f"the server logged: {line}", file=sys.stderr)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def cluster_target(chosen, chunks=None):
    """A cluster over Postgres, which counts as part of the server; the load goes to one of its gateways. Its data is removed in the end. What
    is measured is what metadata costs, unless a number of chunk services is given: then it is all that all processes do."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-bench-", dir=chosen.data))
    # Postgres runs as another user.
    folder.chmod(0o755)
    try:
        with Cluster(folder / "target", False, built(chosen.binary), **({"chunks": chunks} if chunks else {})) as target:
            counted = "" if chunks else ("gateway", "metadata")
            services = [server.process.pid for server in target.servers if server.name.startswith(counted)]
            measured = Measured(target.binary, target.endpoint, target.access_key, target.secret_key, [], chosen.json)
            if chunks:
                # Those that are connected to Postgres stay so.
                measured.bench("--op put --size 4KiB --concurrency 16 --duration 2s", "connect")
            measured.pids = services + (target.postgres.workers() if chunks else target.postgres.sessions())
            yield target, measured
            target.stop()
            for line in target.bad_log_lines():
                print(f"the server logged: {line}", file=sys.stderr)
    finally:
        shutil.rmtree(folder)


def machine():
    """One line on what this runs on."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = os.getloadavg()
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, load {load[0]:.1f} at the start"


def show_microseconds(value):
    """A time for people."""
    if value is None:
        return "-"
    if value < 1000:
        return f"{value:.0f} µs"
    if value < 1_000_000:
        return f"{value / 1000:.2f} ms" if value < 10_000 else f"{value / 1000:.1f} ms"
    return f"{value / 1_000_000:.2f} s"
