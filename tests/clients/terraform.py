"""Terraform: its S3 backend, whose lock is an object made by a conditional put."""

import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

from boto3_cases.context import Context
from report import NotRun, expect

PLANS = 4
STATE = "team/network.tfstate"
# How long an apply that is told to wait does so at most, in tenths of a second.
PATIENCE = 900

MODULE = """
terraform {
  backend "s3" {
    bucket                      = "%(bucket)s"
    key                         = "%(state)s"
    region                      = "%(region)s"
    endpoints                   = { s3 = "%(endpoint)s" }
    use_path_style              = true
    use_lockfile                = true
    max_retries                 = 1
    skip_credentials_validation = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
  }
}

variable "content" {
  type = string
}

variable "wait_for" {
  type    = string
  default = ""
}

resource "terraform_data" "kept" {
  count = 20
  input = "${var.content} ${count.index}"
}

# Holds the lock for as long as the file is not there.
resource "terraform_data" "held" {
  triggers_replace = var.content
  provisioner "local-exec" {
    command = "for i in $(seq %(patience)d); do [ -n '${var.wait_for}' ] && [ ! -e '${var.wait_for}' ] || exit 0; sleep 0.1; done; exit 1"
  }
}

output "content" {
  value = terraform_data.kept[*].output
}
"""

READER = """
data "terraform_remote_state" "network" {
  backend = "s3"
  config = {
    bucket                      = "%(bucket)s"
    key                         = "%(state)s"
    region                      = "%(region)s"
    endpoints                   = { s3 = "%(endpoint)s" }
    use_path_style              = true
    skip_credentials_validation = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
  }
}

output "read" {
  value = data.terraform_remote_state.network.outputs.content
}
"""


