"""minio-py: uploads of unknown size, an SDK that is not AWS's."""

import hashlib
import io
import os

import certifi
import urllib3
from minio import Minio
from minio.commonconfig import ComposeSource, CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from report import expect


def run(session):
    """put, get, list, delete, compose."""
    target = session.target
    client = Minio(
        endpoint=target.endpoint.split("//")[1],
        access_key=target.access_key,
        secret_key=target.secret_key,
        secure=target.tls,
        region=target.region,
        http_client=urllib3.PoolManager(
            timeout=60, retries=False, cert_reqs="CERT_REQUIRED", ca_certs=str(target.ca or certifi.where())
        ),
    )
    bucket = session.bucket_name("minio")
    body = os.urandom(6 * 2**20 + 77)

    with session.case("make_bucket, bucket_exists"):
        client.make_bucket(bucket_name=bucket)
        assert client.bucket_exists(bucket_name=bucket)
        assert not client.bucket_exists(bucket_name=f"{bucket}-not")
    with session.case("put_object with metadata, stat_object"):
        client.put_object(bucket_name=bucket, object_name="known", data=io.BytesIO(body), length=len(body),
                          content_type="text/x-test", metadata={"Colour": "Grün".encode().hex()})
        stat = client.stat_object(bucket_name=bucket, object_name="known")
        expect((stat.size, stat.content_type), (len(body), "text/x-test"))
        expect(stat.metadata["x-amz-meta-colour"], "Grün".encode().hex())
    with session.case("put_object of unknown size, in parts"):
        client.put_object(bucket_name=bucket, object_name="unknown", data=io.BytesIO(body * 2), length=-1, part_size=5 * 2**20)
        expect(digest(client, bucket, "unknown"), hashlib.sha256(body * 2).hexdigest(), "SHA-256")
    with session.case("get_object of a range"):
        answer = client.get_object(bucket_name=bucket, object_name="known", offset=1000, length=500)
        expect(answer.read(), body[1000:1500])
        answer.release_conn()
    with session.case("compose_object from two sources"):
        client.compose_object(bucket_name=bucket, object_name="composed", sources=[
            ComposeSource(bucket_name=bucket, object_name="known"), ComposeSource(bucket_name=bucket, object_name="known")])
        expect(digest(client, bucket, "composed"), hashlib.sha256(body * 2).hexdigest(), "SHA-256")
    with session.case("copy_object"):
        client.copy_object(bucket_name=bucket, object_name="copy", source=CopySource(bucket_name=bucket, object_name="known"))
        expect(digest(client, bucket, "copy"), hashlib.sha256(body).hexdigest(), "SHA-256")
    with session.case("presigned_get_object: curl opens it"):
        session.curl(client.presigned_get_object(bucket_name=bucket, object_name="known"))
        expect(hashlib.sha256(session.path("curl.body").read_bytes()).hexdigest(), hashlib.sha256(body).hexdigest())
    with session.case("a missing key is NoSuchKey"):
        try:
            client.get_object(bucket_name=bucket, object_name="missing")
        except S3Error as error:
            expect(error.code, "NoSuchKey")
        else:
            raise AssertionError("was found")
    with session.case("list_objects, remove_objects, remove_bucket"):
        names = sorted(found.object_name for found in client.list_objects(bucket_name=bucket, recursive=True))
        expect(names, ["composed", "copy", "known", "unknown"])
        errors = list(client.remove_objects(bucket_name=bucket, delete_object_list=[DeleteObject(name) for name in names]))
        expect(errors, [])
        client.remove_bucket(bucket_name=bucket)


def digest(client, bucket, name):
    """SHA-256 of an object."""
    answer = client.get_object(bucket_name=bucket, object_name=name)
    try:
        return hashlib.sha256(answer.read()).hexdigest()
    finally:
        answer.close()
        answer.release_conn()
