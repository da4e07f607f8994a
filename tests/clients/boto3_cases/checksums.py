"""Checksums are verified, kept and returned, in headers and in trailers."""

import base64
import hashlib
import io

from awscrt import checksums as crt
from botocore.httpchecksum import _CHECKSUM_CLS

from boto3_cases.context import MIB, Cases, random_bytes, refused
from report import expect

CASES = Cases()


def crc(function, size):
    """A CRC as the bytes that S3 encodes."""
    return lambda body: function(body).to_bytes(size, "big")


def xxhash(name):
    """One of the three, as boto3 itself makes it."""
    def digest(body):
        made = _CHECKSUM_CLS[name]()
        made.update(body)
        return made.digest()
    return digest


ALGORITHMS = {
    "CRC32": crc(crt.crc32, 4),
    "CRC32C": crc(crt.crc32c, 4),
    "CRC64NVME": crc(crt.crc64nvme, 8),
    "SHA1": lambda body: hashlib.sha1(body).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
    "SHA512": lambda body: hashlib.sha512(body).digest(),
    "XXHASH64": xxhash("xxhash64"),
    "XXHASH3": xxhash("xxhash3"),
    "XXHASH128": xxhash("xxhash128"),
}


def checksum(algorithm, body):
    """A checksum as S3 writes it."""
    return base64.b64encode(ALGORITHMS[algorithm](body)).decode()


@CASES.add
def each_algorithm_is_verified_kept_and_returned(c):
    # Over HTTPS boto3 sends these in a trailer, in pieces of 1 MiB.
    for size in (0, 1, 65_535, MIB - 1, MIB, MIB + 1, 5 * MIB + 3):
        body = random_bytes(size)
        for algorithm in ALGORITHMS:
            key = c.key(algorithm)
            field, wanted = f"Checksum{algorithm}", checksum(algorithm, body)
            put = c.s3.put_object(Bucket=c.bucket, Key=key, Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
            expect((put.get(field), put.get("ChecksumType")), (wanted, "FULL_OBJECT"), f"PUT of {size} bytes, {algorithm}")
            head = c.head(key, ChecksumMode="ENABLED")
            expect((head.get(field), head.get("ChecksumType")), (wanted, "FULL_OBJECT"), f"HEAD of {size} bytes, {algorithm}")
            c.expect_object(key, body, ChecksumMode="ENABLED")


@CASES.add
def the_default_is_crc32(c):
    body = random_bytes(1000)
    put = c.s3.put_object(Bucket=c.bucket, Key=c.key(), Body=body)
    expect(put.get("ChecksumCRC32"), checksum("CRC32", body))


@CASES.add
def a_checksum_given_by_hand_is_verified(c):
    body = random_bytes(2000)
    # boto3 sends an MD5 that it is given, and makes none.
    for algorithm, made in (ALGORITHMS | {"MD5": lambda body: hashlib.md5(body).digest()}).items():
        field, key = f"Checksum{algorithm}", c.key(algorithm)
        with refused("BadDigest", 400):
            c.put(key, body, **{field: base64.b64encode(made(b"something else")).decode()})
        assert not c.exists(key), f"{algorithm}: the object is there in spite of its wrong checksum"
        c.put(key, body, **{field: base64.b64encode(made(body)).decode()})
        c.expect_object(key, body)


@CASES.add
def a_checksum_that_is_none_is_refused(c):
    key = c.key()
    with refused("InvalidRequest", 400):
        c.put(key, ChecksumCRC32="AAA=")
    assert not c.exists(key)


@CASES.add
def without_a_checksum_from_the_client_the_server_makes_crc64nvme(c):
    old = c.client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    body, key = random_bytes(70_000), c.key()
    old.put_object(Bucket=c.bucket, Key=key, Body=body)
    head = c.head(key, ChecksumMode="ENABLED")
    expect((head.get("ChecksumCRC64NVME"), head.get("ChecksumType")), (checksum("CRC64NVME", body), "FULL_OBJECT"))
    assert old.get_object(Bucket=c.bucket, Key=key)["Body"].read() == body


@CASES.add
def checksums_are_returned_only_when_asked_for(c):
    head = c.head(c.put())
    expect([name for name in head if name.startswith("Checksum")], [], "checksums without ChecksumMode")


@CASES.add
def an_unsigned_payload_is_accepted(c):
    client = c.client(s3={"payload_signing_enabled": False})
    body, key = random_bytes(100_000), c.key()
    client.put_object(Bucket=c.bucket, Key=key, Body=body)
    c.expect_object(key, body)
    signed = c.client(s3={"payload_signing_enabled": True})
    signed.put_object(Bucket=c.bucket, Key=key, Body=body[::-1])
    c.expect_object(key, body[::-1])
