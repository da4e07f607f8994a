"""The cluster as a whole: how it starts, what it shows of itself, what it outlives, how it stops."""

import concurrent.futures
import pathlib
import threading

import botocore.exceptions

from cluster import CHUNKS, GATEWAYS, METADATA, ONCE, OURS, SERVICES
from objects import BUCKET, CUT_SIZES, MIB, SIZES, UNCUT_SIZES, Objects, expect_unavailable, until_served
from report import expect

USER = 65532
TAKEOVER_SECONDS = 15
POSTGRES_SECONDS = 60


def run_layout(run):
    """What a security review would look at first, read from the engine and from the processes themselves."""
    run.report.section("containers")
    with run.report.case("one container for each service, all healthy"):
        states = run.cluster.states()
        once = states.pop(ONCE)
        expect((once["State"], once["ExitCode"]), ("exited", 0), f"the end of {ONCE}")
        expect(sorted(states), sorted(SERVICES), "services")
        expect({state["Health"] for state in states.values()}, {"healthy"}, "health")
    descriptions = {service: run.cluster.inspect(service) for service in OURS}
    with run.report.case("only the gateways have a port outside, and only on loopback"):
        for service, description in (descriptions | {"postgres": run.cluster.inspect("postgres")}).items():
            published = [each["HostIp"] for bindings in (description["NetworkSettings"]["Ports"] or {}).values() for each in bindings or []]
            expect(published, ["127.0.0.1"] if service in GATEWAYS else [], f"addresses on which {service} is published")
    with run.report.case("they run as user 65532, without capabilities, on a read-only root"):
        for service, description in descriptions.items():
            expect(description["HostConfig"]["ReadonlyRootfs"], True, f"{service}: read-only root")
            status = status_of(description["State"]["Pid"])
            expect(set(status["Uid"].split() + status["Gid"].split()), {str(USER)}, f"{service}: users and groups")
            expect({int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")}, {0}, f"{service}: capabilities")
            expect(status["NoNewPrivs"], "1", f"{service}: no new privileges")
    with run.report.case("only chunk services and Postgres keep data in a volume; metadata services read a key from one"):
        for service, description in descriptions.items():
            volumes = [(mount["Destination"], mount["RW"]) for mount in description["Mounts"]]
            expected = [("/data", service in CHUNKS)] if service in [*CHUNKS, *METADATA] else []
            expect(volumes, expected, f"{service}: volumes")


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
            run.cluster.kill("postgres")
            calls = [call for number in (0, 1) for call in calls_without_postgres(run, number, unsure)]
            with concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
                times = list(threads.map(lambda call: expect_unavailable(*call), calls))
            print(f"        {len(calls)} requests, slowest answer {max(times):.1f} s", flush=True)
        with run.report.case("the gateways say that they are not ready"):
            expect([run.cluster.ready(number) for number in (0, 1)], [503, 503], "readiness")
    finally:
        with run.report.case("it comes back healthy"):
            run.cluster.start("postgres")
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
            run.cluster.wait_until_healthy("postgres", *METADATA, *GATEWAYS)
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
    with run.report.case("it starts again"):
        run.cluster.up()
    with run.report.case("everything reads back equal, and writes go on"):
        run.settled.put_sizes(UNCUT_SIZES + CUT_SIZES, (0, 1))
        run.settled.compare()
