"""The images that the cluster runs on."""

import shutil
import subprocess

from engine import REPOSITORY

HERE = REPOSITORY / "tests" / "compose"
CONTAINER_BINARY = REPOSITORY / "target" / "container" / "ashlar"


def ensure_base_images(docker):
    """Makes the images of others here that are not there; one that was pulled is used as it is."""
    if not docker.succeeds("image", "inspect", "debian:bookworm-slim"):
        print("making the image debian:bookworm-slim, about a minute", flush=True)
        subprocess.run([HERE / "debian-image"], env=docker.environment | {"LC_ALL": "C.UTF-8"}, cwd=REPOSITORY, stdin=subprocess.DEVNULL,
                       timeout=600, check=True)
    for image, folder in (("postgres:15", "postgres"), ("haproxy:2.6", "haproxy")):
        if not docker.succeeds("image", "inspect", image):
            print(f"making the image {image}, about a minute", flush=True)
            docker.run("build", "--tag", image, HERE / folder, seconds=600)


class Image:
    """The image of the program under test, built by docker-compose.yml's own rule."""

    def __init__(self, docker, cluster):
        self.docker = docker
        self.cluster = cluster
        self.cached = set()
        self.built = set()

    def build(self, binary):
        """Builds the one that the cluster is to use, with the target `prebuilt`, which takes the program from target/container."""
        CONTAINER_BINARY.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(binary, CONTAINER_BINARY)
        before = self._build_cache()
        self.cluster.compose("build", "--quiet", seconds=300)
        self.built.add(self.cluster.image)
        self.cached |= self._build_cache() - before

    def remove(self):
        """Removes what was built, and what building it added to the build cache: each run would leave a program there. What others keep
        in the cache is left alone."""
        for image in self.built:
            self.docker.succeeds("image", "rm", image)
        for entry in self.cached:
            self.docker.succeeds("builder", "prune", "--force", "--filter", f"id={entry}")

    def _build_cache(self):
        return set(self.docker.run("system", "df", "--verbose", "--format", "{{range .BuildCache}}{{println .ID}}{{end}}").split())
