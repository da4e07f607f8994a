"""Multipart uploads: any sizes, any order, and nothing visible before the end."""

import hashlib

from boto3.s3.transfer import TransferConfig

from boto3_cases.context import MIB, Cases, md5, random_bytes, refused
from report import expect

CASES = Cases()


def begin(c, key, **more):
    """Starts an upload and returns its id."""
    return c.s3.create_multipart_upload(**{"Bucket": c.bucket, "Key": key} | more)["UploadId"]


def part(c, key, upload, number, body, **more):
    """Uploads a part and returns what CompleteMultipartUpload wants to know of it."""
    done = c.s3.upload_part(Bucket=c.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, **more)
    return {"PartNumber": number, "ETag": done["ETag"]}


def complete(c, key, upload, parts, **more):
    """Completes an upload."""
    return c.s3.complete_multipart_upload(Bucket=c.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more)


def multipart_etag(bodies):
    """The MD5 of the parts' MD5s and how many there are, quoted."""
    joined = b"".join(hashlib.md5(body).digest() for body in bodies)
    return f'"{md5(joined)}-{len(bodies)}"'


@CASES.add
def uneven_parts_make_one_object(c):
    bodies = [random_bytes(size) for size in (5 * MIB, 7 * MIB + 13, 5 * MIB + 1, 17)]
    key = c.key()
    upload = begin(c, key, Metadata={"kept": "yes"}, ContentType="text/multi", CacheControl="max-age=9")
    parts = [part(c, key, upload, number, body) for number, body in enumerate(bodies, 1)]
    expect([one["ETag"] for one in parts], [f'"{md5(body)}"' for body in bodies], "ETags of parts")
    assert not c.exists(key), "visible before it was completed"
    done = complete(c, key, upload, parts)
    expect((done["ETag"], done["Bucket"], done["Key"]), (multipart_etag(bodies), c.bucket, key))
    c.expect_object(key, b"".join(bodies))
    head = c.head(key)
    expect((head["ETag"], head["Metadata"], head["ContentType"], head["CacheControl"]),
           (multipart_etag(bodies), {"kept": "yes"}, "text/multi", "max-age=9"))
    body = b"".join(bodies)
    for first, last in [(5 * MIB - 3, 5 * MIB + 3), (12 * MIB, 17 * MIB + 20), (len(body) - 20, len(body) - 1)]:
        expect(c.get(key, Range=f"bytes={first}-{last}"), body[first:last + 1], f"range {first}-{last}")


@CASES.add
def a_part_can_be_read_by_its_number(c):
    bodies = [random_bytes(5 * MIB), random_bytes(5 * MIB + 7), random_bytes(99)]
    key = c.key()
    upload = begin(c, key)
    complete(c, key, upload, [part(c, key, upload, number, body) for number, body in enumerate(bodies, 1)])
    for number, body in enumerate(bodies, 1):
        got = c.s3.get_object(Bucket=c.bucket, Key=key, PartNumber=number)
        expect((got["PartsCount"], got["ResponseMetadata"]["HTTPStatusCode"]), (3, 206), f"part {number}")
        assert got["Body"].read() == body, f"part {number}"
        head = c.head(key, PartNumber=number)
        expect((head["PartsCount"], head["ContentLength"]), (3, len(body)), f"HEAD of part {number}")
    with refused("416", 416):
        c.head(key, PartNumber=4)


@CASES.add
def the_transfer_manager_goes_both_ways(c):
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=8)
    body = random_bytes(33 * MIB + 21)
    path, back, key = c.session.path("transfer"), c.session.path("transfer.back"), c.key()
    path.write_bytes(body)
    c.s3.upload_file(str(path), c.bucket, key, Config=config)
    c.s3.download_file(c.bucket, key, str(back), Config=config)
    assert back.read_bytes() == body
    c.s3.copy({"Bucket": c.bucket, "Key": key}, c.bucket, f"{key}-copy", Config=config)
    c.expect_object(f"{key}-copy", body)


@CASES.add
def part_numbers_may_be_sparse_and_parts_may_be_sent_again(c):
    first, last = random_bytes(5 * MIB), random_bytes(1000)
    key = c.key()
    upload = begin(c, key)
    tail = part(c, key, upload, 10000, last)
    part(c, key, upload, 3, random_bytes(6 * MIB))
    part(c, key, upload, 77, random_bytes(5 * MIB))
    again = part(c, key, upload, 3, first)
    done = complete(c, key, upload, [again, tail])
    expect(done["ETag"], multipart_etag([first, last]))
    c.expect_object(key, first + last)
    for number in (0, 10001):
        with refused("InvalidArgument", 400):
            part(c, key, begin(c, key), number, b"x")


