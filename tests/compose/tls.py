"""Runs the cluster of docker-compose.yml with the certificates of docker-compose.tls.yml, made as the head of that file says: all services
come up, objects are kept, services talk TLS and by certificates alone, and an operator's call is taken from the operator's certificate. Then
deploy/compose/upgrade replaces each container while clients work, by another name of the image and the settings of docker-compose.observability.yml.

Starts a Docker engine if none runs (root), makes the images that are missing, and leaves nothing running. It is no part of ./test, whose time
is short; docs/how-to/run-by-compose.md says when it was run last."""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from report import Report, expect  # noqa: E402

REPOSITORY = HERE.parents[1]
FILES = ["docker-compose.yml", "docker-compose.tls.yml"]
OBSERVABILITY = "docker-compose.observability.yml"
BAD_LINE = re.compile(r"\bERROR\b|panicked at|stack backtrace")
# Where services listen for each other.
PORTS = {"metadata-1": 9300, "chunk-1": 9200}


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/compose/tls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="test this program")
    chosen = parser.parse_args()
    chosen.binary = chosen.binary.resolve()
    return chosen


def make_project(binary, folder):
    """A folder with the compose files as they are, and certificates beside them, by the commands at the head of the second."""
    for name in (*FILES, OBSERVABILITY):
        shutil.copy2(REPOSITORY / name, folder / name)
    shutil.copytree(REPOSITORY / "deploy/compose", folder / "deploy/compose")
    head = (REPOSITORY / FILES[1]).read_text(encoding="utf-8").split("\n\n", 1)[0]
    commands = [line.removeprefix("#   ") for line in head.splitlines() if line.startswith("#   ")]
    expect(len(commands), 4, "commands at the head")
    # A copy of the authority's key is put elsewhere, and nobody is asked.
    made = commands[0].replace("ashlar admin", f"{binary} admin").replace("rm -i ./certificates/ca.key", "mv ./certificates/ca.key ./ca.key")
    expect(made.count("ca.key"), 2, f"what {commands[0]!r} does with the key")
    for command in (made, commands[1].removeprefix("sudo ")):
        subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def make_cluster(docker, folder):
    """The cluster of both files."""
    from cluster import Cluster

    cluster = Cluster(docker, folder)
    cluster.files = [folder / name for name in FILES]
    return cluster


def address_of(cluster, name):
    """The address of a container on the network of the services."""
    networks = cluster.inspect(name)["NetworkSettings"]["Networks"]
    return next(network["IPAddress"] for kind, network in networks.items() if kind.endswith(("_control", "_data")))


