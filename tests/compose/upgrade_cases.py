"""The cluster is brought to another image by deploy/compose/upgrade, while clients work."""

import contextlib
import io
import json
import os
import pathlib
import re
import tempfile
import time
import types

from cluster import OURS, PROJECT, UPGRADE, container
from engine import DockerFailed
from long_cases import EMPTY_SECONDS, working
from report import NotRun, expect

# Calls of the engine before which a run is interrupted, in this order: each later run mends what the one before has left.
STEPS = {
    "the pattern is taken away": r"DELETE /containers/",
    "the new container is made": r"POST /containers/create",
    "the old one is removed": r"DELETE /containers/WORKER",
    "the new one has its name": r"POST /containers/[0-9a-f]+/rename",
    "the new one starts": r"POST /containers/[0-9a-f]+/start",
}
REFUSAL = "used by a newer program"


def run_upgrade(run, image, binary):
    """The image of an earlier program is replaced by that of a later one, container after container, as the guide says. The script is killed in
    the middle, and run again. Nobody notices, and there is no way back."""
    cluster, report = run.cluster, run.report
    report.section("an image that does not work, while clients work")
    before, schema = containers_of(cluster), schema_of(cluster)
    with report.case("the upgrade to it ends before anything is touched"):
        with tempfile.TemporaryDirectory() as folder:
            broken = pathlib.Path(folder) / "ashlar"
            broken.write_text("#!/bin/sh\necho this program is broken\nexit 1\n", encoding="utf-8")
            broken.chmod(0o755)
            earlier = cluster.tag
            cluster.use_image("broken")
            image.build(broken)
        with working(run, "broken") as work:
            code, said = cluster.upgrade("--timeout", "15")
            expect(code, 1, "exit code")
            for words in ("this program is broken", "Nothing was changed", "run this again"):
                expect(words in said, True, f"whether it says {words!r}")
            expect(containers_of(cluster), before, "containers and their images")
        work.check()

    report.section("an upgrade to another image while clients work")
    cluster.use_image("latest")
    image.build(binary)
    began = time.monotonic()
    with working(run, "upgrade") as work:
        with report.case("it is killed behind the first chunk service, with some of both images"):
            code, _ = cluster.upgrade(kill_after=f"{PROJECT}-chunk-1  replaced")
            expect(code, -9, "exit code")
            replaced = replaced_in(cluster, before)
            expect({"chunk-1", "metadata-1", "metadata-2"} <= replaced < set(OURS), True, f"whether some are replaced, and not all: {replaced}")
        with report.case("run again, it goes on: every one of our containers has the new image, by its name of before"):
            code, said = cluster.upgrade()
            expect(code, 0, "exit code")
            expect([name for name in replaced if f"{PROJECT}-{name}  replaced" in said], [], "what was replaced again")
            expect(sorted(containers_of(cluster)), sorted(before), "containers")
            expect(replaced_in(cluster, before), set(OURS), "containers with the new image")
        took = time.monotonic() - began
        after = containers_of(cluster)
        with report.case("`docker compose up` finds nothing left to be done, nor does a third run"):
            cluster.up()
            expect(containers_of(cluster), after, "containers after `up`")
            code, said = cluster.upgrade()
            expect((code, "0 replaced" in said), (0, True), "exit code, and whether nothing was replaced")
            expect(containers_of(cluster), after, "containers after a third run")
        with report.case("the earlier program is refused by the database, and nothing is changed"):
            if schema_of(cluster) == schema:
                raise NotRun(f"both programs have schema version {schema}")
            cluster.use_image(earlier)
            try:
                code, said = cluster.upgrade()
                expect(code, 1, "exit code")
                for words in (REFUSAL, "no way back but a backup", "Nothing was changed"):
                    expect(words in said, True, f"whether it says {words!r}")
                expect(containers_of(cluster), after, "containers and their images")
            finally:
                cluster.use_image("latest")
    print(f"        {took:.0f} s for the upgrade, schema version {schema} to {schema_of(cluster)}", flush=True)
    run.report.figures |= {"upgrade_seconds": round(took, 1), "upgrade_schemas": [schema, schema_of(cluster)], "upgrade_requests": work.done,
                           "upgrade_failed": len(work.failed), "upgrade_repeated": work.repeated, "upgrade_repetitions_max": work.most,
                           "upgrade_slowest_seconds": round(work.slowest, 1)}
    with report.case("no request failed after the SDK's repetitions, and what was acknowledged meanwhile reads back equal"):
        work.check()
    with report.case("what was acknowledged before reads back equal"):
        run.settled.compare()
    with report.case("every disk is up, and every shard is there, right and named"):
        expect({node["state"] for node in cluster.nodes().values()} - {"up", "joining"}, set(), "states of nodes that are not up")
        deadline = time.monotonic() + EMPTY_SECONDS
        while True:
            try:
                cluster.admin("audit", "--deep", seconds=300)
                break
            except DockerFailed as error:
                # What lay on its way when a container ended is cleaned up by the reaper.
                if time.monotonic() > deadline:
                    raise AssertionError(f"the audit is not clean: {error}") from error
                time.sleep(5)


