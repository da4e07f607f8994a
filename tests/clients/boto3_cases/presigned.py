"""Presigned URLs, opened by curl."""

import time
import urllib.parse

from boto3_cases.context import MIB, Cases, random_bytes
from report import expect

CASES = Cases()


def sign(c, operation, client=None, seconds=60, **parameters):
    """A presigned URL."""
    return (client or c.s3).generate_presigned_url(operation, Params={"Bucket": c.bucket} | parameters, ExpiresIn=seconds)


def fetch(c, url, *words):
    """Status and body of a request."""
    body = c.session.path("presigned.body")
    body.unlink(missing_ok=True)
    status = c.session.run("/usr/bin/curl", "-s", "-S", "--max-time", "60", "-o", body, "-w", "%{http_code}", *words, url)
    return int(status), body.read_bytes() if body.exists() else b""


@CASES.add
def get(c):
    body = random_bytes(2 * MIB)
    expect(fetch(c, sign(c, "get_object", Key=c.put("with space + plus/ü", body))), (200, body))


@CASES.add
def a_url_with_signature_version_2_is_refused_with_a_hint(c):
    # What boto3 and PyPI's aws-cli make for us-east-1 by themselves as long as nobody chooses version 4.
    url = sign(c, "get_object", c.client(signature_version="s3"), Key=c.put())
    assert "AWSAccessKeyId=" in url, url
    status, body = fetch(c, url)
    expect((status, b"<Code>InvalidRequest</Code>" in body, b"Please use AWS4-HMAC-SHA256" in body), (400, True, True), body.decode())


@CASES.add
def get_of_a_range(c):
    body = random_bytes(100_000)
    expect(fetch(c, sign(c, "get_object", Key=c.put(body=body)), "-r", "10-19"), (206, body[10:20]))


@CASES.add
def get_with_headers_of_the_callers_choice(c):
    url = sign(c, "get_object", Key=c.put(), ResponseContentDisposition='attachment; filename="a b.txt"', ResponseContentType="text/x")
    headers = c.session.run("/usr/bin/curl", "-s", "-S", "-o", "/dev/null", "-D", "-", url).lower()
    assert 'content-disposition: attachment; filename="a b.txt"' in headers and "content-type: text/x" in headers, headers


@CASES.add
def put(c):
    body = random_bytes(3 * MIB + 1)
    path = c.session.path("presigned.put")
    path.write_bytes(body)
    key = c.key()
    status, answer = fetch(c, sign(c, "put_object", Key=key), "-T", path)
    expect(status, 200, f"status, with the answer {answer!r}")
    c.expect_object(key, body)
    url = sign(c, "put_object", Key=key, ContentType="text/signed")
    expect(fetch(c, url, "-T", path, "-H", "Content-Type: text/other")[0], 403, "status with another type than was signed")
    expect(fetch(c, url, "-T", path, "-H", "Content-Type: text/signed")[0], 200)
    expect(c.head(key)["ContentType"], "text/signed")


@CASES.add
def head_and_delete(c):
    key = c.put()
    expect(fetch(c, sign(c, "head_object", Key=key), "-I")[0], 200)
    expect(fetch(c, sign(c, "delete_object", Key=key), "-X", "DELETE")[0], 204)
    assert not c.exists(key)


@CASES.add
def an_expired_url_is_refused(c):
    url = sign(c, "get_object", Key=c.put(), seconds=1)
    time.sleep(2.5)
    status, body = fetch(c, url)
    expect((status, b"<Code>AccessDenied</Code>" in body), (403, True), body.decode())


@CASES.add
def a_url_that_was_changed_is_refused(c):
    key, other = c.put(), c.put()
    url = sign(c, "get_object", Key=key)
    parts = urllib.parse.urlsplit(url)
    for changed in (url.replace(key, other), url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"), url + "&versionId=null",
                    url[:-1] + ("0" if url[-1] != "0" else "1")):
        status, body = fetch(c, changed)
        expect((status, b"<Code>SignatureDoesNotMatch</Code>" in body), (403, True), body.decode())
    expect(fetch(c, url, "-X", "DELETE")[0], 403, "status of another method")
    assert c.exists(key)
    status, body = fetch(c, urllib.parse.urlunsplit(parts._replace(query="")))
    expect((status, b"<Code>AccessDenied</Code>" in body), (403, True), body.decode())


@CASES.add
def a_missing_key_is_404(c):
    status, body = fetch(c, sign(c, "get_object", Key="missing"))
    expect((status, b"<Code>NoSuchKey</Code>" in body), (404, True), body.decode())


def post_form(c, fields, file, url):
    """Status and body of a form sent by curl, as a browser would."""
    words = [word for name, value in fields.items() for word in ("--form-string", f"{name}={value}")]
    return fetch(c, url, *words, "-F", f"file=@{file}")


@CASES.add
def a_form_stores_what_its_policy_allows(c):
    body = random_bytes(10 * MIB + 1)
    path = c.session.path("form.bin")
    path.write_bytes(body)
    folder = c.key()
    fixed = {"Content-Type": "text/form", "success_action_status": "201", "x-amz-meta-from": "form"}
    conditions = [{name: value} for name, value in fixed.items()] + [["content-length-range", 1, 20 * MIB]]
    post = c.s3.generate_presigned_post(c.bucket, folder + "/${filename}", Fields=fixed, Conditions=conditions, ExpiresIn=60)
    status, answer = post_form(c, post["fields"], path, post["url"])
    expect((status, b"<PostResponse>" in answer), (201, True), answer.decode())
    c.expect_object(f"{folder}/form.bin", body)
    head = c.head(f"{folder}/form.bin")
    expect((head["ContentType"], head["Metadata"]), ("text/form", {"from": "form"}))

    path.write_bytes(b"")
    status, answer = post_form(c, post["fields"], path, post["url"])
    expect((status, b"<Code>EntityTooSmall</Code>" in answer), (400, True), answer.decode())
    status, answer = post_form(c, post["fields"] | {"key": "elsewhere"}, path, post["url"])
    expect((status, b"<Code>AccessDenied</Code>" in answer), (403, True), answer.decode())
    status, answer = post_form(c, post["fields"] | {"x-amz-meta-extra": "x"}, path, post["url"])
    expect((status, b"Extra input fields: x-amz-meta-extra" in answer), (403, True), answer.decode())
    assert not c.exists("elsewhere")
    c.expect_object(f"{folder}/form.bin", body)
