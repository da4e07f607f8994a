"""The cluster of docker-compose.yml, as it is, in a project of its own."""

import json
import pathlib
import secrets
import time
import urllib.error
import urllib.request

from engine import REPOSITORY
from processes import free_port
from report import expect

PROJECT = "ashlar-compose-test"
CHUNKS = [f"chunk{number}" for number in range(1, 7)]
METADATA = ["metadata1", "metadata2"]
GATEWAYS = ["gateway1", "gateway2"]
OURS = [*METADATA, *CHUNKS, *GATEWAYS, "worker"]
SERVICES = ["postgres", *OURS]
# Runs to its end before the metadata services start.
ONCE = "identity-key"
UP_SECONDS = 240
HEALTHY_SECONDS = 60
DOWN_SECONDS = 30


class Cluster:
    """Starts, breaks and mends the cluster."""

    def __init__(self, docker, folder):
        self.docker = docker
        self.image = f"{PROJECT}:latest"
        self.access_key = f"test-{secrets.token_hex(6)}"
        self.secret_key = secrets.token_hex(32)
        self.ports = []
        while len(self.ports) < len(GATEWAYS):
            port = free_port()
            if port not in self.ports:
                self.ports.append(port)
        self.endpoints = [f"http://127.0.0.1:{port}" for port in self.ports]
        self.settings = pathlib.Path(folder) / "env"
        self._write_settings()

    def _write_settings(self):
        """The file that takes the place of `.env`, with what the head of docker-compose.yml asks for."""
        settings = {
            "ASHLAR_CLUSTER_SECRET": secrets.token_hex(32),
            "ASHLAR_ROOT_USER": self.access_key,
            "ASHLAR_ROOT_PASSWORD": self.secret_key,
            "POSTGRES_PASSWORD": secrets.token_hex(32),
            "ASHLAR_PORT1": self.ports[0],
            "ASHLAR_PORT2": self.ports[1],
            "ASHLAR_IMAGE": self.image,
            "ASHLAR_BUILD_TARGET": "prebuilt",
        }
        self.settings.touch(mode=0o600)
        self.settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def compose(self, *words, seconds=120):
        """Runs `docker compose` on the cluster."""
        return self.docker.run("compose", "--project-name", PROJECT, "--file", REPOSITORY / "docker-compose.yml",
                               "--env-file", self.settings, *words, seconds=seconds)

    def up(self):
        """Starts what does not run, and waits until every container is healthy."""
        self.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", UP_SECONDS, seconds=UP_SECONDS + 30)

    def kill(self, *services):
        """Ends containers as a power cut would, and sees that they are gone."""
        self.compose("kill", *services)
        states = self.states()
        for service in services:
            expect(states[service]["State"], "exited", f"state of {service} after the kill")

    def start(self, *services, seconds=HEALTHY_SECONDS):
        """Starts containers again and waits until they are healthy."""
        self.compose("start", *services)
        self.wait_until_healthy(*services, seconds=seconds)

    def wait_until_healthy(self, *services, seconds=HEALTHY_SECONDS):
        """Waits until the engine calls these containers healthy."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.states()
            sick = {name: states.get(name, {}).get("Health", "missing") for name in services}
            sick = {name: health for name, health in sick.items() if health != "healthy"}
            if not sick:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"not healthy after {seconds} s: {sick}")
            time.sleep(0.3)

    def states(self):
        """What the engine says of each service's container."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {state["Service"]: state for state in map(json.loads, lines)}

    def inspect(self, service):
        """The engine's whole description of a service's container."""
        return json.loads(self.docker.run("inspect", self.states()[service]["ID"]))[0]

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

    def log(self, service):
        """All that a service has logged."""
        return self.compose("logs", "--no-color", "--no-log-prefix", service)

    def down(self):
        """Removes containers, networks and volumes; what is not there does no harm."""
        self.compose("kill")
        deadline = time.monotonic() + DOWN_SECONDS
        while True:
            # Skips a network from which the engine has not quite taken the last container yet, and calls that a success.
            self.compose("down", "--volumes", "--remove-orphans", "--timeout", 1)
            if not self.leftovers() or time.monotonic() > deadline:
                return
            time.sleep(0.3)

    def leftovers(self):
        """Containers, networks and volumes of the project that still exist."""
        label = f"label=com.docker.compose.project={PROJECT}"
        found = []
        for kind in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
            found += self.docker.run(*kind, "--quiet", "--filter", label).split()
        return found
