"""Postgres on several nodes, of which Patroni makes one the leader: a commit is on two nodes before it is acknowledged
(`synchronous_mode_strict`). Clients reach the leader through a proxy that follows it, as HAProxy does for operators."""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from postgres import is_alive, newest_bin
from processes import Server, free_port

#: Names of Debian's packages that are needed.
PACKAGES = "patroni etcd-server python3-etcd"
#: How often the proxy asks who leads, and how often in a row nobody may say so before it leads nowhere.
FOLLOW_SECONDS = 0.5
SILENT_MAX = 3
#: The leader's lease, and how often it is renewed.
TTL_SECONDS, LOOP_SECONDS, RETRY_SECONDS = 20, 2, 3


def is_installed():
    """Whether the packages are."""
    return shutil.which("patroni") is not None and shutil.which("etcd") is not None


class Node:
    """One Patroni with its Postgres."""

    def __init__(self, folder, number, etcd):
        self.name = f"pg{number}"
        self.folder = folder / self.name
        self.port, self.rest = free_port(), free_port()
        self.etcd = etcd
        # Postgres refuses root.
        self.user = "postgres" if os.geteuid() == 0 else None
        self.server = None

    def configuration(self):
        """Patroni's settings; JSON is YAML."""
        return {
            "scope": "ashlar", "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest}", "connect_address": f"127.0.0.1:{self.rest}"},
            "etcd3": {"host": f"127.0.0.1:{self.etcd}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_SECONDS, "loop_wait": LOOP_SECONDS, "retry_timeout": RETRY_SECONDS, "primary_start_timeout": 0,
                    "synchronous_mode": True, "synchronous_mode_strict": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 200}},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"auth": "trust"}, "data-checksums"],
                "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}", "connect_address": f"127.0.0.1:{self.port}", "data_dir": str(self.folder / "data"),
                "bin_dir": str(newest_bin()), "pgpass": str(self.folder / "pgpass"),
                "authentication": {name: {"username": "postgres", "password": "trusted"} for name in ("superuser", "replication", "rewind")},
                "parameters": {"unix_socket_directories": str(self.folder)},
            },
        }

    def start(self):
        """Starts Patroni, which starts Postgres."""
        if self.server is None:
            self.folder.mkdir()
            (self.folder / "patroni.yml").write_text(json.dumps(self.configuration()))
            command = ["patroni", self.folder / "patroni.yml"]
            if self.user:
                account = pwd.getpwnam(self.user)
                os.chown(self.folder, account.pw_uid, account.pw_gid)
                # The wish to end with this program is forgotten when the user changes.
                command = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", "--pdeathsig", "TERM", *command]
            environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
            self.server = Server(self.name, command, environment, self.folder.parent / f"{self.name}.log")
        self.server.start()

    def postgres_processes(self):
        """Ids of the processes of its Postgres."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        return [first, *map(int, pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def kill_postgres(self):
        """Ends Postgres at once; Patroni goes on."""
        kill(self.postgres_processes())

    def kill(self):
        """Ends everything at once, as if the machine had failed."""
        pids = self.postgres_processes()
        self.server.kill()
        kill(pids)

    def stop(self):
        """Stops both, whatever state they are in."""
        if self.server is None:
            return
        # Patroni stops Postgres, but not when it was killed.
        pids = []
        try:
            self.server.stop()
        except RuntimeError:
            pids = self.postgres_processes() if (self.folder / "data" / "postmaster.pid").exists() else []
        kill(pids)

    def leads(self):
        """Whether its Patroni says that it is the leader, with a Postgres that takes writes."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/primary", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


