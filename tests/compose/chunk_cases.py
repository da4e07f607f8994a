"""Any two of six chunk services may die: everything stays readable, and nothing is promised that cannot be kept."""

import botocore.exceptions

from objects import (BUCKET, CHUNK, CUT_SIZES, MIB, STRIPE, UNCUT_SIZES, Objects, Upload, body_of, expect_unavailable,
                     until_served)
from report import expect

# A gateway asks services that failed every second whether they are back.
RECOVERY_SECONDS = 10
DOWNLOAD = f"size-{CHUNK + STRIPE + 7}"


def run_pair(run, pair):
    """One pair dies, one after the other, and comes back."""
    first, second = pair
    report, cluster, settled = run.report, run.cluster, run.settled
    report.section(f"{first} and {second} die")
    # With two of 4+2 shards lost there is none to spare, so what is written while one is dead may be lost from sight if two
    # others die before it is repaired. It is compared while it must be readable, and apart from the rest.
    degraded = Objects(run.clients, f"degraded-{first}-{second}")
    try:
        with report.case(f"an upload under way when {first} dies is completed"):
            upload = Upload(degraded, 0, "upload", 20 * MIB)
            cluster.kill(first)
            upload.finish()
        with report.case(f"writes go on without {first}, at the first attempt, through both gateways"):
            slowest = degraded.put_sizes(UNCUT_SIZES + CUT_SIZES, (0, 1))
            degraded.put_multipart(1, "multipart", [5 * MIB, 70_000])
            print(f"        slowest write {slowest:.1f} s", flush=True)
        with report.case(f"a download under way when {second} dies too arrives whole"):
            interrupt_download(run, second)
        with report.case("every object reads back equal through both gateways"):
            reads = settled.compare()
            print(f"        {reads} reads", flush=True)
            settled.compare_listing(1)
            report.figures["pairs"] += 1
            report.figures["reads"] += reads
        with report.case(f"so does what was written without {first}"):
            degraded.compare()
        with report.case("writes that need five shards are refused with 503, in time"):
            print(f"        slowest answer {refuse_cut_writes(run, degraded):.1f} s", flush=True)
        with report.case("a refused write leaves nothing to be seen"):
            nothing_is_seen(run, degraded)
        with report.case("small objects, which are not cut into shards, can be written and read"):
            small = Objects(run.clients, f"small-{first}-{second}")
            small.put_sizes(UNCUT_SIZES, (0, 1))
            small.compare()
    finally:
        with report.case("both come back healthy"):
            cluster.start(first, second)
    with report.case("writes go on"):
        after = Objects(run.clients, f"after-{first}-{second}")
        for number in (0, 1):
            refused, took = until_served(RECOVERY_SECONDS, lambda number=number: after.put(number, f"first-{number}", 9 * MIB))
            print(f"        gateway {number + 1} serves after {took:.1f} s, {refused} refused", flush=True)
        after.put_sizes(UNCUT_SIZES + CUT_SIZES, (1, 0))
        after.compare()
    with report.case("what was written before, while they were dead and since reads back equal"):
        settled.compare()
        degraded.compare()


def interrupt_download(run, victim):
    """Reads a large object slowly enough that most of it is fetched after the victim's death."""
    key = f"{run.settled.prefix}/{DOWNLOAD}"
    body = run.clients[0].get_object(Bucket=BUCKET, Key=key)["Body"]
    received = [body.read(MIB)]
    run.cluster.kill(victim)
    received.append(body.read())
    received = b"".join(received)
    wanted = body_of(key, run.settled.contents[key].size)
    expect(len(received), len(wanted), "bytes received")
    assert received == wanted, "the bytes received differ"


def refuse_cut_writes(run, degraded):
    """Every way of writing more than a small object is refused by both gateways. Answers the longest time that one took."""
    slowest = 0.0
    for number, s3 in enumerate(run.clients):
        for size in CUT_SIZES:
            refused = {"Bucket": BUCKET, "Key": f"refused/{number}-{size}", "Body": bytes(size)}
            slowest = max(slowest, expect_unavailable(f"PutObject of {size} bytes", lambda: s3.put_object(**refused)))
        # A key that holds something keeps it.
        taken = {"Bucket": BUCKET, "Key": f"{degraded.prefix}/size-{CUT_SIZES[0]}", "Body": bytes(CUT_SIZES[0])}
        slowest = max(slowest, expect_unavailable("PutObject over an object", lambda: s3.put_object(**taken)))
        upload = {"Bucket": BUCKET, "Key": f"refused/parts-{number}"}
        upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
        part = upload | {"PartNumber": 1, "Body": bytes(5 * MIB)}
        slowest = max(slowest, expect_unavailable("UploadPart", lambda: s3.upload_part(**part)))
        s3.abort_multipart_upload(**upload)
    return slowest


def nothing_is_seen(run, degraded):
    """No key of a refused write exists, and what was to be overwritten is what it was."""
    for s3 in run.clients:
        expect(s3.list_objects_v2(Bucket=BUCKET, Prefix="refused/")["KeyCount"], 0, "refused keys listed")
        try:
            s3.head_object(Bucket=BUCKET, Key=f"refused/0-{CUT_SIZES[0]}")
        except botocore.exceptions.ClientError as error:
            expect(error.response["ResponseMetadata"]["HTTPStatusCode"], 404, "status of a refused key")
        else:
            raise AssertionError("a refused key exists")
    degraded.compare()


def pairs_of(names, wanted, chance):
    """`wanted` pairs in random order. As far as they go, the first ones have every name in them."""
    shuffled = chance.sample(names, len(names))
    pairs = [tuple(shuffled[place:place + 2]) for place in range(0, len(shuffled), 2)]
    others = [(a, b) for place, a in enumerate(names) for b in names[place + 1:] if (a, b) not in pairs and (b, a) not in pairs]
    pairs += chance.sample(others, len(others))
    return pairs[:wanted]


