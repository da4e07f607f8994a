"""Objects that were written, and whether the cluster still gives them back."""

import concurrent.futures
import dataclasses
import hashlib
import http.client
import random
import time

import boto3
import botocore.exceptions
from botocore.config import Config

from report import expect

BUCKET = "compose"
# Longest time for any answer. Nothing may hang, whatever is down.
ANSWER_SECONDS = 20
READERS = 6

KIB, MIB = 2**10, 2**20
# By docker-compose.yml: kept in the database up to 1 KiB, as three copies up to 64 KiB, in stripes of 256 KiB beyond,
# in chunks of 64 MiB. Sizes on both sides of each limit.
INLINE_MAX, WHOLE_MAX, STRIPE, CHUNK = KIB, 64 * KIB, 256 * KIB, 64 * MIB
SIZES = [0, 1, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, 4097, WHOLE_MAX - 1, WHOLE_MAX, WHOLE_MAX + 1, STRIPE - 1, STRIPE, STRIPE + 1,
         MIB, 5 * MIB + 3, 17 * MIB + 11, CHUNK + STRIPE + 7]
UNCUT_SIZES = [0, 700, INLINE_MAX, INLINE_MAX + 1, 40_000, WHOLE_MAX]
CUT_SIZES = [WHOLE_MAX + 1, 300_000, 2 * MIB + 1, 9 * MIB]


@dataclasses.dataclass(frozen=True)
class Content:
    """What a key must hold."""

    size: int
    digest: str
    etag: str


def make_client(cluster, endpoint, attempts=1, connections=16):
    """A client that by itself makes so many attempts at a request: as a rule it never repeats one."""
    config = Config(retries={"total_max_attempts": attempts}, connect_timeout=5, read_timeout=ANSWER_SECONDS, max_pool_connections=connections,
                    signature_version="s3v4", s3={"addressing_style": "path"}, proxies={})
    return boto3.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config,
                                  aws_access_key_id=cluster.access_key, aws_secret_access_key=cluster.secret_key)


def body_of(key, size):
    """A key's bytes, the same whenever they are made."""
    return random.Random(key).randbytes(size)


