"""Clients that go through their plans while the server comes and goes."""

import collections
import threading
import time

import boto3
import botocore.exceptions
from botocore.config import Config

from history import ABSENT, History, body_of, content_of

PART = 5 * 2**20
BUCKET = "kill"


def make_client(target):
    """A client that never repeats a request by itself, so that an acknowledgement is known for what it is."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, max_pool_connections=4,
                    signature_version="s3v4", s3={"addressing_style": "path"})
    return boto3.Session().client("s3", endpoint_url=target.endpoint, region_name=target.region, config=config,
                                  aws_access_key_id=target.access_key, aws_secret_access_key=target.secret_key)


class Progress:
    """How far all clients are; the killer waits on it."""

    def __init__(self):
        self.changed = threading.Condition()
        self.acknowledged = 0
        self.unanswered = 0
        self.refused = collections.Counter()
        self.broken = None

    def acknowledge(self):
        """Counts an operation that the server answered with success."""
        with self.changed:
            self.acknowledged += 1
            self.changed.notify_all()

    def wait_for(self, count):
        """Waits until so many operations are acknowledged, or a client broke."""
        with self.changed:
            self.changed.wait_for(lambda: self.acknowledged >= count or self.broken, timeout=180)
            if self.acknowledged < count:
                raise RuntimeError(f"{self.acknowledged} operations acknowledged, {count} awaited: {self.broken or 'no progress'}")


class Writer(threading.Thread):
    """One client with its keys."""

    def __init__(self, target, plan, seed, progress, problems):
        super().__init__(daemon=True)
        self.s3 = make_client(target)
        self.plan = plan
        self.seed = seed
        self.progress = progress
        self.attempts = 0
        self.histories = {}
        self.problems = problems

    def run(self):
        try:
            for operation in self.plan:
                history = self.histories.setdefault(operation.key, History(operation.key))
                while not self.attempt(operation, history):
                    self.look(history)
        except Exception as error:
            with self.progress.changed:
                self.progress.broken = f"{type(error).__name__}: {error}"
                self.progress.changed.notify_all()

    def look(self, history):
        """Reads a key whose last operation was not answered, as soon as the server is back: it happened whole or not at all."""
        while True:
            time.sleep(0.02)
            try:
                found = read(self.s3, history.key)
            except botocore.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                    raise
            except (botocore.exceptions.BotoCoreError, OSError):
                pass
            else:
                problem = history.judge(found)
                if problem:
                    self.problems[problem].append(f"after an unanswered request: {history.key!r} holds {found}, possible {history.possible}")
                history.settle(found)
                return

    def attempt(self, operation, history):
        """Tries once; whether it was acknowledged."""
        self.attempts += 1
        if operation.kind == "delete":
            body, content = b"", ABSENT
        else:
            body, content = body_of(self.seed, operation.key, self.attempts, operation.size)
        history.try_content(content)
        try:
            self.send(operation, body)
        except botocore.exceptions.ClientError as error:
            # While it starts a server may ask to be tried again; any other refusal is a fault of it or of this test.
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = error.response["Error"]["Code"]
            with self.progress.changed:
                self.progress.refused[f"{status} {code}"] += 1
            if status != 503:
                raise
            return False
        except (botocore.exceptions.BotoCoreError, OSError):
            with self.progress.changed:
                self.progress.unanswered += 1
            return False
        history.acknowledge(content)
        self.progress.acknowledge()
        return True

    def send(self, operation, body):
        """One request, or several for a multipart upload."""
        place = {"Bucket": BUCKET, "Key": operation.key}
        if operation.kind == "delete":
            self.s3.delete_object(**place)
        elif operation.kind == "put":
            self.s3.put_object(**place, Body=body)
        else:
            upload = self.s3.create_multipart_upload(**place)["UploadId"]
            parts = []
            for number, first in enumerate(range(0, len(body), PART), 1):
                done = self.s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body[first:first + PART])
                parts.append({"PartNumber": number, "ETag": done["ETag"]})
            self.s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})


def read(s3, key):
    """What a key holds."""
    try:
        return content_of(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return ABSENT
