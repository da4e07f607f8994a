"""Clients: writers that go on whatever happens, and a picture of all that an account has."""

import hashlib
import json
import random
import threading

import boto3
import botocore.exceptions
from botocore.config import Config

MIB = 2**20
#: In the database itself, as whole copies, and in shards.
SIZES = (300, 20_000, 300_000)


def client(target, name="s3", key=None):
    """A client that repeats nothing by itself."""
    key = key or (target.access_key, target.secret_key)
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, signature_version="s3v4" if name == "s3" else None,
                    s3={"addressing_style": "path"})
    return boto3.Session().client(name, endpoint_url=target.endpoint, region_name=target.region, config=config,
                                  aws_access_key_id=key[0], aws_secret_access_key=key[1])


def body(key, size):
    """The bytes of a key, the same whenever they are asked for."""
    return random.Random(key).randbytes(size)


def digest(data):
    """What bytes are compared by."""
    return hashlib.sha256(data).hexdigest()


class Writers:
    """Clients that write keys of their own, each key once, until they are told to stop."""

    def __init__(self, target, bucket, prefix, count=4):
        self.changed = threading.Condition()
        self.acknowledged = {}
        self.stopping = False
        self.broken = None
        self.threads = [threading.Thread(target=self._write, args=(client(target), bucket, f"{prefix}{number}"), daemon=True)
                        for number in range(count)]
        for thread in self.threads:
            thread.start()

    def _write(self, s3, bucket, prefix):
        try:
            number = 0
            while not self.stopping:
                key, size = f"{prefix}/{number:05}", SIZES[number % len(SIZES)]
                s3.put_object(Bucket=bucket, Key=key, Body=body(key, size))
                with self.changed:
                    self.acknowledged[key] = size
                    self.changed.notify_all()
                number += 1
        except Exception as error:
            with self.changed:
                self.broken = error
                self.changed.notify_all()

    def wait_for(self, count):
        """Waits until so many writes were acknowledged, and returns those that were."""
        with self.changed:
            self.changed.wait_for(lambda: self.broken or len(self.acknowledged) >= count, timeout=120)
            if self.broken or len(self.acknowledged) < count:
                raise RuntimeError(f"{len(self.acknowledged)} writes were acknowledged, {count} awaited: {self.broken}")
            return dict(self.acknowledged)

    def more(self, count):
        """Waits for more writes than there are now."""
        with self.changed:
            now = len(self.acknowledged)
        return self.wait_for(now + count)

    def stop(self):
        """Ends them and returns all that was acknowledged."""
        self.stopping = True
        for thread in self.threads:
            thread.join(60)
        if self.broken:
            raise RuntimeError(f"a writer broke: {self.broken}")
        return dict(self.acknowledged)


def read(s3, bucket, key):
    """An object's bytes, or None where there is none."""
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except botocore.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise


def furnish(target, bucket):
    """Something of everything in a new bucket. Returns a user's key and the open upload."""
    s3, iam = client(target), client(target, "iam")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        for size in SIZES:
            s3.put_object(Bucket=bucket, Key=f"versions/{size}", Body=body(f"{number}", size), Metadata={"number": str(number)})
    s3.delete_object(Bucket=bucket, Key=f"versions/{SIZES[0]}")
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"tagged", Tagging="colour=blue&of=stone")
    s3.put_object(Bucket=bucket, Key="sealed", Body=body("sealed", 400_000), ServerSideEncryption="AES256")
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": f"versions/{SIZES[2]}"})
    for key, is_open in (("whole", False), ("open", True)):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        named = {"Bucket": bucket, "Key": key, "UploadId": upload}
        parts = [{"PartNumber": number, "ETag": s3.upload_part(**named, PartNumber=number, Body=body(f"{key}{number}", size))["ETag"]}
                 for number, size in ((1, 5 * MIB), (2, 70_000))]
        if not is_open:
            s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "purpose", "Value": "drill"}]})
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    name = f"reader-{bucket}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/tagged"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denied]}))
    return (made["AccessKeyId"], made["SecretAccessKey"]), {"named": named, "parts": parts}


def picture(target, bucket, user):
    """All that can be seen of a bucket and its account, to be compared."""
    s3, iam = client(target), client(target, "iam")
    seen = {"versions": [], "markers": []}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in page.get("Versions", []):
            named = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
            head = s3.head_object(**named)
            tags = s3.get_object_tagging(**named)["TagSet"]
            denied = each["Key"] == "tagged"
            data = None if denied else digest(s3.get_object(**named)["Body"].read())
            seen["versions"].append((each["Key"], each["VersionId"], each["ETag"], each["Size"], each["IsLatest"], each["LastModified"],
                                     head.get("ServerSideEncryption"), head["Metadata"], head.get("PartsCount"), tags, data))
        seen["markers"] += [(each["Key"], each["VersionId"], each["IsLatest"]) for each in page.get("DeleteMarkers", [])]
    uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    for upload in uploads:
        parts = s3.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])["Parts"]
        seen.setdefault("uploads", []).append((upload["Key"], upload["UploadId"], [(part["PartNumber"], part["ETag"]) for part in parts]))
    seen["policy"] = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    seen["tags"] = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    seen["encryption"] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    seen["versioning"] = s3.get_bucket_versioning(Bucket=bucket)["Status"]
    seen["buckets"] = [(each["Name"], each["CreationDate"]) for each in s3.list_buckets()["Buckets"]]
    seen["users"] = [(each["UserName"], each["UserId"]) for each in iam.list_users()["Users"]]
    his = client(target, key=user)
    seen["user reads"] = digest(his.get_object(Bucket=bucket, Key="sealed")["Body"].read())
    for action in (lambda: his.get_object(Bucket=bucket, Key="tagged"), lambda: his.put_object(Bucket=bucket, Key="no", Body=b"")):
        try:
            action()
            seen["user may"] = "too much"
        except botocore.exceptions.ClientError as error:
            seen.setdefault("user is refused", []).append(error.response["Error"]["Code"])
    return seen
