"""Headers and user metadata come back byte for byte."""

import datetime
import hashlib

from boto3_cases.context import Cases, refused
from report import expect

CASES = Cases()

HEADERS = {
    "CacheControl": 'max-age=31, no-transform,  private="a b"',
    "ContentDisposition": "attachment; filename=\"a b;c.txt\"; filename*=UTF-8''%e2%82%ac.txt",
    "ContentEncoding": "gzip",
    "ContentLanguage": "de-AT, en",
    "ContentType": "Text/HTML; Charset=\"UTF-8\"",
}


@CASES.add
def standard_headers_come_back_as_sent(c):
    key = c.put(Expires=datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.UTC), **HEADERS)
    for answer in (c.head(key), c.s3.get_object(Bucket=c.bucket, Key=key)):
        expect({name: answer.get(name) for name in HEADERS}, HEADERS)
        expect(answer["ExpiresString"], "Tue, 06 May 2031 07:08:09 GMT")


@CASES.add
def what_was_not_sent_does_not_appear(c):
    head = c.head(c.put())
    for name in ["CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires"]:
        expect(head.get(name), None, name)


@CASES.add
def the_framing_of_an_upload_is_not_its_encoding(c):
    path = c.session.path("framed")
    path.write_bytes(b"framed" * 1000)
    for encoding in (None, "gzip", "br,gzip"):
        with open(path, "rb") as opened:
            key = c.put(body=opened, **({"ContentEncoding": encoding} if encoding else {}))
        expect(c.head(key).get("ContentEncoding"), encoding)
        c.expect_object(key, b"framed" * 1000)


@CASES.add
def user_metadata_comes_back_as_sent(c):
    wanted = {
        "plain": "value",
        "with-dash_and.dot": "x",
        "case": "MiXeD Case",
        "inner": "two  spaces, comma; semicolon=\"quoted\" \\ back",
        "symbols": "!#$%&'*+-.^_`|~()/:<=>?@[]{}",
        "base64": "AAAA+///==",
        "rfc2047": "=?UTF-8?Q?Gr=C3=BCn?=",
        "empty": "",
    }
    key = c.put(Metadata=wanted)
    expect(c.head(key)["Metadata"], wanted)
    expect(c.s3.get_object(Bucket=c.bucket, Key=key)["Metadata"], wanted)


@CASES.add
def names_of_metadata_are_lower_case(c):
    expect(c.head(c.put(Metadata={"UPPER-Case": "Value"}))["Metadata"], {"upper-case": "Value"})


@CASES.add
def two_kilobytes_of_metadata_are_the_limit(c):
    most = {"a": "x" * 1023, "b": "y" * 1023}
    expect(c.head(c.put(Metadata=most))["Metadata"], most)
    with refused("MetadataTooLarge", 400):
        c.put(Metadata={"a": "x" * 1023, "b": "y" * 1100})


@CASES.add
def a_read_may_override_headers(c):
    key = c.put(ContentType="text/plain", CacheControl="no-store")
    got = c.s3.get_object(
        Bucket=c.bucket, Key=key, ResponseContentType="application/x-other", ResponseCacheControl="max-age=1",
        ResponseContentDisposition='attachment; filename="ü.txt"'.encode("ascii", "xmlcharrefreplace").decode(),
        ResponseContentEncoding="identity", ResponseContentLanguage="fr", ResponseExpires=datetime.datetime(2030, 1, 1))
    expect((got["ContentType"], got["CacheControl"], got["ContentEncoding"], got["ContentLanguage"]),
           ("application/x-other", "max-age=1", "identity", "fr"))
    expect(got["ContentDisposition"], 'attachment; filename="&#252;.txt"')
    expect(c.head(key)["ContentType"], "text/plain")


@CASES.add
def a_content_md5_is_checked(c):
    import base64

    right = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    c.put(ContentMD5=right)
    key = c.key()
    with refused("BadDigest", 400):
        c.put(key, ContentMD5=wrong)
    with refused("InvalidDigest", 400):
        c.put(key, ContentMD5="bm90IGFuIG1kNQ==")
    assert not c.exists(key)
