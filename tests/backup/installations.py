"""Installations whose services can be stopped and started again on what they have, and their operator's commands."""

import json
import subprocess
import time
import urllib.request

from processes import CommandFailed, command, free_port
from targets import Cluster, Embedded, service_environment, wait_all

#: Seconds for which what was deleted is kept; short, so that a test sees it freed.
HOLD = "1"


class Operated:
    """What an operator does, whatever the installation."""

    def admin(self, *words, code=0, seconds=180):
        """Runs `ashlar admin` and returns what it printed."""
        return command([self.binary, "admin", *words], self.operator(), seconds=seconds, code=code)

    def asked(self, *words):
        """Runs `ashlar admin` with the words that name this installation."""
        return self.admin(*words, *self.named())

    def json(self, *words):
        """What a command of `ashlar admin` says as JSON, whether or not it is content."""
        words = [str(word) for word in [self.binary, "admin", *words, "--json", *self.named()]]
        done = subprocess.run(words, env=self.operator(), stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise CommandFailed(f"{words[2:]}: code {done.returncode}: {done.stderr.decode()}") from None

    def json_of_database(self, *words):
        """What a command that reaches the database itself says as JSON."""
        return json.loads(self.admin(*words, "--json", *self.database()))

    def audit(self):
        """What an audit counts."""
        return self.json("audit", "--quiet-cluster")

    def wait_for_audit(self, is_good, seconds=90):
        """Waits until an audit is as it should be, and returns it."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.audit()
            if is_good(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"the audit stays {found}")
            time.sleep(1)


def is_quiet(found):
    """Whether nothing is wrong and nothing is left to be done."""
    wrong = ("missing", "lost_chunks", "orphaned", "misplaced", "unseen", "in_flight", "awaiting_reaping", "awaiting_deletion")
    return not any(found[name] for name in wrong)


class Server(Operated, Embedded):
    """`ashlar server`."""

    def __init__(self, folder, binary, paths=1):
        self.health = free_port()
        settings = {"ASHLAR_GARBAGE_HOLD_SECONDS": HOLD, "ASHLAR_HEALTH_LISTEN": f"127.0.0.1:{self.health}"}
        super().__init__(folder, False, binary, paths, settings)

    def operator(self):
        return service_environment({})

    def named(self):
        return ["--data", self.data[0]]

    def database(self):
        """The words that name the database."""
        return ["--data", self.data[0]]

    def start_again(self):
        self.begin()

    def metric(self, name):
        """A metric of the server."""
        return metric(f"http://127.0.0.1:{self.health}/metrics", name)

    def lose_database(self):
        """What a mistake or a dead disk does."""
        for ending in ("", "-wal", "-shm"):
            (self.data[0] / f"metadata.db{ending}").unlink(missing_ok=True)


class Services(Operated, Cluster):
    """A cluster."""

    def __init__(self, folder, binary):
        self.checks = {}
        super().__init__(folder, False, binary)

    def run(self, name, words, environment, ready_url):
        if name.startswith("metadata"):
            environment = environment | {"ASHLAR_GARBAGE_HOLD_SECONDS": HOLD}
        started = super().run(name, words, environment, ready_url)
        self.checks[name] = started
        return started

    def operator(self):
        return service_environment({"ASHLAR_CLUSTER_SECRET": self.cluster_secret, "ASHLAR_DATABASE_URL": self.postgres.url})

    def named(self):
        return ["--metadata", self.metadata_addresses()]

    def database(self):
        """The operator's environment names it."""
        return []

    def start_again(self):
        """Starts every service as it was started before."""
        for prefix in ("metadata", "chunk", "gateway", "worker"):
            these = [started for name, started in self.checks.items() if name.startswith(prefix)]
            for server, _ in these:
                server.start()
            wait_all(these)

    def metric(self, name):
        """A metric of the worker."""
        worker, _ = self.checks["worker"]
        return metric(f"http://{worker.environment['ASHLAR_HEALTH_LISTEN']}/metrics", name)

    def lose_database(self):
        """Drops it, and makes an empty one."""
        where = ["-h", "127.0.0.1", "-p", self.postgres.port, "-U", "postgres", "ashlar"]
        self.postgres._run("dropdb", *where)
        self.postgres._run("createdb", *where)


def metric(url, name):
    """A metric without labels, as a service tells it."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    return None
