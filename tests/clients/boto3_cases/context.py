"""What every case is given: clients, a bucket, and a few checks."""

import contextlib
import hashlib
import itertools
import os

import boto3
import botocore.exceptions
from botocore.config import Config

from report import expect

MIB = 2**20


class Cases(list):
    """The cases of one file. `@CASES.add` puts a function on the list."""

    def add(self, function):
        """Adds a case; its name is the fact that it shows."""
        self.append(function)
        return function


class Context:
    """Clients for one target, and a bucket."""

    def __init__(self, session, hint):
        self.session = session
        self.target = session.target
        self.s3 = self.client()
        self.bucket = session.bucket_name(hint.replace("_", "-"))
        self.other_buckets = []
        self._numbers = itertools.count(1)

    def client(self, *, access_key=None, secret_key=None, endpoint=None, s3=None, **config):
        """A client without retries, so that no failure is papered over."""
        config = {"signature_version": "s3v4", "retries": {"total_max_attempts": 1}, "read_timeout": 60,
                  "max_pool_connections": 32} | config
        return boto3.Session().client(
            "s3",
            endpoint_url=endpoint or self.target.endpoint,
            region_name=self.target.region,
            aws_access_key_id=access_key or self.target.access_key,
            aws_secret_access_key=secret_key or self.target.secret_key,
            verify=str(self.target.ca) if self.target.ca else None,
            config=Config(s3={"addressing_style": "path"} | (s3 or {}), **config),
        )

    def create(self):
        """Makes the bucket."""
        self.s3.create_bucket(Bucket=self.bucket)

    def another_bucket(self, versioned=False):
        """Makes one more bucket, which `remove` takes away too."""
        name = self.session.bucket_name("more")
        self.s3.create_bucket(Bucket=name)
        self.other_buckets.append(name)
        if versioned:
            self.set_versioning(name, "Enabled")
        return name

    def set_versioning(self, bucket, status):
        """Switches versioning on or suspends it."""
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    def key(self, hint="key"):
        """A key that no other case uses."""
        return f"{hint}-{next(self._numbers):04}"

    def put(self, key=None, body=b"body", **more):
        """Stores an object and returns its key."""
        key = key or self.key()
        self.s3.put_object(**{"Bucket": self.bucket, "Key": key, "Body": body} | more)
        return key

    def get(self, key, **more):
        """An object's bytes."""
        return self.s3.get_object(**{"Bucket": self.bucket, "Key": key} | more)["Body"].read()

    def head(self, key, **more):
        """An object's headers."""
        return self.s3.head_object(**{"Bucket": self.bucket, "Key": key} | more)

    def exists(self, key):
        """Whether a HEAD finds the key."""
        try:
            self.head(key)
        except botocore.exceptions.ClientError as error:
            expect(status_of(error), 404, "status")
            return False
        return True

    def expect_object(self, key, body, **more):
        """Fails unless the object holds these bytes."""
        stored = self.get(key, **more)
        if stored != body:
            raise AssertionError(f"{key!r} holds {len(stored)} bytes with MD5 {md5(stored)}, wanted {len(body)} with {md5(body)}")

    def remove(self):
        """Empties and deletes the buckets."""
        for bucket in [self.bucket, *self.other_buckets]:
            for page in self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
                for upload in page.get("Uploads", []):
                    self.s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found = page.get("Versions", []) + page.get("DeleteMarkers", [])
                named = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
                for each in named:
                    if not fits_xml(each["Key"]):
                        self.s3.delete_object(Bucket=bucket, **each)
                together = [each for each in named if fits_xml(each["Key"])]
                if together:
                    deleted = self.s3.delete_objects(Bucket=bucket, Delete={"Objects": together, "Quiet": True})
                    expect(deleted.get("Errors", []), [], "errors of DeleteObjects")
            self.s3.delete_bucket(Bucket=bucket)


def fits_xml(text):
    """Whether XML 1.0 can hold every character, so that DeleteObjects can name the key."""
    return all(char in "\t\n\r" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000" for char in text)


def random_bytes(size):
    """Bytes that nothing else stored."""
    return os.urandom(size)


def md5(body):
    """MD5 as hex."""
    return hashlib.md5(body).hexdigest()


def etag(body):
    """The ETag of an object stored in one piece, quoted."""
    return f'"{md5(body)}"'


def status_of(error):
    """HTTP status of a client error."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


@contextlib.contextmanager
def refused(code, status=None):
    """Fails unless the block ends in the S3 error `code`; several codes may be given as a tuple. Yields a list that then
    holds the error's response."""
    caught = []
    try:
        yield caught
    except botocore.exceptions.ClientError as error:
        caught.append(error.response)
        codes = (code,) if isinstance(code, str) else code
        if error.response["Error"]["Code"] not in codes:
            raise AssertionError(f"got {error.response['Error']}, wanted {code}") from error
        if status is not None:
            expect(status_of(error), status, f"status of {code}")
    else:
        raise AssertionError(f"was accepted, wanted {code}")
