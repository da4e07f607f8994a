"""Versioning: off, on, suspended; delete markers and null versions."""

import time

from boto3_cases.context import Cases, refused
from report import expect

CASES = Cases()


def history(c, bucket, **more):
    """Everything that ListObjectVersions knows of, newest first for each key: (key, kind, version id, is latest)."""
    found = []
    for page in c.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **more):
        found += [(each["Key"], "version", each["VersionId"], each["IsLatest"], each["LastModified"]) for each in page.get("Versions", [])]
        found += [(each["Key"], "marker", each["VersionId"], each["IsLatest"], each["LastModified"]) for each in page.get("DeleteMarkers", [])]
    return found


def kinds(c, bucket, key):
    """Versions of one key as (kind, version id), in the order of the answer's own two lists."""
    return [(kind, version) for name, kind, version, _, _ in history(c, bucket, Prefix=key) if name == key]


@CASES.add
def a_new_bucket_has_no_versioning(c):
    expect(c.s3.get_bucket_versioning(Bucket=c.bucket).get("Status"), None)
    put = c.s3.put_object(Bucket=c.bucket, Key="k", Body=b"1")
    assert "VersionId" not in put
    c.put("k", b"2")
    expect(kinds(c, c.bucket, "k"), [("version", "null")])
    expect(c.get("k", VersionId="null"), b"2")


@CASES.add
def every_version_stays_readable(c):
    bucket = c.another_bucket(versioned=True)
    expect(c.s3.get_bucket_versioning(Bucket=bucket)["Status"], "Enabled")
    ids = [c.s3.put_object(Bucket=bucket, Key="k", Body=b"%d" % number)["VersionId"] for number in range(5)]
    expect(len(set(ids)), 5)
    for number, version in enumerate(ids):
        expect(c.get("k", Bucket=bucket, VersionId=version), b"%d" % number)
        expect(c.head("k", Bucket=bucket, VersionId=version)["VersionId"], version)
    expect(c.s3.get_object(Bucket=bucket, Key="k")["VersionId"], ids[-1])
    listed = history(c, bucket)
    expect([(version, latest) for _, _, version, latest, _ in listed], [(ids[-1], True)] + [(version, False) for version in ids[-2::-1]])
    expect(len(c.s3.list_objects_v2(Bucket=bucket)["Contents"]), 1)


@CASES.add
def a_delete_marker_hides_and_its_removal_brings_back(c):
    bucket = c.another_bucket(versioned=True)
    version = c.s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    deleted = c.s3.delete_object(Bucket=bucket, Key="k")
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True and marker != version
    with refused("NoSuchKey", 404) as error:
        c.s3.get_object(Bucket=bucket, Key="k")
    expect(error[0]["ResponseMetadata"]["HTTPHeaders"].get("x-amz-delete-marker"), "true")
    with refused("MethodNotAllowed", 405) as error:
        c.s3.get_object(Bucket=bucket, Key="k", VersionId=marker)
    expect(error[0]["ResponseMetadata"]["HTTPHeaders"].get("allow"), "DELETE")
    with refused("405", 405):
        c.s3.head_object(Bucket=bucket, Key="k", VersionId=marker)
    with refused("404", 404):
        c.s3.head_object(Bucket=bucket, Key="k")
    expect(c.s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)
    expect(c.get("k", Bucket=bucket, VersionId=version), b"x")
    again = c.s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    expect((again.get("DeleteMarker"), again["VersionId"]), (True, marker))
    expect(c.get("k", Bucket=bucket), b"x")


@CASES.add
def deleting_a_version_is_for_good(c):
    bucket = c.another_bucket(versioned=True)
    first = c.s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    second = c.s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    expect(c.s3.delete_object(Bucket=bucket, Key="k", VersionId=second)["VersionId"], second)
    expect(c.get("k", Bucket=bucket), b"1")
    with refused("NoSuchVersion", 404):
        c.get("k", Bucket=bucket, VersionId=second)
    c.s3.delete_object(Bucket=bucket, Key="k", VersionId=first)
    expect(history(c, bucket), [])