class Objects:
    """What was acknowledged under one prefix."""

    def __init__(self, clients, prefix):
        self.clients = clients
        self.prefix = prefix
        self.contents = {}

    def put(self, number, name, size):
        """Writes an object through gateway `number`; it is remembered once it is acknowledged."""
        key = f"{self.prefix}/{name}"
        body = body_of(key, size)
        answer = self.clients[number].put_object(Bucket=BUCKET, Key=key, Body=body)
        self.remember(key, body, answer["ETag"])
        expect(answer["ETag"].strip('"'), hashlib.md5(body).hexdigest(), f"ETag of {key}")

    def put_sizes(self, sizes, numbers=(0,)):
        """Writes one object of each size, through the gateways in turn. Answers the longest time that one took."""
        slowest = 0.0
        for place, size in enumerate(sizes):
            began = time.monotonic()
            self.put(numbers[place % len(numbers)], f"size-{size}", size)
            slowest = max(slowest, time.monotonic() - began)
        return slowest

    def put_many(self, numbers, count, seed):
        """Writes many small objects at the same time, so that every placement group of the disks gets some."""
        chance = random.Random(seed)
        sizes = [int(2 ** chance.uniform(0, 18)) for _ in range(count)]
        with concurrent.futures.ThreadPoolExecutor(READERS) as threads:
            list(threads.map(lambda each: self.put(numbers[each[0] % len(numbers)], f"many-{each[0]:04}", each[1]), enumerate(sizes)))

    def put_multipart(self, number, name, part_sizes):
        """Writes an object in parts."""
        key, s3 = f"{self.prefix}/{name}", self.clients[number]
        body = body_of(key, sum(part_sizes))
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        parts, first = [], 0
        for part, size in enumerate(part_sizes, 1):
            done = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=part, Body=body[first:first + size])
            parts.append({"PartNumber": part, "ETag": done["ETag"]})
            first += size
        done = s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        self.remember(key, body, done["ETag"])

    def remember(self, key, body, etag):
        """From now on the key must hold this."""
        self.contents[key] = Content(len(body), hashlib.sha256(body).hexdigest(), etag)

    def compare(self, numbers=(0, 1)):
        """Reads every object through each of the gateways; fails when one is not there or differs."""
        reads = [(number, key) for key in self.contents for number in numbers]
        with concurrent.futures.ThreadPoolExecutor(READERS) as threads:
            found = [problem for problem in threads.map(lambda read: self.problem_of(*read), reads) if problem]
        if found:
            raise AssertionError(f"{len(found)} of {len(reads)} reads went wrong:\n" + "\n".join(found[:10]))
        return len(reads)

    def problem_of(self, number, key):
        """What is wrong with an object as gateway `number` gives it back, or None."""
        wanted = self.contents[key]
        where = f"{key} through gateway {number + 1}"
        try:
            answer = self.clients[number].get_object(Bucket=BUCKET, Key=key)
            body = answer["Body"].read()
            found = Content(len(body), hashlib.sha256(body).hexdigest(), answer["ETag"])
            if found != wanted:
                return f"{where}: {found}, wanted {wanted}"
            if wanted.size > MIB:
                return self.problem_of_range(number, key, body)
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError, OSError) as error:
            return f"{where}: {type(error).__name__}: {error}"
        return None

    def problem_of_range(self, number, key, body):
        """What is wrong with a range across a stripe's end."""
        first, last = STRIPE - 1000, STRIPE + 999
        answer = self.clients[number].get_object(Bucket=BUCKET, Key=key, Range=f"bytes={first}-{last}")
        if answer["Body"].read() != body[first:last + 1]:
            return f"{key} through gateway {number + 1}: bytes {first} to {last} differ"
        return None

    def compare_listing(self, number):
        """Exactly the objects written are listed, with their sizes."""
        pages = self.clients[number].get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{self.prefix}/",
                                                                               PaginationConfig={"PageSize": 100})
        listed = {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}
        expect(listed, {key: content.size for key, content in self.contents.items()}, f"listing through gateway {number + 1}")


class Upload:
    """A PUT of which only half is sent, until it is finished."""

    def __init__(self, objects, number, name, size):
        self.objects = objects
        self.key = f"{objects.prefix}/{name}"
        self.body = body_of(self.key, size)
        s3 = objects.clients[number]
        url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": self.key})
        server, _, path = url.removeprefix("http://").partition("/")
        self.connection = http.client.HTTPConnection(server, timeout=ANSWER_SECONDS)
        self.connection.putrequest("PUT", f"/{path}")
        self.connection.putheader("Content-Length", str(size))
        self.connection.endheaders()
        self.connection.send(self.body[:size // 2])

    def finish(self):
        """Sends the other half; the object is remembered when the answer is 200."""
        self.connection.send(self.body[len(self.body) // 2:])
        answer = self.connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        self.connection.close()
        expect(answer.status, 200, f"status of the upload ({text})")
        self.objects.remember(self.key, self.body, answer.headers["ETag"])


def expect_unavailable(what, call):
    """Makes a call that must be answered with 503, in time. Answers how long it took."""
    began = time.monotonic()
    try:
        call()
    except botocore.exceptions.ClientError as error:
        status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        took = time.monotonic() - began
        # A HEAD's answer has no body to read a code from.
        if status != 503 or code not in ("SlowDown", "ServiceUnavailable", "503"):
            raise AssertionError(f"{what}: {status} {code}, wanted 503") from None
        if took > ANSWER_SECONDS:
            raise AssertionError(f"{what}: answered after {took:.1f} s, which is too late") from None
        return took
    raise AssertionError(f"{what}: succeeded, wanted 503")


def until_served(seconds, call):
    """Makes a call again and again until it succeeds; until then only 503 is a right answer. Answers how often it was refused
    and for how long."""
    began = time.monotonic()
    refused = 0
    while True:
        try:
            call()
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                raise
            refused += 1
        else:
            return refused, time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"still refused after {seconds} s and {refused} attempts")
        time.sleep(0.2)
