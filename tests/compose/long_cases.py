"""What takes minutes: containers come and go, one after the other, while clients work."""

import contextlib
import hashlib
import json
import pathlib
import random
import re
import tempfile
import textwrap
import threading
import time

from cluster import CHUNKS, GATEWAYS, METADATA, OURS, PROJECT, container
from engine import DockerFailed, REPOSITORY
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
        self.failed, self.slowest, self.done, self.repeated, self.most = [], 0.0, 0, 0, 0
        self.lock = threading.Lock()
        self.s3.meta.events.register("after-call.s3", self._count)
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
                    answer = getattr(error, "response", {}).get("ResponseMetadata", "no answer")
                    self.failed.append(f"{time.strftime('%H:%M:%S')} {name}: {type(error).__name__}: {error} ({answer})")
                with self.lock:
                    self.done += 1
                    self.slowest = max(self.slowest, time.monotonic() - began)
            turn += 1
            self.over.wait(0.02)

    def _read(self, name, size):
        key = f"{self.objects.prefix}/{name}"
        answer = self.s3.get_object(Bucket=BUCKET, Key=key)
        assert answer["Body"].read() == body_of(key, size), f"{key} differs"

    def _count(self, parsed, **_):
        repetitions = parsed["ResponseMetadata"]["RetryAttempts"]
        with self.lock:
            self.repeated += repetitions > 0
            self.most = max(self.most, repetitions)

    def check(self):
        """No request failed, and what was acknowledged is there."""
        print(f"        {self.done} requests, {len(self.failed)} failed, {self.repeated} repeated, at most {self.most} times, slowest {self.slowest:.1f} s", flush=True)
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
        with report.case("the folders of nodes that were removed go"):
            cluster.compose("exec", "--no-TTY", "chunk", "rm", "-r", *(f"/data/{container(name)}" for name in joined))
    with report.case("no request failed after the SDK's repetitions"):
        work.check()
    with report.case("everything reads back equal"):
        run.settled.compare()
        work.objects.compare((0,))
    with report.case("two come again, as new nodes that serve and are given shards"):
        cluster.up("--no-recreate", "--scale", "chunk=8")
        deadline = time.monotonic() + EMPTY_SECONDS
        while not all(holds_something(cluster, name) for name in joined) and time.monotonic() < deadline:
            run.settled.put_sizes(CUT_SIZES, (0, 1))
            time.sleep(1)
        status = json.loads(cluster.admin("status", "--json"))
        addresses = {f"{container(name)}:9200": name for name in joined}
        # Of the same address there may be one that was removed.
        nodes = {node["node"]: addresses[node["address"]] for node in status["nodes"] if node["address"] in addresses and node["state"] in ("up", "joining")}
        expect(sorted(nodes.values()), joined, "nodes that are up")
        disks = {nodes[disk["node"]]: (disk["state"] in ("up", "joining"), disk["intent"]) for disk in status["disks"] if disk["node"] in nodes}
        expect(disks, dict.fromkeys(joined, (True, "serve")), "their disks")
        expect([name for name in joined if not holds_something(cluster, name)], [], "those that hold nothing")
    with report.case("everything reads back equal"):
        run.settled.compare()


def holds_something(cluster, name):
    """Whether shards lie in a chunk service's folder."""
    found = cluster.docker.run("exec", container(name), "sh", "-c", f"du -s /data/{PROJECT}-{name}/shards | cut -f1")
    return int(found) > 1024


