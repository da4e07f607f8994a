"""What buckets and objects have beside their bytes: tags, CORS rules, lifecycle rules."""

import json
import time

import botocore.exceptions
from botocore import UNSIGNED

from boto3_cases.context import Cases, random_bytes, refused
from report import expect

CASES = Cases()


@CASES.add
def tags_of_a_bucket(c):
    with refused("NoSuchTagSet", 404):
        c.s3.get_bucket_tagging(Bucket=c.bucket)
    tags = [{"Key": "team", "Value": "a b"}, {"Key": "stage", "Value": "é"}]
    c.s3.put_bucket_tagging(Bucket=c.bucket, Tagging={"TagSet": tags})
    expect(c.s3.get_bucket_tagging(Bucket=c.bucket)["TagSet"], tags)
    c.s3.delete_bucket_tagging(Bucket=c.bucket)
    with refused("NoSuchTagSet", 404):
        c.s3.get_bucket_tagging(Bucket=c.bucket)


@CASES.add
def tags_of_an_object(c):
    key = c.put(Tagging="a=1&b=x%20y")
    expect(c.head(key)["TagCount"], 2)
    expect(c.s3.get_object_tagging(Bucket=c.bucket, Key=key)["TagSet"], [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}])
    other = [{"Key": "only", "Value": ""}]
    c.s3.put_object_tagging(Bucket=c.bucket, Key=key, Tagging={"TagSet": other})
    copy = c.key("copy")
    c.s3.copy_object(Bucket=c.bucket, Key=copy, CopySource={"Bucket": c.bucket, "Key": key})
    expect(c.s3.get_object_tagging(Bucket=c.bucket, Key=copy)["TagSet"], other)
    c.s3.delete_object_tagging(Bucket=c.bucket, Key=key)
    expect(c.s3.get_object_tagging(Bucket=c.bucket, Key=key)["TagSet"], [])


