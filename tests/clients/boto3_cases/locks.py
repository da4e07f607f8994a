"""Object lock: what backup tools keep their copies safe by. Nothing is locked in compliance mode for longer than seconds,
so that the buckets can be emptied again."""

import datetime
import time

from boto3_cases.context import Cases, refused
from report import expect

CASES = Cases()


def locking_bucket(c):
    """A bucket with object lock, which `remove` takes away once nothing in it is locked."""
    name = c.session.bucket_name("locking")
    c.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    c.other_buckets.append(name)
    return name


def soon(**more):
    """A time to come, in whole seconds."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(**more)


@CASES.add
def a_bucket_made_with_object_lock_has_versioning(c):
    bucket = locking_bucket(c)
    expect(c.s3.get_bucket_versioning(Bucket=bucket)["Status"], "Enabled")
    expect(c.s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"], {"ObjectLockEnabled": "Enabled"})
    with refused("InvalidBucketState", 409):
        c.set_versioning(bucket, "Suspended")
    with refused("ObjectLockConfigurationNotFoundError", 404):
        c.s3.get_object_lock_configuration(Bucket=c.bucket)


@CASES.add
def governance_is_bypassed_only_on_purpose(c):
    bucket = locking_bucket(c)
    until = soon(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    version = c.s3.put_object(Bucket=bucket, Key="k", Body=b"x", **lock)["VersionId"]
    head = c.head("k", Bucket=bucket)
    expect((head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]), ("GOVERNANCE", until))
    expect(c.s3.get_object_retention(Bucket=bucket, Key="k")["Retention"], {"Mode": "GOVERNANCE", "RetainUntilDate": until})
    with refused("AccessDenied", 403):
        c.s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    named = {"Objects": [{"Key": "k", "VersionId": version}]}
    answer = c.s3.delete_objects(Bucket=bucket, Delete=named)
    expect([error["Code"] for error in answer["Errors"]], ["AccessDenied"])
    longer = {"Mode": "GOVERNANCE", "RetainUntilDate": soon(days=2)}
    c.s3.put_object_retention(Bucket=bucket, Key="k", Retention=longer)
    with refused("AccessDenied", 403):
        c.s3.put_object_retention(Bucket=bucket, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    c.s3.delete_objects(Bucket=bucket, Delete=named, BypassGovernanceRetention=True)
    with refused("NoSuchVersion", 404):
        c.s3.get_object(Bucket=bucket, Key="k", VersionId=version)


@CASES.add
def compliance_is_bypassed_by_nobody_until_its_time(c):
    bucket = locking_bucket(c)
    until = soon(seconds=3)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    version = c.s3.put_object(Bucket=bucket, Key="k", Body=b"x", **lock)["VersionId"]
    with refused("AccessDenied", 403):
        c.s3.delete_object(Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True)
    deadline = time.monotonic() + 60
    while soon() <= until and time.monotonic() < deadline:
        time.sleep(0.2)
    c.s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


@CASES.add
def a_legal_hold_is_let_go(c):
    bucket = locking_bucket(c)
    version = c.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    expect(c.s3.get_object_legal_hold(Bucket=bucket, Key="k")["LegalHold"]["Status"], "ON")
    with refused("AccessDenied", 403):
        c.s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    c.s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "OFF"})
    c.s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


@CASES.add
def the_default_is_for_what_names_no_retention(c):
    bucket = locking_bucket(c)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    c.s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    expect(c.s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["Rule"], rule)
    upload = c.s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = c.s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    versions = {"parts": c.s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)["VersionId"]}
    versions["whole"] = c.s3.put_object(Bucket=bucket, Key="whole", Body=b"x")["VersionId"]
    for key, version in versions.items():
        expect(c.head(key, Bucket=bucket)["ObjectLockMode"], "GOVERNANCE", key)
        c.s3.delete_object(Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True)
