"""Keys are strings of bytes, not paths: each of these is a key of its own."""

from boto3_cases.context import Cases, etag, fits_xml, refused
from report import expect

CASES = Cases()

ODD = [
    "a", "a/", "a//", "a/b", "a//b", "a/./b", "a/../b", "./a", "../a", "../../etc/passwd", "/a", "//a", ".", "..", "a/.", "a/..",
    "with space", " leading", "trailing ", "two  spaces", "plus+plus", "percent%41", "percent%2Fslash", "percent%", "%00",
    "a&b", "a=b", "a?b", "a#b", "a;b", "a,b", "a:b", "a@b", "a!b", "a$b", "a'b", 'a"b', "a(b)", "a*b", "a~b", "a|b", "a^b", "a`b", "a{b}",
    "a[b]", "a<b>", "a\\b", "newline\nb", "return\rb", "tab\tb", "bell\x07b", "\x01", "\x7f", "ü", "u\u0308", "ß", "日本語", "🦀", "\u2028",
    "\uffff", "\U0010ffff", "e\u0301", "é", "?uploads", "?versioning", "key?versionId=x", "x" * 1024, "ü" * 512, "minio/health/live",
    "health/ready", "_", "-", "..hidden",
]


@CASES.add
def every_odd_key_is_its_own_object(c):
    for number, key in enumerate(ODD):
        c.put(key, b"%d" % number)
    problems = []
    for number, key in enumerate(ODD):
        body = b"%d" % number
        if c.get(key) != body or c.head(key)["ETag"] != etag(body):
            problems.append(key)
    expect(problems, [], "keys that came back wrong")


@CASES.add
def they_are_listed_in_the_order_of_their_bytes(c):
    wanted = sorted(ODD, key=lambda key: key.encode())
    for paginator in ("list_objects", "list_objects_v2"):
        for page_size in (1000, 3):
            pages = c.s3.get_paginator(paginator).paginate(Bucket=c.bucket, PaginationConfig={"PageSize": page_size})
            listed = [found["Key"] for page in pages for found in page.get("Contents", [])]
            expect(listed, wanted, f"{paginator} in pages of {page_size}")
    pages = c.s3.get_paginator("list_object_versions").paginate(Bucket=c.bucket, PaginationConfig={"PageSize": 3})
    expect([found["Key"] for page in pages for found in page.get("Versions", [])], wanted, "versions")


@CASES.add
def they_can_be_copied(c):
    for key in ODD:
        if len(key.encode()) < 1000:
            c.s3.copy_object(Bucket=c.bucket, Key=f"copied:{key}", CopySource={"Bucket": c.bucket, "Key": key})
    for number, key in enumerate(ODD):
        if len(key.encode()) < 1000:
            c.expect_object(f"copied:{key}", b"%d" % number)


@CASES.add
def a_key_has_at_most_1024_bytes(c):
    for key in ("x" * 1025, "ü" * 513):
        with refused("KeyTooLongError", 400):
            c.put(key)


@CASES.add
def they_can_be_deleted_one_by_one_and_together(c):
    for key in ODD[:len(ODD) // 2]:
        c.s3.delete_object(Bucket=c.bucket, Key=key)
    rest = [key for key in ODD[len(ODD) // 2:] + [f"copied:{key}" for key in ODD] if fits_xml(key) and len(key.encode()) <= 1024]
    answer = c.s3.delete_objects(Bucket=c.bucket, Delete={"Objects": [{"Key": key} for key in rest]})
    expect(answer.get("Errors", []), [], "errors")
    expect(sorted(found["Key"] for found in answer["Deleted"]), sorted(rest), "deleted")
    left = [found["Key"] for found in c.s3.list_objects_v2(Bucket=c.bucket).get("Contents", [])]
    expect([key for key in left if key in rest], [], "left")
