"""DeleteObjects: many at once."""

from boto3_cases.context import Cases, refused
from report import expect

CASES = Cases()


def delete(c, objects, bucket=None, **more):
    """Deletes and returns the answer."""
    return c.s3.delete_objects(Bucket=bucket or c.bucket, Delete={"Objects": objects} | more)


@CASES.add
def keys_there_and_not_there_are_reported_deleted(c):
    keys = [c.put() for _ in range(5)]
    answer = delete(c, [{"Key": key} for key in [*keys, "never-there"]])
    expect(sorted(found["Key"] for found in answer["Deleted"]), sorted([*keys, "never-there"]))
    assert "Errors" not in answer
    expect([key for key in keys if c.exists(key)], [])


@CASES.add
def quiet_reports_nothing(c):
    key = c.put()
    answer = delete(c, [{"Key": key}], Quiet=True)
    assert "Deleted" not in answer and not c.exists(key)


@CASES.add
def a_thousand_go_and_a_thousand_and_one_do_not(c):
    key = c.put("many/0007")
    with refused("MalformedXML", 400):
        delete(c, [{"Key": f"many/{number:04}"} for number in range(1001)])
    assert c.exists(key)
    answer = delete(c, [{"Key": f"many/{number:04}"} for number in range(1000)])
    expect(len(answer["Deleted"]), 1000)
    assert not c.exists(key)


@CASES.add
def versions_and_markers(c):
    bucket = c.another_bucket(versioned=True)
    version = c.s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    c.put("b", Bucket=bucket)
    answer = {found["Key"]: found for found in delete(c, [{"Key": "a", "VersionId": version}, {"Key": "b"}], bucket)["Deleted"]}
    expect(answer["a"]["VersionId"], version)
    assert answer["b"]["DeleteMarker"] is True and answer["b"]["DeleteMarkerVersionId"]
    expect([found["Key"] for found in c.s3.list_object_versions(Bucket=bucket)["Versions"]], ["b"])


@CASES.add
def any_checksum_will_do(c):
    # Older SDKs send Content-MD5, newer ones a CRC32, and either may be asked for.
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        key = c.put()
        c.s3.delete_objects(Bucket=c.bucket, Delete={"Objects": [{"Key": key}]}, ChecksumAlgorithm=algorithm)
        assert not c.exists(key), algorithm
