"""Errors that clients branch on, and what every answer carries."""

import botocore
import botocore.exceptions

from boto3_cases.context import Cases, refused, status_of
from report import expect

CASES = Cases()


@CASES.add
def what_is_not_there(c):
    missing = c.session.bucket_name("missing")
    with refused("NoSuchKey", 404) as error:
        c.get("missing")
    expect(error[0]["Error"].get("Key"), "missing", "Key")
    with refused("404", 404):
        c.head("missing")
    for attempt in (lambda: c.get("k", Bucket=missing), lambda: c.put("k", Bucket=missing),
                    lambda: c.s3.list_objects_v2(Bucket=missing), lambda: c.s3.list_objects(Bucket=missing),
                    lambda: c.s3.list_object_versions(Bucket=missing), lambda: c.s3.delete_bucket(Bucket=missing),
                    lambda: c.s3.delete_object(Bucket=missing, Key="k"), lambda: c.s3.get_bucket_location(Bucket=missing),
                    lambda: c.s3.get_bucket_versioning(Bucket=missing), lambda: c.s3.list_multipart_uploads(Bucket=missing),
                    lambda: c.s3.create_multipart_upload(Bucket=missing, Key="k")):
        with refused("NoSuchBucket", 404) as error:
            attempt()
        expect(error[0]["Error"].get("BucketName"), missing, "BucketName")
    with refused("404", 404):
        c.s3.head_bucket(Bucket=missing)
    with refused("NoSuchUpload", 404):
        c.s3.upload_part(Bucket=c.bucket, Key="k", UploadId="no-such-upload", PartNumber=1, Body=b"x")
    with refused("NoSuchUpload", 404):
        c.s3.abort_multipart_upload(Bucket=c.bucket, Key="k", UploadId="no-such-upload")


@CASES.add
def making_ones_own_bucket_again_changes_nothing(c):
    # S3 API Reference, CreateBucket: everywhere but in us-east-1 this is BucketAlreadyOwnedByYou.
    key = c.put()
    c.s3.create_bucket(Bucket=c.bucket)
    c.expect_object(key, b"body")


@CASES.add
def a_bucket_that_is_not_empty_is_not_deleted(c):
    c.put()
    with refused("BucketNotEmpty", 409):
        c.s3.delete_bucket(Bucket=c.bucket)


@CASES.add
def names_of_buckets_have_rules(c):
    client = c.client()
    client.meta.events.unregister("before-parameter-build.s3", botocore.handlers.validate_bucket_name)
    for name in ("ab", "Upper", "under_score", "a" * 64, "-start", "end-", "two..dots", "127.0.0.1"):
        with refused("InvalidBucketName", 400):
            client.create_bucket(Bucket=name)


@CASES.add
def a_bucket_is_in_its_region(c):
    expect(c.s3.get_bucket_location(Bucket=c.bucket)["LocationConstraint"], None)
    expect(c.s3.head_bucket(Bucket=c.bucket).get("BucketRegion"), "us-east-1")


@CASES.add
def who_is_not_who_he_says_is_refused(c):
    with refused("InvalidAccessKeyId", 403):
        c.client(access_key="nobody-at-all").list_buckets()
    with refused("SignatureDoesNotMatch", 403):
        c.client(secret_key="not-the-secret").list_buckets()
    anonymous = c.client(signature_version=botocore.UNSIGNED)
    for attempt in (anonymous.list_buckets, lambda: anonymous.list_objects_v2(Bucket=c.bucket),
                    lambda: anonymous.get_object(Bucket=c.bucket, Key="k"),
                    lambda: anonymous.put_object(Bucket=c.bucket, Key="anonymous", Body=b"x")):
        with refused("AccessDenied", 403):
            attempt()
    assert not c.exists("anonymous")


@CASES.add
def every_answer_has_a_request_id(c):
    ids = {c.s3.list_buckets()["ResponseMetadata"]["RequestId"] for _ in range(3)}
    assert len(ids) == 3 and all(ids), ids
    try:
        c.get("missing")
    except botocore.exceptions.ClientError as error:
        expect(status_of(error), 404)
        headers = error.response["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-amz-request-id"], headers
        expect(headers["content-type"], "application/xml")


@CASES.add
def an_operation_that_is_not_offered_is_refused(c):
    key = c.put()
    with refused("NotImplemented", 501):
        c.s3.get_object_torrent(Bucket=c.bucket, Key=key)
