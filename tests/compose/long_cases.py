"""What takes minutes: containers come and go, one after the other, while clients work."""

import contextlib
import json
import random
import threading
import time

from cluster import CHUNKS, GATEWAYS, METADATA, OURS, PROJECT, container
from objects import BUCKET, CUT_SIZES, MIB, UNCUT_SIZES, Objects, body_of, make_client
from report import expect

# What SDKs make by themselves.
ATTEMPTS = 5
CLIENTS = 4
EMPTY_SECONDS = 600


class Work:
    """Clients that write, read and list through the balancer all the while, as SDKs do: with their own repetitions."""

    def __init__(self, run, prefix):
        self.s3 = make_client(run.cluster, run.cluster.endpoint, ATTEMPTS)
        self.objects = Objects([self.s3], prefix)
        self.over = threading.Event()
        self.failed, self.slowest, self.done, self.repeated = [], 0.0, 0, 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(CLIENTS)]

    def _work(self, number):
        turn = 0
        while not self.over.is_set():
            name, size = f"{number}-{turn}", (700, 40_000, 300_000, 2 * MIB)[turn % 4]
            calls = [lambda name=name, size=size: self.objects.put(0, name, size), lambda name=name, size=size: self._read(name, size)]
            if turn % 8 == 0:
                calls.append(lambda: self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.objects.prefix}/{number}-", MaxKeys=50))
            for call in calls:
                began = time.monotonic()
                try:
                    call()
                except Exception as error:
                    self.failed.append(f"{name}: {type(error).__name__}: {error}")
                with self.lock:
                    self.done += 1
                    self.slowest = max(self.slowest, time.monotonic() - began)
            turn += 1
            self.over.wait(0.02)

    def _read(self, name, size):
        key = f"{self.objects.prefix}/{name}"
        answer = self.s3.get_object(Bucket=BUCKET, Key=key)
        assert answer["Body"].read() == body_of(key, size), f"{key} differs"
        with self.lock:
            self.repeated += answer["ResponseMetadata"]["RetryAttempts"]

    def check(self):
        """No request failed, and what was acknowledged is there."""
        print(f"        {self.done} requests, {len(self.failed)} failed, {self.repeated} reads repeated, slowest {self.slowest:.1f} s", flush=True)
        expect(self.failed[:5], [], "failed requests")
        self.objects.compare((0,))


@contextlib.contextmanager
def working(run, prefix):
    """Clients work for as long as the `with` block lasts."""
    work = Work(run, prefix)
    for thread in work.threads:
        thread.start()
    try:
        yield work
    finally:
        work.over.set()
        for thread in work.threads:
            thread.join(120)


def run_rolling(run):
    """Every one of our containers is restarted, one after the other, in any order."""
    run.report.section("a rolling restart while clients work")
    order = random.Random(run.seed).sample(OURS, len(OURS))
    with run.report.case(f"no request fails after the SDK's repetitions: {' '.join(order)}"):
        began = time.monotonic()
        with working(run, "rolling") as work:
            for name in order:
                run.cluster.restart(name)
        print(f"        {len(order)} restarts in {time.monotonic() - began:.0f} s", flush=True)
        work.check()
    with run.report.case("everything reads back equal"):
        run.settled.compare()


def run_pause(run):
    """A container stands still: it takes connections and answers nothing."""
    chance = random.Random(run.seed)
    for name in (chance.choice(CHUNKS), chance.choice(METADATA), chance.choice(GATEWAYS)):
        run.report.section(f"{name} stands still while clients work")
        with run.report.case("no request fails after the SDK's repetitions"):
            with working(run, f"paused-{name}") as work:
                time.sleep(2)
                run.cluster.docker.run("pause", container(name))
                try:
                    time.sleep(20)
                finally:
                    run.cluster.docker.run("unpause", container(name))
                run.cluster.wait_until_healthy(name)
            work.check()
    with run.report.case("everything reads back equal"):
        run.settled.compare()


def run_disconnect(run):
    """A chunk service loses the network that gateways reach it by, and a metadata service its only one."""
    chance = random.Random(run.seed)
    for name, network in ((chance.choice(CHUNKS), "data"), (chance.choice(METADATA), "control")):
        run.report.section(f"{name} is cut off the network {network} while clients work")
        with run.report.case("no request fails after the SDK's repetitions"):
            with working(run, f"cut-{name}") as work:
                time.sleep(2)
                run.cluster.docker.run("network", "disconnect", f"{PROJECT}_{network}", container(name))
                try:
                    time.sleep(20)
                finally:
                    service = name.rsplit("-", 1)[0]
                    run.cluster.docker.run("network", "connect", "--alias", service, f"{PROJECT}_{network}", container(name))
                run.cluster.wait_until_healthy(name)
            work.check()
    with run.report.case("everything reads back equal"):
        run.settled.compare()