@CASES.add
def cors_rules(c):
    with refused("NoSuchCORSConfiguration", 404):
        c.s3.get_bucket_cors(Bucket=c.bucket)
    rules = [{"AllowedOrigins": ["https://*.example.com"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"],
              "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}]
    c.s3.put_bucket_cors(Bucket=c.bucket, CORSConfiguration={"CORSRules": rules})
    expect(c.s3.get_bucket_cors(Bucket=c.bucket)["CORSRules"], rules)
    c.s3.delete_bucket_cors(Bucket=c.bucket)


@CASES.add
def bucket_policies(c):
    with refused("NoSuchBucketPolicy", 404):
        c.s3.get_bucket_policy(Bucket=c.bucket)
    anybody = c.client(signature_version=UNSIGNED)
    key = c.put(Body=b"for all")
    with refused("AccessDenied", 403):
        anybody.get_object(Bucket=c.bucket, Key=key)
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"],
                 "Resource": [f"arn:aws:s3:::{c.bucket}", f"arn:aws:s3:::{c.bucket}/*"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    c.s3.put_bucket_policy(Bucket=c.bucket, Policy=policy)
    expect(c.s3.get_bucket_policy(Bucket=c.bucket)["Policy"], policy)
    expect(c.s3.get_bucket_policy_status(Bucket=c.bucket)["PolicyStatus"]["IsPublic"], True)
    expect(anybody.get_object(Bucket=c.bucket, Key=key)["Body"].read(), b"for all")
    assert key in [row["Key"] for row in anybody.list_objects_v2(Bucket=c.bucket)["Contents"]]
    with refused("NoSuchKey", 404):
        anybody.get_object(Bucket=c.bucket, Key=c.key("missing"))
    with refused("AccessDenied", 403):
        anybody.put_object(Bucket=c.bucket, Key=key, Body=b"not by all")
    with refused("MalformedPolicy", 400):
        c.s3.put_bucket_policy(Bucket=c.bucket, Policy=policy.replace("s3:GetObject", "s3:GetObjects"))
    c.s3.delete_bucket_policy(Bucket=c.bucket)
    with refused("AccessDenied", 403):
        anybody.get_object(Bucket=c.bucket, Key=key)


@CASES.add
def lifecycle_rules(c):
    with refused("NoSuchLifecycleConfiguration", 404):
        c.s3.get_bucket_lifecycle_configuration(Bucket=c.bucket)
    rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 7},
              "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}},
             {"ID": "older", "Status": "Disabled", "Filter": {"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}},
              "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 3}}]
    c.s3.put_bucket_lifecycle_configuration(Bucket=c.bucket, LifecycleConfiguration={"Rules": rules})
    expect(c.s3.get_bucket_lifecycle_configuration(Bucket=c.bucket)["Rules"], rules)
    c.s3.delete_bucket_lifecycle(Bucket=c.bucket)


@CASES.add
def lifecycle_transitions(c):
    to_glacier = {"ID": "cold", "Status": "Enabled", "Filter": {"Prefix": "no-such-prefix/"},
                  "Transitions": [{"Days": 90, "StorageClass": "GLACIER"}],
                  "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "NewerNoncurrentVersions": 2, "StorageClass": "GLACIER"}]}
    if c.target.ours:
        # A class that this cluster does not have. What moves where is tested where classes can be defined: tests/s3, transitions.
        with refused("InvalidStorageClass", 400):
            c.s3.put_bucket_lifecycle_configuration(Bucket=c.bucket, LifecycleConfiguration={"Rules": [to_glacier]})
        c.target.define_class("COLD")
        for transition in to_glacier["Transitions"] + to_glacier["NoncurrentVersionTransitions"]:
            transition["StorageClass"] = "COLD"
    put = eventually_put(c, [to_glacier])
    expect(put["TransitionDefaultMinimumObjectSize"], "varies_by_storage_class")
    found = c.s3.get_bucket_lifecycle_configuration(Bucket=c.bucket)
    expect(found["Rules"], [to_glacier])
    expect(found["TransitionDefaultMinimumObjectSize"], "varies_by_storage_class")
    c.s3.delete_bucket_lifecycle(Bucket=c.bucket)
    if c.target.ours:
        body = random_bytes(300_000)
        key = c.put(body=body, StorageClass="COLD")
        expect(c.head(key)["StorageClass"], "COLD")
        c.s3.copy_object(Bucket=c.bucket, Key=key, CopySource={"Bucket": c.bucket, "Key": key}, StorageClass="STANDARD")
        assert "StorageClass" not in c.head(key), c.head(key)
        c.expect_object(key, body)


@CASES.add
def archived_objects_are_restored(c):
    if not c.target.ours:
        # Elsewhere it takes hours.
        return
    c.target.define_class("DEEP_ARCHIVE")
    key = c.key("archived")
    deadline = time.monotonic() + 60
    while True:
        try:
            c.put(key, b"kept for long", StorageClass="DEEP_ARCHIVE")
            break
        except botocore.exceptions.ClientError as error:
            # Gateways hear of a class within seconds.
            assert error.response["Error"]["Code"] == "InvalidStorageClass" and time.monotonic() < deadline, error
            time.sleep(0.2)
    with refused("InvalidObjectState", 403) as answers:
        c.get(key)
    expect(answers[0]["Error"]["StorageClass"], "DEEP_ARCHIVE")
    source = {"Bucket": c.bucket, "Key": key}
    with refused("InvalidObjectState", 403):
        c.s3.copy_object(Bucket=c.bucket, Key=key, CopySource=source, StorageClass="STANDARD")
    assert "Restore" not in c.head(key)
    request = {"Days": 600, "GlacierJobParameters": {"Tier": "Bulk"}}
    answer = c.s3.restore_object(Bucket=c.bucket, Key=key, RestoreRequest=request)
    expect(answer["ResponseMetadata"]["HTTPStatusCode"], 202)
    while 'ongoing-request="false"' not in c.head(key)["Restore"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    c.expect_object(key, b"kept for long")
    expect(c.head(key)["StorageClass"], "DEEP_ARCHIVE")
    row, = c.s3.list_objects_v2(Bucket=c.bucket, Prefix=key, OptionalObjectAttributes=["RestoreStatus"])["Contents"]
    expect(row["RestoreStatus"]["IsRestoreInProgress"], False)
    assert row["RestoreStatus"]["RestoreExpiryDate"] > row["LastModified"], row
    answer = c.s3.restore_object(Bucket=c.bucket, Key=key, RestoreRequest=request)
    expect(answer["ResponseMetadata"]["HTTPStatusCode"], 200)
    with refused("InvalidArgument", 400):
        c.s3.restore_object(Bucket=c.bucket, Key=key, RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}})
    c.s3.copy_object(Bucket=c.bucket, Key=key, CopySource=source, StorageClass="STANDARD")
    assert "Restore" not in c.head(key) and "StorageClass" not in c.head(key)
    c.expect_object(key, b"kept for long")
    with refused("InvalidObjectState", 403):
        c.s3.restore_object(Bucket=c.bucket, Key=key, RestoreRequest=request)


def eventually_put(c, rules):
    """Puts rules about a class that gateways may not have heard of yet."""
    for _ in range(100):
        try:
            return c.s3.put_bucket_lifecycle_configuration(Bucket=c.bucket, LifecycleConfiguration={"Rules": rules},
                                                           TransitionDefaultMinimumObjectSize="varies_by_storage_class")
        except botocore.exceptions.ClientError as error:
            expect(error.response["Error"]["Code"], "InvalidStorageClass")
            time.sleep(0.1)
    raise AssertionError("the class is not known after ten seconds")
