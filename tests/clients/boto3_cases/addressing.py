"""Buckets as host names below the server's domain."""

import contextlib
import socket

from boto3_cases.context import Cases, random_bytes
from processes import command
from report import NotRun, expect
from tls import DOMAIN

CASES = Cases()


@contextlib.contextmanager
def resolving_to_loopback():
    """Makes every name below the domain resolve to 127.0.0.1 in this process."""
    real = socket.getaddrinfo

    def resolve(host, *rest, **more):
        return real("127.0.0.1" if host == DOMAIN or host.endswith(f".{DOMAIN}") else host, *rest, **more)

    socket.getaddrinfo = resolve
    try:
        yield
    finally:
        socket.getaddrinfo = real


@CASES.add
def a_bucket_is_reached_by_its_host_name(c):
    if not c.target.ours:
        raise NotRun("the other server is not set up for the domain")
    port = c.target.endpoint.rsplit(":", 1)[1]
    scheme = c.target.endpoint.split(":")[0]
    client = c.client(endpoint=f"{scheme}://{DOMAIN}:{port}", s3={"addressing_style": "virtual"})
    body = random_bytes(100_000)
    with resolving_to_loopback():
        client.put_object(Bucket=c.bucket, Key="by/host name", Body=body)
        expect(client.list_objects_v2(Bucket=c.bucket)["KeyCount"], 1)
        assert client.get_object(Bucket=c.bucket, Key="by/host name")["Body"].read() == body
        assert c.bucket in {found["Name"] for found in client.list_buckets()["Buckets"]}
        signed = client.generate_presigned_url("get_object", Params={"Bucket": c.bucket, "Key": "by/host name"})
    c.expect_object("by/host name", body)
    assert f"//{c.bucket}.{DOMAIN}:{port}/" in signed, signed
    output = c.session.path("by-host")
    command(["/usr/bin/curl", "-s", "-S", "--fail", "--resolve", f"{c.bucket}.{DOMAIN}:{port}:127.0.0.1", "-o", output, signed],
            c.session.environment())
    assert output.read_bytes() == body
