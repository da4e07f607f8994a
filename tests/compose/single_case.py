"""The guide of a single container, docs/how-to/run-in-a-container.md: every command of it, in order."""

import os
import re
import shutil
import subprocess
import tempfile

from cluster import PROJECT
from engine import REPOSITORY
from processes import end_of, free_port, text_of
from report import expect

GUIDE = REPOSITORY / "docs" / "how-to" / "run-in-a-container.md"
SECONDS_MAX = 120


def run_single(run):
    """What the guide says happens, on the image under test and with names and ports of this run."""
    docker = run.cluster.docker
    name, port, other = f"{PROJECT}-single", free_port(), free_port()
    folder = tempfile.mkdtemp(prefix="ashlar-container-")
    os.chmod(folder, 0o755)
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S))
    # What a reader has of his own, and what this run calls otherwise.
    for old, new in (
        (r"docker build -t ashlar \.", ":"),
        (r"ashlar-disks", f"{name}-disks"),
        (r"--name ashlar ", f"--name {name} "),
        (r"127\.0\.0\.1:9000", f"127.0.0.1:{port}"),
        (r"127\.0\.0\.1:9100", f"127.0.0.1:{other}"),
        (r"-v ashlar:", f"-v {name}:"),
        (r" ashlar server", f" {run.cluster.image} server"),
        (r"(docker (?:stop|rm|logs|exec|inspect -f '[^']*')) ashlar(?![-\w])", rf"\1 {name}"),
        (r"/mnt/", f"{folder}/"),
    ):
        commands, found = re.subn(old, new, commands)
        expect(found > 0, True, f"whether the guide has {old}")
    run.report.section("a single container, by its guide")
    environment = docker.environment | {"PATH": f"{REPOSITORY / '.venv/s3/bin'}:{docker.environment['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}
    try:
        with run.report.case("its commands end well, and the object outlives the container"):
            done = subprocess.run(["bash", "-euc", commands], env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=SECONDS_MAX, check=False)
            said = text_of(done.stdout)
            expect(done.returncode, 0, f"exit status\n{end_of(said + text_of(done.stderr))}")
            expect("Secret key" in said, True, "whether the log has the root user's password")
            expect("\nhello\n" in said, True, "whether the object was read again")
        with run.report.case("the image has the authorities that HTTPS is verified by"):
            words = ["run", "--rm", "--entrypoint", "grep", run.cluster.image, "-c", "BEGIN CERTIFICATE", "/etc/ssl/certs/ca-certificates.crt"]
            expect(int(docker.run(*words)) > 50, True, "authorities")
    finally:
        for container in (name, f"{name}-disks"):
            docker.succeeds("rm", "--force", container)
        docker.succeeds("volume", "rm", name)
        shutil.rmtree(folder, ignore_errors=True)