@CASES.add
def parts_are_listed_in_pages(c):
    key = c.key()
    upload = begin(c, key)
    bodies = {number: random_bytes(100 + number) for number in (2, 5, 6, 9, 4000)}
    for number, body in bodies.items():
        part(c, key, upload, number, body)
    pages = list(c.s3.get_paginator("list_parts").paginate(
        Bucket=c.bucket, Key=key, UploadId=upload, PaginationConfig={"PageSize": 2}))
    expect([len(page["Parts"]) for page in pages], [2, 2, 1], "parts in each page")
    listed = [(found["PartNumber"], found["Size"], found["ETag"]) for page in pages for found in page["Parts"]]
    expect(listed, [(number, len(body), f'"{md5(body)}"') for number, body in bodies.items()])


@CASES.add
def what_does_not_fit_is_refused_and_the_upload_goes_on(c):
    key = c.key()
    upload = begin(c, key)
    one, two, three = [part(c, key, upload, number, body) for number, body in
                       ((1, random_bytes(5 * MIB)), (2, b"too small"), (3, b"last"))]
    with refused("EntityTooSmall", 400):
        complete(c, key, upload, [one, two, three])
    with refused("InvalidPartOrder", 400):
        complete(c, key, upload, [three, one])
    with refused("InvalidPart", 400):
        complete(c, key, upload, [one, {"PartNumber": 3, "ETag": '"00000000000000000000000000000000"'}])
    with refused("InvalidPart", 400):
        complete(c, key, upload, [one, {"PartNumber": 8, "ETag": one["ETag"]}])
    with refused(("MalformedXML", "InvalidRequest"), 400):
        complete(c, key, upload, [])
    assert not c.exists(key)
    complete(c, key, upload, [one, three])
    expect(c.head(key)["ContentLength"], 5 * MIB + 4)


@CASES.add
def completing_again_gives_the_same_answer(c):
    key = c.key()
    upload = begin(c, key)
    parts = [part(c, key, upload, 1, b"only")]
    first = complete(c, key, upload, parts)
    expect(complete(c, key, upload, parts)["ETag"], first["ETag"])
    c.expect_object(key, b"only")


@CASES.add
def an_aborted_upload_is_gone(c):
    key = c.key()
    upload = begin(c, key)
    one = part(c, key, upload, 1, b"x")
    c.s3.abort_multipart_upload(Bucket=c.bucket, Key=key, UploadId=upload)
    for attempt in (lambda: part(c, key, upload, 2, b"y"), lambda: complete(c, key, upload, [one]),
                    lambda: c.s3.list_parts(Bucket=c.bucket, Key=key, UploadId=upload)):
        with refused("NoSuchUpload", 404):
            attempt()
    assert not c.exists(key)


@CASES.add
def open_uploads_are_listed(c):
    bucket = c.another_bucket()
    wanted = []
    for key in ("a/1", "a/1", "a/2", "b", "c/x/y"):
        wanted.append((key, begin(c, key, Bucket=bucket)))
    for size in (1, 2, 1000):
        pages = c.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        listed = [(found["Key"], found["UploadId"]) for page in pages for found in page.get("Uploads", [])]
        expect(sorted(listed), sorted(wanted), f"uploads in pages of {size}")
        expect([key for key, _ in listed], [key for key, _ in wanted], "order")
    page = c.s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    expect(([found["Key"] for found in page.get("Uploads", [])], [found["Prefix"] for found in page.get("CommonPrefixes", [])]),
           (["b"], ["a/", "c/"]))
    page = c.s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")
    expect([found["Key"] for found in page["Uploads"]], ["a/1", "a/1", "a/2"])


@CASES.add
def an_open_upload_does_not_keep_a_bucket(c):
    bucket = c.session.bucket_name("open")
    c.s3.create_bucket(Bucket=bucket)
    begin(c, "open", Bucket=bucket)
    c.s3.delete_bucket(Bucket=bucket)


@CASES.add
def parts_are_copied_from_other_objects(c):
    source = random_bytes(11 * MIB)
    other = c.another_bucket()
    c.put("source", source, Bucket=other)
    key = c.key()
    upload = begin(c, key)

    def copy(number, **more):
        done = c.s3.upload_part_copy(Bucket=c.bucket, Key=key, UploadId=upload, PartNumber=number,
                                     CopySource={"Bucket": other, "Key": "source"}, **more)
        return {"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]}

    parts = [copy(1), copy(2, CopySourceRange=f"bytes=3-{6 * MIB}"), part(c, key, upload, 3, b"tail")]
    expect([one["ETag"] for one in parts[:2]], [f'"{md5(source)}"', f'"{md5(source[3:6 * MIB + 1])}"'], "ETags")
    complete(c, key, upload, parts)
    c.expect_object(key, source + source[3:6 * MIB + 1] + b"tail")
    upload = begin(c, key)
    with refused(("InvalidRange", "InvalidArgument")):
        copy(1, CopySourceRange=f"bytes=0-{11 * MIB}")


@CASES.add
def completing_may_be_conditional(c):
    key = c.put()
    upload = begin(c, key)
    parts = [part(c, key, upload, 1, b"new")]
    with refused("PreconditionFailed", 412):
        complete(c, key, upload, parts, IfNoneMatch="*")
    c.expect_object(key, b"body")
    complete(c, key, upload, parts, IfMatch=c.head(key)["ETag"])
    c.expect_object(key, b"new")