class Terraform:
    """Folders with the same module, and one state that they share in a bucket."""

    def __init__(self, session, program):
        self.session = session
        self.program = program
        # Seen by another client.
        self.bucket = Context(session, "terraform")
        self.names = {"bucket": self.bucket.bucket, "state": STATE, "region": session.target.region, "endpoint": session.target.endpoint,
                      "patience": PATIENCE}

    def folder(self, name, module=MODULE):
        """A folder with a module in it, initialised."""
        folder = self.session.path(name)
        folder.mkdir()
        (folder / "main.tf").write_text(module % self.names)
        self("init", cwd=folder)
        return folder

    def __call__(self, *words, **more):
        """One command."""
        return self.session.run(self.program, *words, *self.options(words), CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1", **more)

    @staticmethod
    def options(words):
        """What keeps a command from asking."""
        return ["-input=false", "-no-color"] if words[0] in ("init", "apply", "destroy", "plan") else []

    def apply(self, folder, content, *words, **more):
        """Applies the module with a content, without waiting for a lock."""
        return self("apply", "-auto-approve", f"-var=content={content}", *words, cwd=folder, **more)

    @contextlib.contextmanager
    def started(self, folder, content, *words):
        """An apply in a process of its own, which is killed at the end if it still runs. What it prints is in apply.log."""
        command = [self.program, "apply", "-auto-approve", f"-var=content={content}", *words, *self.options(["apply"])]
        with open(folder / "apply.log", "wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       env=self.session.environment(CHECKPOINT_DISABLE="1"), start_new_session=True)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def body(self, key, **more):
        """An object's JSON."""
        return json.loads(self.bucket.get(key, **more))

    def keys(self):
        """The keys in the bucket."""
        return [entry["Key"] for entry in self.bucket.s3.list_objects_v2(Bucket=self.bucket.bucket).get("Contents", [])]

    def versions(self, key):
        """Ids of a key's versions, the newest first."""
        listed = self.bucket.s3.list_object_versions(Bucket=self.bucket.bucket, Prefix=key)
        return [entry["VersionId"] for entry in listed["Versions"] if entry["Key"] == key]


def contents(content):
    """The outputs of an apply with a content."""
    return [f"{content} {number}" for number in range(20)]


def run(session):
    """One state, used by many."""
    program = shutil.which("terraform")
    if not program:
        with session.case("terraform is installed"):
            raise NotRun("it is not on the PATH, and no registry that the tests use has it")
        return
    terraform = Terraform(session, program)
    with session.case("a bucket with versioning"):
        terraform.bucket.create()
        terraform.bucket.set_versioning(terraform.bucket.bucket, "Enabled")

    with session.case("init, apply and output"):
        one = terraform.folder("one")
        terraform.apply(one, "first")
        expect(json.loads(terraform("output", "-json", "content", cwd=one)), contents("first"), "outputs")
    with session.case("state pull gives the object's bytes, and no lock is left"):
        expect(json.loads(terraform("state", "pull", cwd=one)), terraform.body(STATE), "state")
        expect(terraform.keys(), [STATE], "keys")
    with session.case("another folder sees the state: plan has nothing to do, -detailed-exitcode is 0"):
        two = terraform.folder("two")
        terraform("plan", "-detailed-exitcode", "-var=content=first", cwd=two)
        expect(json.loads(terraform("output", "-json", "content", cwd=two)), contents("first"), "outputs")

    locks(session, terraform, one, two)
    versions(session, terraform, one)
    workspaces(session, terraform, one)

    with session.case("terraform_remote_state reads the outputs"):
        reader = terraform.folder("reader", READER)
        terraform("apply", "-auto-approve", cwd=reader)
        expect(json.loads(terraform("output", "-json", "read", cwd=reader)),
               json.loads(terraform("output", "-json", "content", cwd=one)), "outputs")
    with session.case("destroy leaves an empty state and no lock"):
        terraform("destroy", "-auto-approve", "-var=content=gone", cwd=one)
        expect(json.loads(terraform("state", "pull", cwd=one))["resources"], [], "resources")
        expect(terraform.keys(), [f"env:/blue/{STATE}", STATE], "keys")


def locks(session, terraform, one, two):
    """Who may write, when several want to."""
    serial = json.loads(terraform("state", "pull", cwd=one))["serial"]
    with session.case("while one apply holds the lock, another fails and says who has it"):
        gate = session.path("gate")
        with terraform.started(one, "second", f"-var=wait_for={gate}") as holder:
            lock = wait_for_lock(terraform)
            printed = terraform.apply(two, "intruder", code=1)
            for part in ("Error acquiring the state lock", "PreconditionFailed", lock["ID"]):
                assert part in printed, f"{part} is not in {printed}"
            expect(json.loads(terraform("state", "pull", cwd=two))["serial"], serial, "serial of the state")
            gate.touch()
            expect(holder.wait(60), 0, "exit code of the apply that had the lock")
        expect(json.loads(terraform("output", "-json", "content", cwd=two)), contents("second"), "outputs")
        expect(terraform.keys(), [STATE], "keys")
    with session.case("-lock-timeout waits for the lock and then gets it"):
        gate = session.path("gate2")
        with terraform.started(one, "third", f"-var=wait_for={gate}") as holder:
            wait_for_lock(terraform)
            with terraform.started(two, "fourth", "-lock-timeout=60s") as waiting:
                wait_until(lambda: "Acquiring state lock" in (two / "apply.log").read_text(), "the second apply waits for no lock")
                gate.touch()
                expect(holder.wait(60), 0, "exit code of the apply that had the lock")
                expect(waiting.wait(90), 0, "exit code of the apply that waited")
        expect(json.loads(terraform("output", "-json", "content", cwd=one)), contents("fourth"), "outputs")
    with session.case(f"of {PLANS} applies at once exactly one gets the lock"):
        race(session, terraform)
    with session.case("an apply that was killed leaves its lock, and force-unlock takes it away"):
        with terraform.started(one, "killed", f"-var=wait_for={session.path('never')}"):
            lock = wait_for_lock(terraform)
        assert "Error acquiring the state lock" in terraform.apply(two, "fifth", code=1)
        terraform("force-unlock", "-force", lock["ID"], cwd=two)
        terraform.apply(two, "fifth")
        expect(json.loads(terraform("output", "-json", "content", cwd=one)), contents("fifth"), "outputs")
        expect(terraform.keys(), [STATE], "keys")


def race(session, terraform):
    """Starts applies together. Whoever gets the lock keeps it until all others have given up."""
    folders = [terraform.folder(f"racer{number}") for number in range(PLANS)]
    gate = session.path("gate3")
    with concurrent.futures.ThreadPoolExecutor(PLANS) as pool:
        runs = {pool.submit(terraform.apply, folder, folder.name, f"-var=wait_for={gate}", code=None): folder for folder in folders}
        try:
            losers = list(next_of(runs, PLANS - 1))
        finally:
            gate.touch()
    for loser in losers:
        assert "Error acquiring the state lock" in loser.result(), loser.result()
    winners = [run for run in runs if "Apply complete!" in run.result()]
    expect(len(winners), 1, "applies that were complete")
    winner = runs[winners[0]]
    expect(json.loads(terraform("output", "-json", "content", cwd=folders[0])), contents(winner.name), "outputs")
    expect(terraform.keys(), [STATE], "keys")


def next_of(runs, count):
    """The first `count` that end."""
    ended = concurrent.futures.as_completed(runs, timeout=PATIENCE / 10)
    return (next(ended) for _ in range(count))


def wait_for_lock(terraform):
    """Waits until the lock object is there, and returns what is in it."""
    wait_until(lambda: f"{STATE}.tflock" in terraform.keys(), "no lock appears")
    return terraform.body(f"{STATE}.tflock")


def wait_until(ready, otherwise, seconds=60):
    """Waits until `ready()` is true."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def versions(session, terraform, folder):
    """Earlier states in a versioned bucket."""
    with session.case("the state's versions are the applies' states, each with a higher serial"):
        serials = [terraform.body(STATE, VersionId=version)["serial"] for version in terraform.versions(STATE)]
        expect(serials, sorted(set(serials), reverse=True), "serials")
        assert len(serials) >= 6, serials
    with session.case("state push -force brings the first version back"):
        old = terraform.body(STATE, VersionId=terraform.versions(STATE)[-1])
        session.path("old").write_text(json.dumps(old))
        terraform("state", "push", "-force", session.path("old"), cwd=folder)
        expect(terraform.body(STATE)["resources"], old["resources"], "resources")
        expect(json.loads(terraform("output", "-json", "content", cwd=folder)), contents("first"), "outputs")


def workspaces(session, terraform, folder):
    """States of workspaces, which are found by a listing."""
    with session.case("workspaces have states of their own"):
        for name in ("blue", "green"):
            terraform("workspace", "new", name, cwd=folder)
            terraform.apply(folder, name)
        listed = re.findall(r"[a-z]+", terraform("workspace", "list", cwd=folder))
        expect(listed, ["default", "blue", "green"], "workspaces")
        expect(terraform.keys(), [f"env:/blue/{STATE}", f"env:/green/{STATE}", STATE], "keys")
        terraform("workspace", "select", "blue", cwd=folder)
        expect(json.loads(terraform("output", "-json", "content", cwd=folder)), contents("blue"), "outputs")
    with session.case("a workspace that is not empty is not deleted, but with -force"):
        terraform("workspace", "select", "default", cwd=folder)
        assert "not empty" in terraform("workspace", "delete", "green", cwd=folder, code=1)
        terraform("workspace", "delete", "-force", "green", cwd=folder)
        expect(terraform.keys(), [f"env:/blue/{STATE}", STATE], "keys")