class Patroni:
    """The nodes with etcd and the proxy, in the place of one Postgres."""

    def __init__(self, folder, links, nodes=3):
        self.folder = pathlib.Path(folder)
        self.link = links.open("metadata", "postgres", None)
        etcd, peer = free_port(), free_port()
        self.etcd = Server("etcd", [
            "etcd", "--name", "etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", f"http://127.0.0.1:{etcd}",
            "--advertise-client-urls", f"http://127.0.0.1:{etcd}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"etcd=http://127.0.0.1:{peer}",
        ], {"PATH": os.environ["PATH"]}, self.folder / "etcd.log")
        self.nodes = [Node(self.folder, number, etcd) for number in range(1, nodes + 1)]
        self.following = threading.Event()
        self.follower = None

    @property
    def url(self):
        """Connection URL of the database `ashlar` of the leader."""
        return f"postgres://postgres@{self.link.address}/ashlar"

    def start(self):
        """Starts everything and creates the database."""
        self.folder.mkdir(parents=True)
        self.etcd.start()
        self.nodes[0].start()
        self.wait_for_leader(60)
        for node in self.nodes[1:]:
            node.start()
        self.wait_until_whole(120)
        self.query(self.leader(), "CREATE DATABASE ashlar", database="postgres")
        self.start_to_follow()
        self.wait_until_led()

    def stop(self):
        """Stops everything."""
        self.following.clear()
        for node in self.nodes:
            node.stop()
        if self.etcd.process:
            self.etcd.kill()

    def start_to_follow(self):
        """From now on the proxy follows the leader."""
        self.following.set()
        self.follower = threading.Thread(target=self.follow, daemon=True)
        self.follower.start()

    def follow(self):
        """Leads the proxy to the leader, and nowhere when nobody says that it leads."""
        silent = 0
        while self.following.is_set():
            leader = self.leader()
            silent = 0 if leader else silent + 1
            if leader or silent >= SILENT_MAX:
                self.link.lead(leader.port if leader else None)
            time.sleep(FOLLOW_SECONDS)

    def wait_until_led(self):
        """Waits until the proxy leads to the leader."""
        deadline = time.monotonic() + 30
        while self.link.upstream is None:
            assert time.monotonic() < deadline, "the proxy leads nowhere"
            time.sleep(0.05)

    @contextlib.contextmanager
    def led_to(self, node):
        """The proxy leads to that node meanwhile, whoever leads."""
        self.following.clear()
        self.follower.join()
        self.link.lead(node.port)
        try:
            yield
        finally:
            self.start_to_follow()

    def switch_over(self, leader):
        """Has the leader hand over to the standby that is in step with it."""
        candidate = next(name for name, state in self.standbys().items() if state == "streaming sync")
        body = json.dumps({"leader": leader.name, "candidate": candidate}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{leader.rest}/switchover", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def leader(self):
        """The node that leads, if one does."""
        return next((node for node in self.nodes if node.server is not None and node.leads()), None)

    def wait_for_leader(self, seconds, but=None):
        """Waits until a node leads, another than `but`; returns it."""
        deadline = time.monotonic() + seconds
        while True:
            leader = self.leader()
            if leader is not None and leader is not but:
                return leader
            assert time.monotonic() < deadline, f"no node leads after {seconds} s"
            time.sleep(0.1)

    def standbys(self):
        """What the leader knows of the others: whether each has everything that was acknowledged."""
        leader = self.leader()
        rows = self.query(leader, "SELECT application_name || ' ' || state || ' ' || sync_state FROM pg_stat_replication") if leader else ""
        return dict(row.split(" ", 1) for row in rows.splitlines())

    def wait_until_whole(self, seconds):
        """Waits until all nodes follow the leader, one of them in step with it."""
        deadline = time.monotonic() + seconds
        while True:
            standbys = self.standbys()
            streaming = [state for state in standbys.values() if state.startswith("streaming")]
            if len(streaming) == len(self.nodes) - 1 and "streaming sync" in streaming:
                return
            assert time.monotonic() < deadline, f"not whole after {seconds} s: {standbys}"
            time.sleep(0.2)

    def query(self, node, sql, database="postgres"):
        """What a node answers to a statement."""
        words = [newest_bin() / "psql", "-h", "127.0.0.1", "-p", str(node.port), "-U", "postgres", "-d", database, "-At", "-c", sql]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout if done.returncode == 0 else ""


def kill(pids):
    """Ends processes at once, and waits until they are gone."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"these do not end: {pids}"
        time.sleep(0.005)