def run_keys(run):
    """Keys are copied, lost, and put back by the commands of docs/how-to/run-by-compose.md, without those made meanwhile being lost."""
    cluster, report = run.cluster, run.report
    report.section("keys are lost and put back")
    places = {"identity-key": "identity.key", "encryption-keys": "encryption.keys"}

    def inside(service, script):
        return cluster.compose("run", "--rm", "--no-deps", "--no-TTY", "--entrypoint", "sh", service, "-euc", script)

    def put(key):
        run.clients[0].put_object(Bucket=BUCKET, Key=key, Body=key.encode(), ServerSideEncryption="AES256")

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with report.case("they are copied, and then lost: others are made"):
            put("sealed before")
            cluster.run_guide(next(block for block in guide_blocks() if "compose cp metadata" in block), folder)
            cluster.compose("stop", "gateway", "worker", "metadata")
            for service, file in places.items():
                inside(service, f"rm /data/{file}")
            cluster.up()
            put("sealed between")
        with report.case("they are put back, of the user of the services and for it alone"):
            between = inside("encryption-keys", "cat /data/encryption.keys")
            cluster.run_guide(next(block for block in guide_blocks() if "< identity.key" in block), folder)
            # Finds the gateways.
            cluster.up("--no-recreate")
            for service, file in places.items():
                expect(inside(service, f"stat -c '%u %g %a' /data/{file}; ls /data | grep -c new || true").split(), ["65532", "65532", "600", "0"], file)
            expect(inside("identity-key", "cat /data/identity.key"), (folder / "identity.key").read_text(encoding="utf-8"), "identity key")
            ids = [{line.split()[0] for line in text.splitlines()} for text in (inside("encryption-keys", "cat /data/encryption.keys"), between, (folder / "encryption.keys").read_text(encoding="utf-8"))]
            expect(ids[0], ids[1] | ids[2], "master keys")
            expect(len(ids[0]), 3, "master keys, and the sign of a comment")
        with report.case("what was encrypted by either is read"):
            for key in ("sealed before", "sealed between"):
                expect(run.clients[1].get_object(Bucket=BUCKET, Key=key)["Body"].read(), key.encode(), key)


def run_numbers(run):
    """A single container is removed: the one in its place has another number and folder. `down` and `up` with the highest number serve both."""
    cluster, report = run.cluster, run.report
    report.section("a container is removed by itself")
    before = sorted(name for name in cluster.states() if name.startswith("chunk-"))
    after = sorted([*before, f"chunk-{len(before) + 1}"])
    with report.case("the one that takes its place has a new number"):
        cluster.docker.run("rm", "--force", container("chunk-3"))
        cluster.up("--no-recreate", "--scale", f"chunk={len(before)}")
        expect(sorted(name for name in cluster.states() if name.startswith("chunk-")), [name for name in after if name != "chunk-3"], "containers")
    with report.case("down, and up with the highest number of a folder: all are served"):
        cluster.compose("down")
        cluster.up("--scale", f"chunk={len(after)}")
        expect(sorted(name for name in cluster.states() if name.startswith("chunk-")), after, "containers")
        status = json.loads(cluster.admin("status", "--json"))
        up = {node["address"].split(":")[0].removeprefix(f"{PROJECT}-") for node in status["nodes"] if node["state"] in ("up", "joining")}
        expect(sorted(up), after, "nodes that are up")
    with report.case("everything reads back equal"):
        run.settled.compare()


def guide_blocks():
    """The blocks of commands in the guide."""
    guide = (REPOSITORY / "docs/how-to/run-by-compose.md").read_text(encoding="utf-8")
    return [textwrap.dedent(block) for block in re.findall(r"```sh\n(.*?)```", guide, re.S)]


def run_backup(run):
    """The metadata is backed up, lost and restored by the commands of docs/how-to/back-up-and-restore.md."""
    cluster, report = run.cluster, run.report
    report.section("a backup and a restore")
    with report.case("docker compose run backup"):
        cluster.compose("run", "--rm", "--no-TTY", "backup")
        names = cluster.compose("run", "--rm", "--no-TTY", "--entrypoint", "ls", "backup", "/data").split()
        expect([name.endswith(".ashlar") for name in names], [True], f"backups in {names}")
        with tempfile.TemporaryDirectory() as folder:
            cluster.run_guide(f"docker compose run --rm --no-TTY --entrypoint cat backup /data/{names[0]} > copy", folder)
            copied = hashlib.sha256(pathlib.Path(folder, "copy").read_bytes()).hexdigest()
        there = cluster.compose("run", "--rm", "--no-TTY", "--entrypoint", "sha256sum", "backup", f"/data/{names[0]}").split()[0]
        expect(copied, there, "digest of the copy")
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
