"""Checksums of multipart uploads: of the parts, composite, and of the full object."""

import base64

from boto3_cases.checksums import ALGORITHMS, checksum
from boto3_cases.context import MIB, Cases, random_bytes, refused
from boto3_cases.multipart import begin, complete
from report import expect

CASES = Cases()
COMPOSITE = ["CRC32", "CRC32C", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"]
FULL_OBJECT = ["CRC32", "CRC32C", "CRC64NVME"]


def upload_parts(c, key, upload, bodies, algorithm):
    """Uploads the parts with their checksums and returns what CompleteMultipartUpload wants to know."""
    field, parts = f"Checksum{algorithm}", []
    for number, body in enumerate(bodies, 1):
        done = c.s3.upload_part(Bucket=c.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        expect(done.get(field), checksum(algorithm, body), f"{algorithm} of part {number}")
        parts.append({"PartNumber": number, "ETag": done["ETag"], field: done[field]})
    return parts


def composite(algorithm, bodies):
    """The checksum of the parts' checksums and how many there are."""
    joined = b"".join(ALGORITHMS[algorithm](body) for body in bodies)
    return f"{base64.b64encode(ALGORITHMS[algorithm](joined)).decode()}-{len(bodies)}"


def check(c, algorithm, kind, wanted_of):
    """One upload with one algorithm, checked at every place where its checksum shows."""
    field = f"Checksum{algorithm}"
    bodies = [random_bytes(5 * MIB), random_bytes(5 * MIB + 99), random_bytes(12345)]
    key = c.key(algorithm)
    created = c.s3.create_multipart_upload(Bucket=c.bucket, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    expect((created.get("ChecksumAlgorithm"), created.get("ChecksumType")), (algorithm, kind), "CreateMultipartUpload")
    upload = created["UploadId"]
    parts = upload_parts(c, key, upload, bodies, algorithm)
    listed = c.s3.list_parts(Bucket=c.bucket, Key=key, UploadId=upload)
    expect((listed.get("ChecksumAlgorithm"), listed.get("ChecksumType")), (algorithm, kind), "ListParts")
    expect([found.get(field) for found in listed["Parts"]], [part[field] for part in parts], "checksums in ListParts")
    wanted = wanted_of(bodies)
    done = complete(c, key, upload, parts, ChecksumType=kind)
    expect((done.get(field), done.get("ChecksumType")), (wanted, kind), "CompleteMultipartUpload")
    head = c.head(key, ChecksumMode="ENABLED")
    expect((head.get(field), head.get("ChecksumType")), (wanted, kind), "HEAD")
    c.expect_object(key, b"".join(bodies), ChecksumMode="ENABLED")


def add_cases():
    """One case for each algorithm and type that S3 has."""
    for kind, algorithms in (("COMPOSITE", COMPOSITE), ("FULL_OBJECT", FULL_OBJECT)):
        for algorithm in algorithms:
            def case(c, algorithm=algorithm, kind=kind):
                full = kind == "FULL_OBJECT"
                check(c, algorithm, kind, lambda bodies: checksum(algorithm, b"".join(bodies)) if full else composite(algorithm, bodies))

            case.__name__ = f"{algorithm} {kind} is verified kept and returned"
            CASES.add(case)


add_cases()


@CASES.add
def what_the_client_says_of_the_whole_is_verified(c):
    bodies = [random_bytes(5 * MIB), random_bytes(100)]
    key = c.key()
    upload = begin(c, key, ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT")
    parts = upload_parts(c, key, upload, bodies, "CRC64NVME")
    with refused("BadDigest", 400):
        complete(c, key, upload, parts, ChecksumType="FULL_OBJECT", ChecksumCRC64NVME=checksum("CRC64NVME", b"other"))
    with refused("InvalidRequest", 400):
        complete(c, key, upload, parts, MpuObjectSize=5 * MIB)
    assert not c.exists(key)
    complete(c, key, upload, parts, ChecksumType="FULL_OBJECT", ChecksumCRC64NVME=checksum("CRC64NVME", b"".join(bodies)),
             MpuObjectSize=5 * MIB + 100)
    c.expect_object(key, b"".join(bodies))


@CASES.add
def a_wrong_checksum_of_a_part_is_refused(c):
    key = c.key()
    upload = begin(c, key, ChecksumAlgorithm="CRC32C")
    with refused("BadDigest", 400):
        c.s3.upload_part(Bucket=c.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"body", ChecksumCRC32C=checksum("CRC32C", b"other"))
    expect(c.s3.list_parts(Bucket=c.bucket, Key=key, UploadId=upload).get("Parts", []), [], "parts")
    parts = upload_parts(c, key, upload, [b"body"], "CRC32C")
    with refused(("InvalidPart", "BadDigest", "InvalidRequest"), 400):
        complete(c, key, upload, [parts[0] | {"ChecksumCRC32C": checksum("CRC32C", b"other")}])
    complete(c, key, upload, parts)
    c.expect_object(key, b"body")


@CASES.add
def types_that_an_algorithm_does_not_have_are_refused(c):
    for algorithm, kind in (("SHA256", "FULL_OBJECT"), ("SHA1", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")):
        with refused("InvalidRequest", 400):
            begin(c, c.key(), ChecksumAlgorithm=algorithm, ChecksumType=kind)
