"""The cluster of docker-compose.yml, as it is, in a project of its own."""

import json
import pathlib
import re
import secrets
import subprocess
import threading
import time
import urllib.error
import urllib.request

from engine import DockerFailed, REPOSITORY
from objects import make_client
from processes import free_port
from report import expect

PROJECT = "ashlar-compose-test"
# Containers, without the project's name before them.
CHUNKS = [f"chunk-{number}" for number in range(1, 7)]
METADATA = ["metadata-1", "metadata-2"]
GATEWAYS = ["gateway-1", "gateway-2"]
OURS = [*METADATA, *CHUNKS, *GATEWAYS, "worker-1"]
POSTGRES, BALANCER = "postgres-1", "balancer-1"
SERVICES = [POSTGRES, *OURS, BALANCER]
# Run to their end before what needs the keys that they make.
ONCE = ["encryption-keys-1", "identity-key-1"]
UP_SECONDS = 240
HEALTHY_SECONDS = 60
DOWN_SECONDS = 30
UPGRADE = REPOSITORY / "deploy/compose/upgrade"
UPGRADE_SECONDS = 600


def container(name):
    """What the engine calls a container."""
    return f"{PROJECT}-{name}"


class Cluster:
    """Starts, breaks and mends the cluster."""

    def __init__(self, docker, folder):
        self.docker = docker
        self.tag = "latest"
        self.image = f"{PROJECT}:{self.tag}"
        self.access_key = f"test-{secrets.token_hex(6)}"
        self.secret_key = secrets.token_hex(32)
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        # Of each gateway by itself, at the address that its container has now.
        self.endpoints = []
        self.clients = []
        self.files = [REPOSITORY / "docker-compose.yml"]
        self.settings = pathlib.Path(folder) / "env"
        self._write_settings()

    def use_image(self, tag):
        """From now on Compose makes containers from the image of this tag, and builds it. Those that run stay."""
        self.tag = tag
        self.image = f"{PROJECT}:{tag}"
        text = self.settings.read_text(encoding="utf-8")
        self.settings.write_text(re.sub("^ASHLAR_IMAGE=.*", f"ASHLAR_IMAGE={self.image}", text, flags=re.M), encoding="utf-8")

    def _write_settings(self):
        """The file that takes the place of `.env`, with what the head of docker-compose.yml asks for."""
        settings = {
            "ASHLAR_CLUSTER_SECRET": secrets.token_hex(32),
            "ASHLAR_ROOT_USER": self.access_key,
            "ASHLAR_ROOT_PASSWORD": self.secret_key,
            "POSTGRES_PASSWORD": secrets.token_hex(32),
            "ASHLAR_PORT": self.port,
            "ASHLAR_IMAGE": self.image,
            "ASHLAR_BUILD_TARGET": "prebuilt",
        }
        self.settings.touch(mode=0o600)
        self.settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def options(self):
        """What `docker compose` has to be told to find the cluster."""
        return ["--project-name", PROJECT, *(word for file in self.files for word in ("--file", str(file))), "--env-file", str(self.settings)]

    def compose(self, *words, seconds=120):
        """Runs `docker compose` on the cluster."""
        return self.docker.run("compose", *self.options(), *words, seconds=seconds)

    def upgrade(self, *words, kill_after=None, seconds=UPGRADE_SECONDS):
        """Brings the cluster to what its files and settings say now, by the script for it. Answers its exit code and what it said. With
        `kill_after` it is killed as soon as it says that."""
        said = []
        with subprocess.Popen([UPGRADE, *self.options(), *words], env=self.docker.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as process:
            timer = threading.Timer(seconds, process.kill)
            timer.start()
            try:
                for line in process.stdout:
                    said.append(line)
                    print(f"        {line}", end="", flush=True)
                    if kill_after and kill_after in line:
                        process.kill()
                process.wait()
            finally:
                timer.cancel()
        if set(self.states()) & set(GATEWAYS):
            self._find_gateways()
        return process.returncode, "".join(said)

    def run_guide(self, commands, folder, seconds=UP_SECONDS + 120):
        """Runs commands of a guide as they are written, in a folder."""
        environment = self.docker.environment | {
            "COMPOSE_PROJECT_NAME": PROJECT, "COMPOSE_FILE": str(REPOSITORY / "docker-compose.yml"), "COMPOSE_ENV_FILES": str(self.settings),
        }
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds, check=False)
        expect((done.returncode, done.stderr[-1500:] if done.returncode else ""), (0, ""), "code of the guide's commands, and what they say")

    def up(self, *words):
        """Starts what does not run, and waits until every container is healthy."""
        self.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", UP_SECONDS, *words, seconds=UP_SECONDS + 30)
        self._find_gateways()

    def _find_gateways(self):
        """Makes the clients anew: a container that starts may have another address."""
        place = f'{{{{(index .NetworkSettings.Networks "{PROJECT}_front").IPAddress}}}}'
        addresses = self.docker.run("inspect", "--format", place, *map(container, GATEWAYS)).split()
        self.endpoints = [f"http://{address}:9000" for address in addresses]
        # In place: whoever works with the clients has this list.
        self.clients[:] = [make_client(self, endpoint) for endpoint in self.endpoints]

    def kill(self, *names):
        """Ends containers as a power cut would, and sees that they are gone."""
        self.docker.run("kill", *map(container, names))
        states = self.states()
        for name in names:
            expect(states[name]["State"], "exited", f"state of {name} after the kill")

    def start(self, *names, seconds=HEALTHY_SECONDS):
        """Starts containers again and waits until they are healthy."""
        self.docker.run("start", *map(container, names))
        self.wait_until_healthy(*names, seconds=seconds)

    def restart(self, name, seconds=HEALTHY_SECONDS):
        """Asks a container to stop, starts it again and waits until it is healthy."""
        self.docker.run("restart", "--time", 35, container(name), seconds=90)
        self.wait_until_healthy(name, seconds=seconds)

    def admin(self, *words, seconds=60):
        """Runs `ashlar admin` where the guide runs it."""
        return self.compose("exec", "--no-TTY", "worker", "ashlar", "admin", *words, seconds=seconds)

    def nodes(self):
        """The chunk services that the cluster knows, by the first part of their addresses."""
        nodes = json.loads(self.admin("status", "--json"))["nodes"]
        return {node["address"].split(":")[0].removeprefix(f"{PROJECT}-"): node for node in nodes}

    def wait_until_healthy(self, *names, seconds=HEALTHY_SECONDS):
        """Waits until the engine calls these containers healthy."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.states()
            sick = {name: states.get(name, {}).get("Health", "missing") for name in names}
            sick = {name: health for name, health in sick.items() if health != "healthy"}
            if not sick:
                if set(names) & set(GATEWAYS):
                    self._find_gateways()
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"not healthy after {seconds} s: {sick}")
            time.sleep(0.3)

    def states(self):
        """What the engine says of each container."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {state["Name"].removeprefix(f"{PROJECT}-"): state for state in map(json.loads, lines)}

    def inspect(self, name):
        """The engine's whole description of a container."""
        return json.loads(self.docker.run("inspect", container(name)))[0]

    def ready(self, number):
        """The status that gateway `number` (from 0) answers its readiness check with, or 0 when it does not answer."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.endpoints[number]}/health/ready", timeout=10) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def log(self, name):
        """All that a container has logged."""
        return self.docker.run("logs", container(name), with_errors=True)

    def down(self):
        """Removes containers, networks and volumes; what is not there does no harm."""
        self.compose("kill")
        self.take_away("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", 1, are_left=self.leftovers)

    def take_away(self, *words, are_left=lambda: []):
        """Runs a `down` until it has taken everything away."""
        deadline = time.monotonic() + DOWN_SECONDS
        while True:
            # Skips a network from which the engine has not quite taken the last container yet, and calls that a success.
            # The volume of backups is that of a tool alone, which is of a profile.
            try:
                self.compose(*words, seconds=180)
                if not are_left() or time.monotonic() > deadline:
                    return
            except DockerFailed:
                # Or it calls it an error.
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.3)

    def leftovers(self):
        """Containers, networks and volumes of the project that still exist."""
        label = f"label=com.docker.compose.project={PROJECT}"
        found = []
        for kind in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
            found += self.docker.run(*kind, "--quiet", "--filter", label).split()
        return found
