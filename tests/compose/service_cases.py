"""The cluster as a whole: how it starts, what it shows of itself, what it outlives, how it stops."""

import concurrent.futures
import pathlib
import random
import threading
import urllib.request

import botocore.exceptions

from cluster import BALANCER, GATEWAYS, METADATA, ONCE, OURS, POSTGRES, SERVICES, container
from objects import BUCKET, CUT_SIZES, MIB, SIZES, UNCUT_SIZES, Objects, body_of, expect_unavailable, make_client, until_served
from report import expect

USER = 65532
TAKEOVER_SECONDS = 15
POSTGRES_SECONDS = 60


def run_layout(run):
    """What a security review would look at first, read from the engine and from the processes themselves."""
    run.report.section("containers")
    with run.report.case("as many containers as docker-compose.yml says, all healthy"):
        states = run.cluster.states()
        for name in ONCE:
            once = states.pop(name)
            expect((once["State"], once["ExitCode"]), ("exited", 0), f"the end of {name}")
        expect(sorted(states), sorted(SERVICES), "services")
        expect({state["Health"] for state in states.values()}, {"healthy"}, "health")
    descriptions = {service: run.cluster.inspect(service) for service in OURS}
    with run.report.case("only the balancer has a port outside, and only on loopback"):
        for service in SERVICES:
            description = run.cluster.inspect(service)
            published = [each["HostIp"] for bindings in (description["NetworkSettings"]["Ports"] or {}).values() for each in bindings or []]
            expect(published, ["127.0.0.1"] if service == BALANCER else [], f"addresses on which {service} is published")
    with run.report.case("they run as user 65532, without capabilities, on a read-only root"):
        for service, description in descriptions.items():
            expect(description["HostConfig"]["ReadonlyRootfs"], True, f"{service}: read-only root")
            status = status_of(description["State"]["Pid"])
            expect(set(status["Uid"].split() + status["Gid"].split()), {str(USER)}, f"{service}: users and groups")
            expect({int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")}, {0}, f"{service}: capabilities")
            expect(status["NoNewPrivs"], "1", f"{service}: no new privileges")
    with run.report.case("only chunk services and Postgres keep data in a volume; the others read keys from one"):
        expected = {"chunk": ("/data", True), "metadata": ("/data", False), "gateway": ("/keys", False), "worker": ("/keys", False)}
        for service, description in descriptions.items():
            volumes = [(mount["Destination"], mount["RW"]) for mount in description["Mounts"]]
            expect(volumes, [expected[service.split("-")[0]]], f"{service}: volumes")
    with run.report.case("each chunk service is known by its container's name, and stands for itself"):
        nodes = run.cluster.nodes()
        expect(sorted(nodes), sorted(name for name in OURS if name.startswith("chunk-")), "nodes")
        expect(len({node["domain"] for node in nodes.values()}), len(nodes), "failure domains")


def status_of(process):
    """/proc/PID/status as a dictionary."""
    lines = pathlib.Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def run_exchange(run):
    """What one gateway writes the other one shows, at once."""
    run.report.section("two gateways")
    first, second = run.clients
    with run.report.case("a bucket made through gateway 1 is there through gateway 2"):
        first.create_bucket(Bucket=BUCKET)
        second.head_bucket(Bucket=BUCKET)
    with run.report.case("objects of many sizes, written through gateway 1, read through gateway 2"):
        run.settled.put_sizes(SIZES)
        run.settled.put_multipart(0, "multipart", [5 * MIB, 6 * MIB + 1, 7])
        run.settled.put_many((0,), 150, run.seed)
        print(f"        {run.settled.compare((1,))} objects", flush=True)
    with run.report.case("and the other way round"):
        run.settled.put_many((1,), 50, run.seed + 1)
        run.settled.compare((0,))
    with run.report.case("both list the same"):
        run.settled.compare_listing(0)
        run.settled.compare_listing(1)
    with run.report.case("overwritten through one, read through the other; then deleted"):
        for turn in range(20):
            writer, reader = (first, second) if turn % 2 else (second, first)
            body = f"turn {turn}".encode() * (1 if turn % 3 else 30_000)
            writer.put_object(Bucket=BUCKET, Key="turns", Body=body)
            expect(reader.get_object(Bucket=BUCKET, Key="turns")["Body"].read(), body, f"turn {turn}")
        first.delete_object(Bucket=BUCKET, Key="turns")
        try:
            second.get_object(Bucket=BUCKET, Key="turns")
        except second.exceptions.NoSuchKey:
            pass
        else:
            raise AssertionError("a deleted key is still there")


def run_balancer(run):
    """What clients are meant to use: one address, with all gateways behind it."""
    run.report.section("the balancer")
    through = make_client(run.cluster, run.cluster.endpoint)
    objects = Objects([through], "balanced")
    with run.report.case("bodies, parts, ranges and names that need quoting arrive as they were signed"):
        objects.put_sizes(UNCUT_SIZES + CUT_SIZES)
        objects.put_multipart(0, "multipart", [5 * MIB, 7])
        objects.put(0, "a b+c%d/ä&=?#", 3000)
        objects.compare((0,))
        objects.compare_listing(0)
        url = through.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": f"balanced/size-{CUT_SIZES[0]}"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=20) as answer:
            expect(answer.read(), body_of(f"balanced/size-{CUT_SIZES[0]}", CUT_SIZES[0]), "what the presigned URL leads to")
    with run.report.case("after a write that is refused before its body was read, the same client's next requests are answered as they are to be"):
        # On one connection, of a client that sends no body unless it is told to continue.
        alone = make_client(run.cluster, run.cluster.endpoint, connections=1)
        for size in (100, 40_000, 2 * MIB):
            try:
                alone.put_object(Bucket="missing", Key="refused", Body=bytes(size))
            except alone.exceptions.NoSuchBucket:
                pass
            else:
                raise AssertionError("a bucket that is missing took an object")
            alone.put_object(Bucket=BUCKET, Key="after-refusal", Body=bytes(size))
            expect(alone.get_object(Bucket=BUCKET, Key="after-refusal")["Body"].read(), bytes(size), "the object")
    with run.report.case("an object that asks for encryption is encrypted"):
        answer = through.put_object(Bucket=BUCKET, Key="encrypted", Body=bytes(MIB), ServerSideEncryption="AES256")
        expect(answer["ServerSideEncryption"], "AES256", "encryption")
        expect(run.clients[1].get_object(Bucket=BUCKET, Key="encrypted")["Body"].read(), bytes(MIB), "the object")


def run_takeover(run, metadata, gateway):
    """One metadata service and one gateway die; the others serve."""
    dead, alive = GATEWAYS.index(gateway), 1 - GATEWAYS.index(gateway)
    run.report.section(f"{metadata} and {gateway} die")
    during = Objects(run.clients, f"without-{metadata}-{gateway}")
    try:
        with run.report.case(f"{GATEWAYS[alive]} serves"):
            run.cluster.kill(metadata, gateway)
            refused, took = until_served(TAKEOVER_SECONDS, lambda: during.put(alive, "first", MIB))
            print(f"        after {took:.1f} s, {refused} refused", flush=True)
        with run.report.case("writes, reads and listings succeed at the first attempt"):
            during.put_sizes(UNCUT_SIZES + CUT_SIZES, (alive,))
            during.put_multipart(alive, "multipart", [5 * MIB, 1])
            during.compare((alive,))
            run.settled.compare((alive,))
            run.settled.compare_listing(alive)
    finally:
        with run.report.case("both come back healthy"):
            run.cluster.start(metadata, gateway)
    with run.report.case(f"{gateway} serves at once"):
        during.put_sizes(UNCUT_SIZES + CUT_SIZES, (dead,))
        during.compare((dead,))


def run_postgres(run):
    """Postgres dies and comes back; then it restarts while clients write."""
    run.report.section("Postgres dies")
    unsure = {}
    try:
        with run.report.case("every request is answered with 503, in time"):
            run.cluster.kill(POSTGRES)
            calls = [call for number in (0, 1) for call in calls_without_postgres(run, number, unsure)]
            with concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
                times = list(threads.map(lambda call: expect_unavailable(*call), calls))
            print(f"        {len(calls)} requests, slowest answer {max(times):.1f} s", flush=True)
        with run.report.case("the gateways say that they are not ready"):
            expect([run.cluster.ready(number) for number in (0, 1)], [503, 503], "readiness")
    finally:
        with run.report.case("it comes back healthy"):
            run.cluster.start(POSTGRES)
    with run.report.case("both gateways serve again"):
        for number in (0, 1):
            refused, took = until_served(POSTGRES_SECONDS, lambda number=number: run.settled.put(number, "after-postgres", 300_000))
            print(f"        gateway {number + 1} after {took:.1f} s, {refused} refused", flush=True)
    with run.report.case("everything acknowledged before reads back equal"):
        run.settled.compare()
        run.settled.compare_listing(0)
    with run.report.case("writes that were answered with 503 happened whole or not at all"):
        for s3 in run.clients:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="unsure/"):
                for each in page.get("Contents", []):
                    expect(s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read(), unsure[each["Key"]], each["Key"])
    run_postgres_restart(run)


def calls_without_postgres(run, number, unsure):
    """Requests through gateway `number`, each as a name and a function. What the writes would write goes into `unsure`."""
    s3, new = run.clients[number], f"unsure/{number}"
    known = {"Bucket": BUCKET, "Key": next(iter(run.settled.contents))}
    unsure |= {f"{new}-small": b"small", f"{new}-large": bytes(MIB)}
    calls = {
        "GetObject": lambda: s3.get_object(**known),
        "HeadObject": lambda: s3.head_object(**known),
        "ListObjectsV2": lambda: s3.list_objects_v2(Bucket=BUCKET),
        "ListBuckets": s3.list_buckets,
        "PutObject of 5 bytes": lambda: s3.put_object(Bucket=BUCKET, Key=f"{new}-small", Body=unsure[f"{new}-small"]),
        "PutObject of 1 MiB": lambda: s3.put_object(Bucket=BUCKET, Key=f"{new}-large", Body=unsure[f"{new}-large"]),
        "DeleteObject": lambda: s3.delete_object(Bucket=BUCKET, Key="nothing"),
        "CreateBucket": lambda: s3.create_bucket(Bucket="unsure"),
    }
    return [(f"{what} through gateway {number + 1}", call) for what, call in calls.items()]


def run_postgres_restart(run):
    """Clients write all the while; each write is acknowledged and kept, or answered with 503."""
    run.report.section("Postgres restarts while clients write")
    during = Objects(run.clients, "postgres-restart")
    over, problems, refused = threading.Event(), [], [0, 0]

    def write(number):
        turn = 0
        while not over.is_set():
            try:
                during.put(number, f"{number}-{turn}", 200 if turn % 2 else 100_000)
            except botocore.exceptions.ClientError as error:
                refused[number] += 1
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                    problems.append(str(error))
            except Exception as error:
                problems.append(f"{type(error).__name__}: {error}")
            turn += 1
            over.wait(0.05)

    writers = [threading.Thread(target=write, args=(number,), daemon=True) for number in (0, 1)]
    try:
        with run.report.case("every write is acknowledged or answered with 503"):
            for writer in writers:
                writer.start()
            run.cluster.compose("restart", "postgres")
            run.cluster.wait_until_healthy(POSTGRES, *METADATA, *GATEWAYS)
            expect(problems[:5], [], "other answers")
    finally:
        over.set()
        for writer in writers:
            writer.join(60)
    with run.report.case("everything acknowledged reads back equal"):
        print(f"        {len(during.contents)} acknowledged, {sum(refused)} refused", flush=True)
        for number in (0, 1):
            until_served(POSTGRES_SECONDS, lambda number=number: during.put(number, f"{number}-last", MIB))
        during.compare()


def run_restart(run):
    """Everything stops as asked and starts again with what it had."""
    run.report.section("the whole cluster stops and starts")
    with run.report.case("every service ends with code 0 when it is asked to"):
        run.cluster.compose("stop")
        codes = {service: state["ExitCode"] for service, state in run.cluster.states().items()}
        expect(codes, dict.fromkeys(codes, 0), "exit codes")
    order = random.Random(run.seed).sample(SERVICES, len(SERVICES))
    with run.report.case(f"it starts again in any order: {' '.join(order)}"):
        for name in order:
            run.cluster.docker.run("start", container(name))
        run.cluster.wait_until_healthy(*SERVICES, seconds=180)
    with run.report.case("everything reads back equal, and writes go on"):
        run.settled.put_sizes(UNCUT_SIZES + CUT_SIZES, (0, 1))
        run.settled.compare()
    run.report.section("docker compose down, and up again")
    with run.report.case("new containers find what the old ones left"):
        before = run.cluster.nodes()
        run.cluster.take_away("down")
        run.cluster.up()
        after = run.cluster.nodes()
        expect({name: node["node"] for name, node in after.items()}, {name: node["node"] for name, node in before.items()}, "nodes")
    with run.report.case("everything reads back equal, and writes go on"):
        run.settled.put_sizes(UNCUT_SIZES + CUT_SIZES, (0, 1))
        run.settled.compare()
