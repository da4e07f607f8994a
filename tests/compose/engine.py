"""The Docker engine: started when none runs, and stopped again only then."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import time

from processes import end_of, text_of

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CGROUP = pathlib.Path("/sys/fs/cgroup")
START_SECONDS = 60
STOP_SECONDS = 30
# A second engine on a machine takes the first one's network rules away, so two runs must not both start one.
LOCK = pathlib.Path("/run/lock/ashlar-compose-test")
LOCK_SECONDS = 1200


class DockerFailed(AssertionError):
    """A docker command failed."""


class Docker:
    """The docker command line."""

    def __init__(self):
        kept = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "XDG_RUNTIME_DIR")
        # Nothing else of the user's: a variable would override what the test writes into its .env file.
        self.environment = {name: os.environ[name] for name in kept if name in os.environ}
        if "DOCKER_CONFIG" in os.environ:
            self.environment["DOCKER_CONFIG"] = os.environ["DOCKER_CONFIG"]
        if not self.succeeds("compose", "version"):
            self.environment["DOCKER_CONFIG"] = str(REPOSITORY / ".docker")

    def run(self, *words, seconds=60, with_errors=False):
        """Runs a command and returns its standard output, and its standard error too if that is asked for."""
        words = ["docker", *map(str, words)]
        try:
            done = subprocess.run(words, env=self.environment, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise DockerFailed(f"{' '.join(words)}: not done after {seconds} s\n{end_of(text_of(error.stderr))}") from None
        if done.returncode != 0:
            raise DockerFailed(f"{' '.join(words)}: code {done.returncode}\n{end_of(text_of(done.stdout) + text_of(done.stderr))}")
        return text_of(done.stdout) + (text_of(done.stderr) if with_errors else "")

    def succeeds(self, *words):
        """Whether a command ends with code 0."""
        try:
            self.run(*words)
        except DockerFailed:
            return False
        return True


class Engine:
    """The engine, for as long as the `with` block lasts."""

    def __init__(self, docker, log):
        self.docker = docker
        self.log = log
        self.process = None
        self.lock = None

    def __enter__(self):
        self.lock = os.open(LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
        self._wait_for_lock()
        if self.docker.succeeds("version"):
            return self
        if os.geteuid() != 0:
            raise RuntimeError("no Docker engine answers, and only root may start one")
        mounted = CGROUP.joinpath("cgroup.controllers").exists() or CGROUP.joinpath("memory").is_mount()
        if not mounted and shutil.which("cgroupfs-mount"):
            subprocess.run(["cgroupfs-mount"], check=True)
        print("starting the Docker engine", flush=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self.docker.succeeds("version"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = end_of(pathlib.Path(self.log).read_text(encoding="utf-8", errors="replace"))
                self._stop()
                raise RuntimeError(f"the Docker engine does not start\n{tail}")
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        if self.process and self.docker.run("ps", "--quiet").strip():
            print("the Docker engine is left running, for containers run in it", flush=True)
        elif self.process:
            self._stop()
        os.close(self.lock)

    def _wait_for_lock(self):
        deadline = time.monotonic() + LOCK_SECONDS
        told = False
        while True:
            try:
                return fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"another run has held {LOCK} for {LOCK_SECONDS} s") from None
            if not told:
                print("waiting for another run on this machine", flush=True)
                told = True
            time.sleep(0.5)

    def _stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