def spoken_to(cluster, folder, name, port, role):
    """The names in the certificate that a service shows to this role, or to nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "certificates/ca.crt")
    context.check_hostname = False
    if role:
        context.load_cert_chain(folder / f"certificates/{role}.crt", folder / f"certificates/{role}.key")
    with socket.create_connection((address_of(cluster, name), port), timeout=10) as plain, context.wrap_socket(plain) as secured:
        secured.settimeout(10)
        # Of TLS 1.3 a client hears that its certificate is missing with what it reads first.
        secured.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        secured.recv(1)
        return [value for _, value in secured.getpeercert()["subjectAltName"]]


def run_upgrade(report, cluster, folder):
    """What there is is replaced, container after container, by what other settings ask for too."""
    from cluster import OURS, PROJECT
    from long_cases import working
    from upgrade_cases import containers_of

    report.section("an upgrade while clients work")
    run = types.SimpleNamespace(cluster=cluster)
    before = containers_of(cluster)
    cluster.docker.run("tag", cluster.image, f"{PROJECT}:again")
    with cluster.settings.open("a", encoding="utf-8") as settings:
        settings.write("GRAFANA_PASSWORD=none\n")
    try:
        cluster.use_image("again")
        cluster.files.append(folder / OBSERVABILITY)
        with report.case("each container is replaced by one of that name, with the settings of both files, and no request fails"):
            with working(run, "upgraded") as work:
                code, _ = cluster.upgrade()
            expect(code, 0, "exit code")
            after = containers_of(cluster)
            expect(sorted(after), sorted(before), "containers")
            expect([name for name in after if after[name][0] == before[name][0]], [], "containers that were there before")
            for name in OURS:
                config = cluster.inspect(name)["Config"]
                expect(config["Image"], f"{PROJECT}:again", f"{name}: image")
                for setting in ("ASHLAR_OTLP_ENDPOINT=http://collector:4318", f"ASHLAR_CLUSTER_TLS_CERT=/certificates/{name.split('-')[0]}.crt"):
                    expect(setting in config["Env"], True, f"{name}: whether it has {setting}")
            work.check()
        with report.case("`docker compose up` makes none of them anew"):
            cluster.up("--no-deps", "metadata", "chunk", "gateway", "worker")
            expect(containers_of(cluster), after, "containers")
    finally:
        cluster.docker.succeeds("image", "rm", f"{PROJECT}:again")


def run_cases(report, cluster, folder):
    """Everything, in order. Later cases make no sense on a cluster that does not start."""
    from cluster import GATEWAYS, ONCE, OURS
    from engine import DockerFailed
    from objects import BUCKET, CUT_SIZES, UNCUT_SIZES, Objects

    report.section("start")
    with report.case("docker compose -f docker-compose.yml -f docker-compose.tls.yml up --wait"):
        cluster.up()
    if report.failed:
        return
    with report.case("every container is healthy"):
        states = cluster.states()
        sick = {name: state.get("Health") for name, state in states.items() if name not in ONCE and state.get("Health") != "healthy"}
        expect(sick, {}, "who is not")

    report.section("objects")
    objects = Objects(cluster.clients, "secured")
    with report.case("objects of many sizes, written through one gateway, are read through the other"):
        cluster.clients[0].create_bucket(Bucket=BUCKET)
        objects.put_sizes(UNCUT_SIZES + CUT_SIZES, numbers=range(len(GATEWAYS)))
        for number in range(len(GATEWAYS)):
            expect(objects.compare((number,)), len(UNCUT_SIZES + CUT_SIZES), "objects")
    with report.case("also when a chunk service is killed, which comes back"):
        cluster.kill("chunk-3")
        objects.put(0, "without", 300_000)
        objects.compare((1,))
        cluster.start("chunk-3")

    report.section("certificates")
    for name, port in PORTS.items():
        role = name.split("-")[0]
        with report.case(f"{name} shows the certificate of its role, and talks to no one without"):
            expect(spoken_to(cluster, folder, name, port, "gateway"), [f"{role}.ashlar.internal"], "names")
            for stranger in ("nobody", "plain"):
                try:
                    if stranger == "nobody":
                        spoken_to(cluster, folder, name, port, None)
                    else:
                        with socket.create_connection((address_of(cluster, name), port), timeout=10) as plain:
                            plain.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
                            expect(b"HTTP/1.1 200" in plain.recv(1000), False, "whether it answers without TLS")
                except (ssl.SSLError, ConnectionError):
                    continue
                expect(stranger, "plain", "who is answered")
    with report.case("an operator's call is refused with a worker's certificate, and changes nothing"):
        node = cluster.nodes()["chunk-6"]
        try:
            cluster.admin("node", "drain", node["node"])
        except DockerFailed as error:
            expect("admin.ashlar.internal" in str(error), True, f"whether it says what is missing: {error}")
        else:
            raise AssertionError("a worker drained a node")
        expect(cluster.nodes()["chunk-6"]["intent"], "serve", "what is wanted of the node")
    with report.case("with that of operators it is taken"):
        for word, intent in (("drain", "drain"), ("serve", "serve")):
            cluster.compose("run", "--rm", "--no-TTY", "admin", "node", word, node["node"])
            expect(cluster.nodes()["chunk-6"]["intent"], intent, "what is wanted of the node")
    with report.case("an audit by the operator finds every shard"):
        found = json.loads(cluster.compose("run", "--rm", "--no-TTY", "admin", "audit", "--deep", "--json"))
        expect([found[name] for name in ("missing", "corrupt", "unreadable", "lost_chunks")], [0, 0, 0, 0], "what is wrong")

    run_upgrade(report, cluster, folder)

    report.section("logs")
    with report.case("no service logged an error"):
        bad = [f"{name}: {line}" for name in OURS for line in cluster.log(name).splitlines() if BAD_LINE.search(line)]
        expect(bad[:20], [], "lines")


def run_cluster(chosen, docker, folder, report):
    """Builds the image, runs the cases, and takes everything away again."""
    from cluster import OURS, Cluster
    from images import Image, ensure_base_images
    from processes import end_of

    make_project(chosen.binary, folder)
    plain, cluster = Cluster(docker, folder), make_cluster(docker, folder)
    # What a run that was killed left behind.
    cluster.down()
    ensure_base_images(docker)
    image = Image(docker, plain)
    try:
        image.build(chosen.binary)
        run_cases(report, cluster, folder)
    finally:
        if report.failed:
            for name in OURS:
                print(f"--- the last lines of {name}\n{end_of(cluster.log(name), 15)}", flush=True)
        cluster.down()
        left = cluster.leftovers()
        image.remove()
    report.section("end")
    with report.case("docker compose down -v leaves nothing"):
        expect(left, [], "what is left")


def stop(number, _):
    """Ends the program by an exception, so that everything is cleaned up."""
    sys.exit(128 + number)


def main():
    """Runs what was asked for."""
    chosen = arguments()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    from engine import Docker, Engine

    signal.signal(signal.SIGTERM, stop)
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-compose-tls-"))
    folder.chmod(0o755)
    try:
        docker = Docker()
        with Engine(docker, folder / "engine.log"):
            run_cluster(chosen, docker, folder, report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report.close("compose-tls")


if __name__ == "__main__":
    sys.exit(main())