def run_new_containers(run):
    """What `up` does after a new image or new settings: every container is made anew."""
    run.report.section("every container is made anew")
    with run.report.case("docker compose up --force-recreate"):
        run.cluster.up("--force-recreate")
    with run.report.case("everything reads back equal, and writes go on"):
        run.settled.put_sizes(UNCUT_SIZES + CUT_SIZES, (0, 1))
        run.settled.compare()


def run_scale(run):
    """Six chunk services become eight and six again, gateways three, metadata services three, workers two, while clients work."""
    cluster, report = run.cluster, run.report
    joined = ["chunk-7", "chunk-8"]
    report.section("more containers, and fewer, while clients work")
    with working(run, "scaled") as work:
        with report.case("--scale chunk=8 gateway=3 metadata=3 worker=2"):
            cluster.up("--no-recreate", "--scale", "chunk=8", "--scale", "gateway=3", "--scale", "metadata=3", "--scale", "worker=2")
            expect(sorted(cluster.nodes()), sorted([*CHUNKS, *joined]), "nodes")
        with report.case("the two that are to go are emptied"):
            began = time.monotonic()
            # They have to have something that can be moved away.
            deadline = began + 60
            while not all(holds_something(cluster, name) for name in joined) and time.monotonic() < deadline:
                time.sleep(1)
            for name in joined:
                cluster.admin("node", "remove", cluster.nodes()[name]["node"], "--wait", seconds=EMPTY_SECONDS)
            print(f"        in {time.monotonic() - began:.0f} s", flush=True)
        with report.case("--scale chunk=6, the others as before"):
            cluster.up("--no-recreate")
            expect(sorted(name for name in cluster.states() if name.startswith("chunk-")), CHUNKS, "containers")
    with report.case("no request failed after the SDK's repetitions"):
        work.check()
    with report.case("everything reads back equal"):
        run.settled.compare()
        work.objects.compare((0,))
    with report.case("they come again"):
        cluster.up("--no-recreate", "--scale", "chunk=8")
        nodes = cluster.nodes()
        expect({name: nodes[name]["state"] for name in joined}, dict.fromkeys(joined, "up"), "states")


def holds_something(cluster, name):
    """Whether shards lie in a chunk service's folder."""
    found = cluster.docker.run("exec", container(name), "sh", "-c", f"du -s /data/{PROJECT}-{name}/shards | cut -f1")
    return int(found) > 1024


def run_backup(run):
    """The metadata is backed up, lost and restored by the commands of docs/how-to/back-up-and-restore.md."""
    cluster, report = run.cluster, run.report
    report.section("a backup and a restore")
    with report.case("docker compose run backup"):
        cluster.compose("run", "--rm", "--no-TTY", "backup")
        names = cluster.compose("run", "--rm", "--no-TTY", "--entrypoint", "ls", "backup", "/data").split()
        expect([name.endswith(".ashlar") for name in names], [True], f"backups in {names}")
        copied = cluster.compose("run", "--rm", "--no-TTY", "--entrypoint", "cat", "backup", f"/data/{names[0]}")
        expect(len(copied) > 1000, True, "whether the copy has the rows")
    with report.case("the database is lost and restored"):
        cluster.compose("stop", "gateway", "worker", "metadata")
        cluster.compose("exec", "--no-TTY", "postgres", "dropdb", "--username", "ashlar", "--force", "ashlar")
        cluster.compose("exec", "--no-TTY", "postgres", "createdb", "--username", "ashlar", "ashlar")
        cluster.compose("run", "--rm", "--no-TTY", "--entrypoint", "ashlar", "backup", "admin", "restore", "--from", f"/data/{names[0]}")
        cluster.up("--scale", "chunk=8")
    with report.case("everything reads back equal"):
        run.settled.compare()
    with report.case("it is compared with the disks, and deleting frees again"):
        cluster.compose("run", "--rm", "--no-TTY", "admin", "reconcile")
        cluster.compose("run", "--rm", "--no-TTY", "admin", "reconcile", "--finish", seconds=300)
        expect(json.loads(cluster.compose("run", "--rm", "--no-TTY", "admin", "status", "--json"))["frozen"], False, "frozen")
        run.settled.put_sizes(UNCUT_SIZES + CUT_SIZES, (0, 1))
        run.settled.compare()