class Interrupted(Exception):
    """As if the machine had lost its power before this call of the engine."""


def run_interruptions(run):
    """The script is interrupted between any two of its steps, of the worker alone. The next run goes on from there."""
    cluster, report = run.cluster, run.report
    report.section("an upgrade that is interrupted between any two steps")
    before = containers_of(cluster)
    other = f"{PROJECT}:interrupted"
    cluster.docker.run("tag", cluster.image, other)
    tag = cluster.tag
    try:
        cluster.use_image("interrupted")
        for what, step in STEPS.items():
            with report.case(f"before {what}"):
                expect(upgrade_workers(cluster, step), "interrupted", "how it ended")
        with report.case("the last run replaces it, by its name and number, and it is healthy"):
            expect(upgrade_workers(cluster, None), "done", "how it ended")
            after = containers_of(cluster)
            expect([name for name in {*before, *after} if before.get(name) != after.get(name)], ["worker-1"], "containers that are others")
            labels = cluster.inspect("worker-1")["Config"]["Labels"]
            expect(labels["com.docker.compose.container-number"], "1", "its number")
            cluster.wait_until_healthy("worker-1", seconds=1)
        with report.case("another one of the other image takes its place, and nothing is left to be done"):
            cluster.use_image(tag)
            expect(upgrade_workers(cluster, None), "done", "how it ended")
            after = containers_of(cluster)
            code, _ = cluster.upgrade()
            expect((code, containers_of(cluster)), (0, after), "code and containers of a run for all")
            cluster.up()
            expect(containers_of(cluster), after, "containers after `docker compose up`")
    finally:
        cluster.use_image(tag)
        cluster.docker.succeeds("image", "rm", other)


def upgrade_workers(cluster, step):
    """Runs the script for the worker alone until it makes this call of the engine. Answers how it ended."""
    # Without a file of compiled code beside it, which an import would leave.
    script = types.ModuleType("upgrade_script")
    exec(compile(UPGRADE.read_text(encoding="utf-8"), UPGRADE, "exec"), vars(script))
    script.ROLES = ("worker",)
    call = script.Engine.call
    old = cluster.inspect("worker-1")["Id"] if step and "WORKER" in step else ""

    def call_unless_interrupted(engine, method, path, *words, **query):
        if step and re.match(step.replace("WORKER", old), f"{method} {path}"):
            raise Interrupted
        return call(engine, method, path, *words, **query)

    script.Engine.call = call_unless_interrupted
    script.Upgrade.check = lambda _: None
    environment = dict(os.environ)
    os.environ |= cluster.docker.environment
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            script.Upgrade(cluster.options(), 60).run()
    except Interrupted:
        return "interrupted"
    finally:
        os.environ.clear()
        os.environ |= environment
    return "done"


def containers_of(cluster):
    """Every container of our services by its name, with its id and its image."""
    names = [name for name in cluster.states() if name.rsplit("-", 1)[0].split("-")[0] in ("metadata", "chunk", "worker", "gateway")]
    found = json.loads(cluster.docker.run("inspect", *map(container, names)))
    return {each["Name"].removeprefix(f"/{PROJECT}-"): (each["Id"], each["Image"]) for each in found}


def replaced_in(cluster, before):
    """The containers that have another image than before."""
    return {name for name, (_, image) in containers_of(cluster).items() if name in before and before[name][1] != image}


def schema_of(cluster):
    """The version of the database's schema."""
    words = ["psql", "--username", "ashlar", "--dbname", "ashlar", "--tuples-only", "--no-align", "--command", "SELECT max(version) FROM schema_version"]
    return int(cluster.compose("exec", "--no-TTY", "postgres", *words))
