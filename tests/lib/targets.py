"""The servers that clients are pointed at."""

import contextlib
import os
import pathlib
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request

import tls as tls_files
from postgres import Postgres
from processes import Server, free_port

ERASURE_PATHS = 6
METADATA_SERVICES = 2
CHUNK_SERVICES = 6
GATEWAYS = 2


class Target:
    """An S3 endpoint with its credentials. As a context manager it is started and stopped."""

    #: Whether this is Ashlar. Another server's answers are shown for comparison only.
    ours = True

    def __init__(self, folder, tls):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.access_key = f"test-{secrets.token_hex(6)}"
        self.secret_key = secrets.token_urlsafe(30)
        self.region = "us-east-1"
        self.certificate = tls_files.make_certificate(self.folder / "tls") if tls else None
        self.servers = []
        self.endpoints = []
        self.website_ports = {}

    @property
    def endpoint(self):
        """URL of the first endpoint."""
        return self.endpoints[0]

    @property
    def websites(self):
        """URL of the first endpoint's listener for websites."""
        return self.url(next(iter(self.website_ports.values())))

    @property
    def tls(self):
        """Whether clients speak HTTPS."""
        return self.endpoint.startswith("https:")

    @property
    def ca(self):
        """The authority that clients must trust, or None."""
        return self.certificate.ca if self.certificate else None

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            undo.callback(self.end)
            self.begin()
            undo.pop_all()
        return self

    def __exit__(self, *_):
        self.end()

    def begin(self):
        """Starts it and waits until it takes requests."""
        raise NotImplementedError

    def end(self):
        """Stops what still runs, whatever happened before."""
        for server in reversed(self.servers):
            with contextlib.suppress(Exception):
                server.stop()

    def stop(self):
        """Stops it in order; fails when a service does not end as it should."""
        problems = []
        for server in reversed(self.servers):
            try:
                server.stop()
            except RuntimeError as problem:
                problems.append(str(problem))
        if problems:
            raise AssertionError("\n".join(problems))

    def bad_log_lines(self):
        """What the services logged and should not have."""
        return [f"{server.name}: {line}" for server in self.servers for line in server.bad_log_lines()]

    def run(self, name, command, environment, ready_url):
        """Starts one service and returns it with the check for its readiness."""
        server = Server(name, command, service_environment(environment), self.folder / f"{name}.log")
        server.start()
        self.servers.append(server)
        return server, lambda: answers(ready_url, self.ca)

    def front(self, port):
        """Settings of what clients connect to."""
        settings = {
            "ASHLAR_LISTEN": f"127.0.0.1:{port}",
            "ASHLAR_WEBSITE_ADDRESS": f"127.0.0.1:{self.website_ports.setdefault(port, free_port())}",
            "ASHLAR_ROOT_USER": self.access_key,
            "ASHLAR_ROOT_PASSWORD": self.secret_key,
            "ASHLAR_DOMAIN": tls_files.DOMAIN,
        }
        if self.certificate:
            settings |= {"ASHLAR_TLS_CERT": str(self.certificate.chain), "ASHLAR_TLS_KEY": str(self.certificate.key)}
        return settings

    def url(self, port):
        """URL of an endpoint on a port."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{port}"


class Embedded(Target):
    """`ashlar server` on some data paths."""

    def __init__(self, folder, tls, binary, paths=1, settings=None):
        super().__init__(folder, tls)
        self.binary = binary
        self.settings = settings or {}
        self.data = [self.folder / f"data{number}" for number in range(1, paths + 1)]
        self.port = free_port()
        self.endpoints = [self.url(self.port)]

    def begin(self):
        for path in self.data:
            path.mkdir(exist_ok=True)
        self.spawn()[0].wait_until(self.is_ready)

    def spawn(self):
        """Starts the process, without waiting; the data may be there from before."""
        self.servers.clear()
        return self.run("server", [self.binary, "server", *self.data], self.front(self.port) | self.settings, f"{self.endpoint}/health/ready")

    def is_ready(self):
        """Whether it says that it takes requests."""
        return answers(f"{self.endpoint}/health/ready", self.ca)

    def define_class(self, name):
        """Defines a storage class, which the gateway hears of within seconds."""
        self.admin("class", "define", name, "--coding", "1+0")

    def admin(self, *words):
        """Runs a command of `ashlar admin`, which must succeed."""
        subprocess.run([self.binary, "admin", *words, "--data", self.data[0]], check=True, timeout=60, stdout=subprocess.DEVNULL)


class Cluster(Target):
    """Each service in processes of its own, over a private Postgres."""

    def __init__(self, folder, tls, binary, chunks=CHUNK_SERVICES, coding="4+2", settings=None):
        super().__init__(folder, tls)
        self.binary = binary
        self.chunks = chunks
        self.coding = coding
        # Of gateways and workers.
        self.settings = {"ASHLAR_ENCRYPTION_KEYS": str(self.folder / "encryption.keys")} | (settings or {})
        self.postgres = Postgres(self.folder / "postgres")
        self.cluster_secret = secrets.token_hex(32)
        self.metadata_ports = [free_port() for _ in range(METADATA_SERVICES)]

    def begin(self):
        subprocess.run([self.binary, "encryption-key", self.settings["ASHLAR_ENCRYPTION_KEYS"]], check=True, timeout=60, stdout=subprocess.DEVNULL)
        self.postgres.start()
        metadata = [self.metadata(number, port) for number, port in enumerate(self.metadata_ports, 1)]
        wait_all(metadata)
        chunks = [self.chunk(number) for number in range(1, self.chunks + 1)]
        wait_all(chunks)
        wait_all([self.gateway(number) for number in range(1, GATEWAYS + 1)] + [self.worker()])

    def end(self):
        super().end()
        self.postgres.stop()

    def metadata(self, number, port):
        """A metadata service."""
        health = free_port()
        return self.run(f"metadata{number}", [self.binary, "metadata"], {
            "ASHLAR_DATABASE_URL": self.postgres.url,
            "ASHLAR_CLUSTER_SECRET": self.cluster_secret,
            "ASHLAR_LISTEN": f"127.0.0.1:{port}",
            "ASHLAR_HEALTH_LISTEN": f"127.0.0.1:{health}",
            "ASHLAR_IDENTITY_KEY": str(self.identity_key()),
            "ASHLAR_STANDARD_CODING": self.coding,
        }, f"http://127.0.0.1:{health}/health/ready")

    def identity_key(self):
        """The key that all metadata services seal the secrets of access keys with."""
        path = self.folder / "identity.key"
        if not path.exists():
            path.write_text(secrets.token_hex(32) + "\n")
        return path

    def chunk(self, number):
        """A chunk service in a failure domain of its own."""
        name, port, health = f"chunk{number}", free_port(), free_port()
        data = self.folder / name
        data.mkdir()
        return self.run(name, [self.binary, "chunk"], self.member(name, health) | {
            "ASHLAR_LISTEN": f"127.0.0.1:{port}",
            "ASHLAR_ADVERTISE": self.advertised(name, port),
            "ASHLAR_FAILURE_DOMAIN": f"local/a/rack/{name}",
            "ASHLAR_DATA": str(data),
        }, f"http://127.0.0.1:{health}/health/ready")

    def gateway(self, number):
        """A gateway; clients may use any of them."""
        name, port = f"gateway{number}", free_port()
        self.endpoints.append(self.url(port))
        settings = self.front(port) | {"ASHLAR_CLUSTER_SECRET": self.cluster_secret, "ASHLAR_METADATA": self.metadata_for(name)}
        return self.run(name, [self.binary, "gateway"], settings | self.settings, f"{self.url(port)}/health/ready")

    def worker(self):
        """The worker."""
        health = free_port()
        return self.run("worker", [self.binary, "worker"], self.member("worker", health) | self.settings, f"http://127.0.0.1:{health}/health/ready")

    def member(self, name, health_port):
        """Settings of a service that finds the others through metadata."""
        return {
            "ASHLAR_CLUSTER_SECRET": self.cluster_secret,
            "ASHLAR_METADATA": self.metadata_for(name),
            "ASHLAR_HEALTH_LISTEN": f"127.0.0.1:{health_port}",
        }

    def define_class(self, name):
        """Defines a storage class, which gateways hear of within seconds."""
        self.admin("class", "define", name, "--coding", "2+1")

    def admin(self, *words):
        """Runs a command of `ashlar admin`, which must succeed."""
        environment = os.environ | {"ASHLAR_CLUSTER_SECRET": self.cluster_secret}
        subprocess.run([self.binary, "admin", *words, "--metadata", self.metadata_addresses()], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, env=environment)

    def metadata_for(self, _name):
        """Addresses of the metadata services as a service reaches them."""
        return self.metadata_addresses()

    def advertised(self, _name, port):
        """Address at which others reach a chunk service."""
        return f"127.0.0.1:{port}"

    def metadata_addresses(self):
        """Addresses of the metadata services."""
        return ",".join(f"127.0.0.1:{port}" for port in self.metadata_ports)


class Other(Target):
    """Any other S3 server that already runs, to compare its answers. Credentials come from the usual AWS variables."""

    ours = False

    def __init__(self, folder, endpoint):
        super().__init__(folder, tls=False)
        self.endpoints = [endpoint]
        self.access_key = os.environ["AWS_ACCESS_KEY_ID"]
        self.secret_key = os.environ["AWS_SECRET_ACCESS_KEY"]

    def begin(self):
        pass


def wait_all(started):
    """Waits for services that were started together."""
    for server, ready in started:
        server.wait_until(ready)


def service_environment(settings):
    """What a service sees: its settings and nothing of this machine's own."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "ASHLAR_LOG", "RUST_BACKTRACE") if name in os.environ}
    return kept | {"NO_COLOR": "1"} | settings


def answers(url, ca):
    """Whether a GET answers 200."""
    context = ssl.create_default_context(cafile=ca) if ca else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
