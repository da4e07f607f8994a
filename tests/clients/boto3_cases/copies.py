"""CopyObject: rows, not bytes, but with all that belongs to the object."""

import datetime

from boto3_cases.context import MIB, Cases, etag, random_bytes, refused
from boto3_cases.multipart import begin, complete, part
from report import expect

CASES = Cases()


def copy(c, key, source, bucket=None, **more):
    """Copies within the case's bucket, or from `bucket`."""
    return c.s3.copy_object(Bucket=c.bucket, Key=key, CopySource={"Bucket": bucket or c.bucket, "Key": source}, **more)


@CASES.add
def a_copy_has_the_bytes_and_the_metadata(c):
    body = random_bytes(700_000)
    source = c.put(body=body, Metadata={"a": "1"}, ContentType="text/x", CacheControl="no-cache", ContentLanguage="de")
    key = c.key()
    done = copy(c, key, source)
    expect(done["CopyObjectResult"]["ETag"], etag(body))
    c.expect_object(key, body)
    head = c.head(key)
    expect((head["Metadata"], head["ContentType"], head["CacheControl"], head["ContentLanguage"]),
           ({"a": "1"}, "text/x", "no-cache", "de"))


@CASES.add
def a_copy_survives_its_source(c):
    body = random_bytes(2 * MIB)
    source = c.put(body=body)
    key, again = c.key(), c.key()
    copy(c, key, source)
    c.put(source, b"overwritten")
    copy(c, again, key)
    c.s3.delete_object(Bucket=c.bucket, Key=key)
    c.s3.delete_object(Bucket=c.bucket, Key=source)
    c.expect_object(again, body)


@CASES.add
def copies_cross_buckets(c):
    other = c.another_bucket()
    for size in (0, 10, 3 * MIB):
        body = random_bytes(size)
        c.put("from", body, Bucket=other)
        copy(c, "to", "from", bucket=other)
        c.expect_object("to", body)


@CASES.add
def metadata_can_be_replaced(c):
    source = c.put(Metadata={"old": "1"}, ContentType="text/old", CacheControl="max-age=1")
    key = c.key()
    copy(c, key, source, MetadataDirective="REPLACE", Metadata={"new": "2"}, ContentType="text/new")
    head = c.head(key)
    expect((head["Metadata"], head["ContentType"], head.get("CacheControl")), ({"new": "2"}, "text/new", None))


@CASES.add
def a_copy_onto_itself_must_change_something(c):
    body = random_bytes(300_000)
    key = c.put(body=body, Metadata={"old": "1"})
    with refused("InvalidRequest", 400):
        copy(c, key, key)
    copy(c, key, key, MetadataDirective="REPLACE", Metadata={"new": "2"})
    expect(c.head(key)["Metadata"], {"new": "2"})
    c.expect_object(key, body)


@CASES.add
def conditions_on_the_source(c):
    source = c.put(body=b"abc")
    modified = c.head(source)["LastModified"]
    hour = datetime.timedelta(hours=1)
    for condition in ({"CopySourceIfMatch": '"no"'}, {"CopySourceIfNoneMatch": etag(b"abc")},
                      {"CopySourceIfUnmodifiedSince": modified - hour}, {"CopySourceIfModifiedSince": modified}):
        key = c.key()
        with refused("PreconditionFailed", 412):
            copy(c, key, source, **condition)
        assert not c.exists(key)
    for condition in ({"CopySourceIfMatch": etag(b"abc")}, {"CopySourceIfNoneMatch": '"no"'},
                      {"CopySourceIfUnmodifiedSince": modified}, {"CopySourceIfModifiedSince": modified - hour}):
        copy(c, c.key(), source, **condition)


@CASES.add
def conditions_on_the_destination(c):
    source, there = c.put(body=b"abc"), c.put(body=b"there")
    with refused("PreconditionFailed", 412):
        copy(c, there, source, IfNoneMatch="*")
    c.expect_object(there, b"there")
    copy(c, there, source, IfMatch=etag(b"there"))
    c.expect_object(there, b"abc")
    absent = c.key()
    copy(c, absent, source, IfNoneMatch="*")
    c.expect_object(absent, b"abc")


@CASES.add
def a_version_can_be_copied(c):
    other = c.another_bucket(versioned=True)
    old = c.s3.put_object(Bucket=other, Key="k", Body=b"old")["VersionId"]
    c.s3.put_object(Bucket=other, Key="k", Body=b"new")
    done = c.s3.copy_object(Bucket=c.bucket, Key="version", CopySource={"Bucket": other, "Key": "k", "VersionId": old})
    expect(done.get("CopySourceVersionId"), old)
    c.expect_object("version", b"old")


@CASES.add
def an_object_of_many_parts_can_be_copied(c):
    bodies = [random_bytes(5 * MIB), random_bytes(MIB)]
    source, key = c.key(), c.key()
    upload = begin(c, source)
    complete(c, source, upload, [part(c, source, upload, number, body) for number, body in enumerate(bodies, 1)])
    copy(c, key, source)
    c.expect_object(key, b"".join(bodies))


@CASES.add
def what_is_not_there_cannot_be_copied(c):
    with refused("NoSuchKey", 404):
        copy(c, c.key(), "missing")
    with refused("NoSuchBucket", 404):
        copy(c, c.key(), "missing", bucket=c.session.bucket_name("missing"))


@CASES.add
def an_object_can_be_renamed(c):
    if not c.session.target.ours:
        return
    body = random_bytes(700_000)
    source, key = c.put(body=body, Metadata={"a": "1"}), c.key()
    before = c.head(source)
    # boto3 makes the token with which it sends the request again.
    c.s3.rename_object(Bucket=c.bucket, Key=key, RenameSource=source)
    c.expect_object(key, body)
    after = c.head(key)
    expect((after["LastModified"], after["Metadata"]), (before["LastModified"], {"a": "1"}))
    assert not c.exists(source)
    c.put(source, b"another")
    with refused("PreconditionFailed", 412):
        c.s3.rename_object(Bucket=c.bucket, Key=key, RenameSource=source, DestinationIfNoneMatch="*")
    c.expect_object(key, body)
