"""Objects go in and come out whole, and in ranges."""

import concurrent.futures
import random

from boto3_cases.context import MIB, Cases, etag, random_bytes, refused
from report import expect

CASES = Cases()

# Around the sizes at which SDKs frame (64 KiB, 1 MiB) and at which a server may store differently.
SIZES = [1, 2, 1000, 4095, 4096, 4097, 16 * 1024 - 1, 16 * 1024 + 1, 65535, 65536, 65537, 128 * 1024 + 1, 256 * 1024 + 1, MIB - 1, MIB,
         MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB + 3]


@CASES.add
def put_head_and_get_agree(c):
    body = random_bytes(300_000)
    key = c.key()
    put = c.s3.put_object(Bucket=c.bucket, Key=key, Body=body)
    expect(put["ETag"], etag(body), "ETag of the PUT")
    head = c.head(key)
    expect((head["ContentLength"], head["ETag"], head["AcceptRanges"]), (len(body), etag(body), "bytes"))
    expect(head["ContentType"], "binary/octet-stream", "default Content-Type")
    expect(head["LastModified"].microsecond, 0)
    got = c.s3.get_object(Bucket=c.bucket, Key=key)
    expect((got["ContentLength"], got["ETag"], got["LastModified"]), (len(body), etag(body), head["LastModified"]))
    assert got["Body"].read() == body


@CASES.add
def an_empty_object_is_an_object(c):
    key = c.put(body=b"")
    expect(c.head(key)["ETag"], etag(b""))
    c.expect_object(key, b"")
    with refused("InvalidRange", 416):
        c.get(key, Range="bytes=0-")


@CASES.add
def an_empty_upload_does_not_disturb_the_next_request_on_its_connection(c):
    # boto3 asks for 100 Continue even with nothing to send. Answered at once on a connection that then stays open, it takes
    # the old status line for the next answer's.
    client = c.client(max_pool_connections=1)
    for _ in range(3):
        client.put_object(Bucket=c.bucket, Key="nothing", Body=b"")
        expect(client.put_object(Bucket=c.bucket, Key="something", Body=b"some")["ETag"], etag(b"some"))
        with refused("PreconditionFailed", 412):
            client.put_object(Bucket=c.bucket, Key="something", Body=b"other", IfNoneMatch="*")
        with refused("NoSuchKey", 404):
            client.get_object(Bucket=c.bucket, Key="missing")
        expect(client.get_object(Bucket=c.bucket, Key="something")["Body"].read(), b"some")


@CASES.add
def sizes_around_every_boundary_come_back(c):
    for size in SIZES:
        body = random_bytes(size)
        key = c.put(body=body)
        c.expect_object(key, body)


@CASES.add
def an_object_of_70_MiB_comes_back(c):
    body = random_bytes(MIB) * 70 + b"tail"
    key = c.put(body=body)
    c.expect_object(key, body)
    expect(c.get(key, Range=f"bytes={64 * MIB - 5}-{64 * MIB + 4}"), body[64 * MIB - 5:64 * MIB + 5], "range")


@CASES.add
def an_open_file_is_uploaded(c):
    body = random_bytes(3 * MIB + 5)
    path = c.session.path("upload")
    path.write_bytes(body)
    with open(path, "rb") as opened:
        key = c.put(body=opened)
    c.expect_object(key, body)


@CASES.add
def ranges_return_their_bytes(c):
    body = random_bytes(5 * MIB + 123)
    key = c.put(body=body)
    size = len(body)
    wanted = [(f"bytes={a}-{b}", body[a:b + 1]) for a, b in [(0, 0), (5, 9), (0, size - 1), (size - 1, size - 1), (MIB - 1, MIB)]]
    wanted += [("bytes=100-", body[100:]), ("bytes=-10", body[-10:]), (f"bytes=-{size + 5}", body), (f"bytes=7-{size * 2}", body[7:])]
    chance = random.Random(7)
    for _ in range(25):
        first = chance.randrange(size)
        last = min(size - 1, first + chance.randrange(2 * MIB))
        wanted.append((f"bytes={first}-{last}", body[first:last + 1]))
    for asked, piece in wanted:
        got = c.s3.get_object(Bucket=c.bucket, Key=key, Range=asked)
        expect(got["ResponseMetadata"]["HTTPStatusCode"], 206, f"status of {asked}")
        expect(got["ContentLength"], len(piece), f"length of {asked}")
        assert got["Body"].read() == piece, asked
    got = c.s3.get_object(Bucket=c.bucket, Key=key, Range="bytes=5-9")
    expect(got["ContentRange"], f"bytes 5-9/{size}")


@CASES.add
def a_range_beyond_the_end_is_refused_with_the_size(c):
    key = c.put(body=b"0123456789")
    with refused("InvalidRange", 416) as error:
        c.get(key, Range="bytes=10-20")
    expect(error[0]["Error"].get("ActualObjectSize"), "10")


@CASES.add
def head_answers_a_range(c):
    key = c.put(body=b"0123456789")
    head = c.head(key, Range="bytes=2-4")
    expect((head["ContentLength"], head["ResponseMetadata"]["HTTPStatusCode"]), (3, 206))


@CASES.add
def an_overwrite_replaces_bytes_and_metadata(c):
    key = c.put(body=b"old", Metadata={"a": "1"}, ContentType="text/old")
    c.put(key, body=b"new")
    c.expect_object(key, b"new")
    head = c.head(key)
    expect((head["Metadata"], head["ContentType"]), ({}, "binary/octet-stream"))


@CASES.add
def a_deleted_object_is_gone_and_may_be_deleted_again(c):
    key = c.put()
    for _ in range(2):
        deleted = c.s3.delete_object(Bucket=c.bucket, Key=key)
        expect(deleted["ResponseMetadata"]["HTTPStatusCode"], 204)
    with refused("NoSuchKey", 404):
        c.get(key)
    assert not c.exists(key)


@CASES.add
def two_hundred_objects_by_sixteen_threads_come_back(c):
    bodies = {c.key("thread"): random_bytes(random.randrange(200_000)) for _ in range(200)}
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda item: c.put(item[0], item[1]), bodies.items()))
        list(threads.map(lambda item: c.expect_object(*item), bodies.items()))
    listed = c.s3.list_objects_v2(Bucket=c.bucket, Prefix="thread")["Contents"]
    expect({found["Key"]: (found["Size"], found["ETag"]) for found in listed},
           {key: (len(body), etag(body)) for key, body in bodies.items()}, "listing")


@CASES.add
def readers_of_an_object_being_overwritten_see_one_version_whole(c):
    key = c.key("torn")
    bodies = [bytes([letter]) * (700_000 + letter) for letter in b"abcd"]
    c.put(key, bodies[0])

    def write(number):
        c.put(key, bodies[number % len(bodies)])

    def read(_):
        assert c.get(key) in bodies, "a mixture was read"

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        work = [threads.submit(write if number % 2 else read, number) for number in range(60)]
        for done in work:
            done.result()


@CASES.add
def what_one_gateway_stored_another_returns(c):
    for number, endpoint in enumerate(c.target.endpoints):
        body = random_bytes(400_000 + number)
        key = c.key("gateways")
        c.client(endpoint=endpoint).put_object(Bucket=c.bucket, Key=key, Body=body)
        for other in c.target.endpoints:
            assert c.client(endpoint=other).get_object(Bucket=c.bucket, Key=key)["Body"].read() == body