@CASES.add
def what_was_stored_before_versioning_is_the_null_version(c):
    bucket = c.another_bucket()
    c.put("k", b"before", Bucket=bucket)
    c.set_versioning(bucket, "Enabled")
    after = c.s3.put_object(Bucket=bucket, Key="k", Body=b"after")["VersionId"]
    expect(kinds(c, bucket, "k"), [("version", after), ("version", "null")])
    expect(c.get("k", Bucket=bucket, VersionId="null"), b"before")
    c.s3.delete_object(Bucket=bucket, Key="k", VersionId=after)
    expect(c.get("k", Bucket=bucket), b"before")


@CASES.add
def while_suspended_the_null_version_is_replaced(c):
    bucket = c.another_bucket(versioned=True)
    kept = c.s3.put_object(Bucket=bucket, Key="k", Body=b"kept")["VersionId"]
    c.set_versioning(bucket, "Suspended")
    expect(c.s3.get_bucket_versioning(Bucket=bucket)["Status"], "Suspended")
    for body in (b"null 1", b"null 2"):
        c.put("k", body, Bucket=bucket)
    expect(kinds(c, bucket, "k"), [("version", "null"), ("version", kept)])
    expect(c.get("k", Bucket=bucket), b"null 2")
    deleted = c.s3.delete_object(Bucket=bucket, Key="k")
    expect((deleted["DeleteMarker"], deleted["VersionId"]), (True, "null"))
    expect(kinds(c, bucket, "k"), [("version", kept), ("marker", "null")])
    with refused("NoSuchKey", 404):
        c.get("k", Bucket=bucket)
    c.put("k", b"null 3", Bucket=bucket)
    expect(kinds(c, bucket, "k"), [("version", "null"), ("version", kept)])
    expect(c.get("k", Bucket=bucket, VersionId=kept), b"kept")


@CASES.add
def versions_are_listed_in_pages_newest_first(c):
    bucket = c.another_bucket(versioned=True)
    for round_ in range(3):
        for key in ("a", "b/1", "b/2", "c"):
            c.put(key, b"%d" % round_, Bucket=bucket)
    c.s3.delete_object(Bucket=bucket, Key="b/1")
    whole = history(c, bucket)
    expect(len(whole), 13)
    for size in (1, 2, 5):
        expect(sorted(history(c, bucket, PaginationConfig={"PageSize": size})), sorted(whole), f"pages of {size}")
    newest_first = [version for key, _, version, _, _ in whole if key == "a"]
    stored = [c.get("a", Bucket=bucket, VersionId=version) for version in newest_first]
    expect(stored, [b"2", b"1", b"0"])
    page = c.s3.list_object_versions(Bucket=bucket, Delimiter="/")
    expect([found["Prefix"] for found in page["CommonPrefixes"]], ["b/"])
    expect({found["Key"] for found in page["Versions"]}, {"a", "c"})
    expect({key for key, *_ in history(c, bucket, Prefix="b/")}, {"b/1", "b/2"})


@CASES.add
def a_bucket_with_old_versions_or_markers_is_not_empty(c):
    bucket = c.another_bucket(versioned=True)
    c.put("k", Bucket=bucket)
    marker = c.s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    with refused("BucketNotEmpty", 409):
        c.s3.delete_bucket(Bucket=bucket)
    for _, _, version, _, _ in history(c, bucket):
        if version != marker:
            c.s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    with refused("BucketNotEmpty", 409):
        c.s3.delete_bucket(Bucket=bucket)


@CASES.add
def a_version_has_its_own_time_and_metadata(c):
    bucket = c.another_bucket(versioned=True)
    first = c.s3.put_object(Bucket=bucket, Key="k", Body=b"1", Metadata={"n": "1"})["VersionId"]
    time.sleep(1.1)
    second = c.s3.put_object(Bucket=bucket, Key="k", Body=b"22", Metadata={"n": "2"})["VersionId"]
    heads = [c.head("k", Bucket=bucket, VersionId=version) for version in (first, second)]
    expect([(head["Metadata"]["n"], head["ContentLength"]) for head in heads], [("1", 1), ("2", 2)])
    assert heads[0]["LastModified"] < heads[1]["LastModified"]
