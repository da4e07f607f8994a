"""AWS's common runtime, whose S3 client is written in C, under s3transfer: what aws-cli does with `preferred_transfer_client = crt`."""

import contextlib
import io
import threading

import botocore.exceptions
import botocore.session
from awscrt.auth import AwsCredentialsProvider
from s3transfer.crt import BotocoreCRTRequestSerializer, CRTTransferManager, create_s3_crt_client

from boto3_cases.context import MIB, Context, random_bytes
from files import hash_file, write_random
from report import expect

PART = 8 * MIB
SMALL = 50


def run(session):
    """Uploads and downloads, one by one and many at once."""
    bucket = Context(session, "crt")
    bucket.create()
    with manager(session) as transfers:
        whole(bucket, transfers)
        ranges_and_conditions(bucket, transfers)
        with session.case(f"{SMALL} uploads and downloads at once"):
            bodies = {f"small/{number}": random_bytes(number * 1500 + 1) for number in range(SMALL)}
            finish([transfers.upload(io.BytesIO(body), bucket.bucket, key) for key, body in bodies.items()])
            back = {key: session.path(key.replace("/", "-")) for key in bodies}
            finish([download(transfers, bucket.bucket, key, path) for key, path in back.items()])
            assert {key: path.read_bytes() for key, path in back.items()} == bodies, "other bytes"
        with session.case("deletes"):
            finish([transfers.delete(bucket.bucket, key) for key in bodies])
            expect(bucket.s3.list_objects_v2(Bucket=bucket.bucket, Prefix="small/")["KeyCount"], 0, "keys")
    with session.case("no upload is left unfinished"):
        expect(bucket.s3.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads", []), [], "uploads")
    with session.case("the bucket can be emptied and deleted"):
        bucket.remove()


@contextlib.contextmanager
def manager(session):
    """A manager of transfers over the runtime's client."""
    target = session.target
    credentials = AwsCredentialsProvider.new_static(target.access_key, target.secret_key)
    client = create_s3_crt_client(target.region, credentials, part_size=PART, use_ssl=target.tls, verify=str(target.ca) if target.ca else None)
    serializer = BotocoreCRTRequestSerializer(botocore.session.Session(), {"region_name": target.region, "endpoint_url": target.endpoint})
    transfers = CRTTransferManager(client, serializer)
    try:
        yield transfers
    finally:
        transfers.shutdown()


class Done:
    """Told of a transfer's end. Its result is there before, when the file of a download may have another name yet."""

    def __init__(self):
        self.event = threading.Event()

    def on_done(self, **_):
        """Says that the file is in its place."""
        self.event.set()


class Download:
    """A download into a file."""

    def __init__(self, future, done):
        self.future = future
        self.done = done

    def result(self):
        """Waits until the file is there; fails as the transfer did."""
        self.future.result()
        assert self.done.event.wait(60), "the transfer does not end"


def download(transfers, bucket, key, path, **arguments):
    """Begins a download."""
    done = Done()
    return Download(transfers.download(bucket, key, str(path), extra_args=arguments, subscribers=[done]), done)


def finish(futures):
    """Waits for all of them; fails as the first that failed."""
    for future in futures:
        future.result()


def whole(bucket, transfers):
    """Objects in one piece and in parts, from files and from streams."""
    session = bucket.session
    for name, size in (("one", 3 * MIB + 7), ("parts", 5 * PART + 12_345), ("nothing", 0)):
        path, back = session.path(name), session.path(f"{name}.down")
        with session.case(f"a file of {size:,} bytes, there and back"):
            wanted = write_random(path, size)
            transfers.upload(str(path), bucket.bucket, name).result()
            download(transfers, bucket.bucket, name, back).result()
            expect(hash_file(back), wanted, "SHA-256")
            head = bucket.head(name)
            expect((head["ContentLength"], "-" in head["ETag"]), (size, size > PART), "size, and whether it has parts")
    with session.case("a stream of 20 MiB, into a stream"):
        body = random_bytes(20 * MIB + 3)
        transfers.upload(io.BytesIO(body), bucket.bucket, "stream").result()
        got = io.BytesIO()
        transfers.download(bucket.bucket, "stream", got).result()
        assert got.getvalue() == body, "other bytes"
    for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"):
        with session.case(f"a file in parts with {algorithm}, which the object then shows"):
            transfers.upload(str(session.path("parts")), bucket.bucket, algorithm, extra_args={"ChecksumAlgorithm": algorithm}).result()
            head = bucket.head(algorithm, ChecksumMode="ENABLED")
            assert head.get(f"Checksum{algorithm}"), head
            download(transfers, bucket.bucket, algorithm, session.path(f"{algorithm}.down"), ChecksumMode="ENABLED").result()
            expect(hash_file(session.path(f"{algorithm}.down")), hash_file(session.path("parts")), "SHA-256")
    with session.case("metadata, content type and class of an upload in parts"):
        transfers.upload(str(session.path("parts")), bucket.bucket, "described", extra_args={
            "Metadata": {"colour": "blue"}, "ContentType": "text/x-test", "StorageClass": "STANDARD"}).result()
        head = bucket.head("described")
        expect((head["Metadata"], head["ContentType"]), ({"colour": "blue"}, "text/x-test"))


def ranges_and_conditions(bucket, transfers):
    """What the runtime's single requests answer."""
    session = bucket.session
    with session.case("an object that is replaced keeps one of its bodies whole under parallel readers"):
        bodies = [random_bytes(2 * PART + number) for number in range(3)]
        transfers.upload(io.BytesIO(bodies[0]), bucket.bucket, "replaced").result()
        writers = [transfers.upload(io.BytesIO(body), bucket.bucket, "replaced") for body in bodies]
        readers = [(got := io.BytesIO(), transfers.download(bucket.bucket, "replaced", got)) for _ in range(6)]
        finish(writers)
        for got, future in readers:
            # Later ranges ask for the entity tag of the first: a reader gets one body, or is told that it changed.
            try:
                future.result()
            except botocore.exceptions.ClientError as error:
                expect(error.response["Error"]["Code"], "PreconditionFailed")
            else:
                assert got.getvalue() in bodies, "a mixture of bodies"
    for what, code, ask in (
        # It asks for the size by a HEAD, whose answer has no body.
        ("a missing key", "404", lambda: transfers.download(bucket.bucket, "missing", io.BytesIO())),
        ("a missing bucket", "NoSuchBucket", lambda: transfers.upload(io.BytesIO(b"lost"), f"{bucket.bucket}-none", "key")),
    ):
        with session.case(f"{what} is {code}"):
            try:
                ask().result()
            except botocore.exceptions.ClientError as error:
                expect(error.response["Error"]["Code"], code)
            else:
                raise AssertionError("was answered")
