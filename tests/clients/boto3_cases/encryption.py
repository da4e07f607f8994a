"""Server-side encryption: by keys of the store, by a bucket's default, and by keys of the client's, which are taken over HTTPS alone."""

import os

from boto3_cases.context import MIB, Cases, etag, random_bytes, refused
from report import expect

CASES = Cases()


def by_key(key, prefix="SSECustomer"):
    """The parameters that bring a key; boto3 adds its MD5."""
    return {f"{prefix}Algorithm": "AES256", f"{prefix}Key": key}


@CASES.add
def an_object_is_encrypted_by_keys_of_the_store(c):
    for size in (0, 10, 3 * MIB):
        body, key = random_bytes(size), c.key()
        put = c.s3.put_object(Bucket=c.bucket, Key=key, Body=body, ServerSideEncryption="AES256")
        expect((put["ServerSideEncryption"], put["ETag"]), ("AES256", etag(body)))
        head = c.head(key)
        expect((head["ServerSideEncryption"], head["ContentLength"], head["ETag"]), ("AES256", size, etag(body)))
        c.expect_object(key, body)
    expect(c.get(key, Range="bytes=65530-200000"), body[65530:200001])
    expect("ServerSideEncryption" in c.head(c.put()), False)
    with refused("NotImplemented", 501):
        c.put(ServerSideEncryption="aws:kms:dsse")


@CASES.add
def an_object_is_encrypted_by_a_key_of_the_key_service(c):
    body, key = random_bytes(200_000), c.key()
    put = c.s3.put_object(Bucket=c.bucket, Key=key, Body=body, ServerSideEncryption="aws:kms", BucketKeyEnabled=True)
    expect((put["ServerSideEncryption"], put["BucketKeyEnabled"]), ("aws:kms", True))
    expect(put["ETag"] == etag(body), False)
    head = c.head(key)
    expect((head["ServerSideEncryption"], head["SSEKMSKeyId"], head["ContentLength"]), ("aws:kms", put["SSEKMSKeyId"], len(body)))
    expect(put["SSEKMSKeyId"].startswith("arn:aws:kms:"), True)
    expect(c.get(key), body)
    expect(c.get(key, Range="bytes=65530-150000"), body[65530:150001])
    with refused("KMS.NotFoundException", 400):
        c.put(ServerSideEncryption="aws:kms", SSEKMSKeyId="no-such-key")


@CASES.add
def an_upload_is_encrypted_in_all_its_parts(c):
    key, parts = c.key(), [random_bytes(5 * MIB + 1), random_bytes(1000)]
    upload = c.s3.create_multipart_upload(Bucket=c.bucket, Key=key, ServerSideEncryption="AES256")
    expect(upload["ServerSideEncryption"], "AES256")
    named = {"Bucket": c.bucket, "Key": key, "UploadId": upload["UploadId"]}
    sent = []
    for number, body in enumerate(parts, 1):
        part = c.s3.upload_part(**named, PartNumber=number, Body=body)
        expect((part["ServerSideEncryption"], part["ETag"]), ("AES256", etag(body)))
        sent.append({"PartNumber": number, "ETag": part["ETag"]})
    done = c.s3.complete_multipart_upload(**named, MultipartUpload={"Parts": sent})
    expect(done["ServerSideEncryption"], "AES256")
    c.expect_object(key, b"".join(parts))
    expect(c.get(key, PartNumber=2), parts[1])


@CASES.add
def a_bucket_encrypts_what_is_new(c):
    bucket, body = c.another_bucket(), random_bytes(200_000)
    c.put("before", body, Bucket=bucket)
    with refused("ServerSideEncryptionConfigurationNotFoundError", 404):
        c.s3.get_bucket_encryption(Bucket=bucket)
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    c.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    kept = c.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    expect([rule["ApplyServerSideEncryptionByDefault"] for rule in kept], [{"SSEAlgorithm": "AES256"}])
    c.put("after", body, Bucket=bucket)
    copied = c.s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "before"})
    expect(copied["ServerSideEncryption"], "AES256")
    expect([c.head(key, Bucket=bucket).get("ServerSideEncryption") for key in ("before", "after", "copy")], [None, "AES256", "AES256"])
    for key in ("before", "after", "copy"):
        c.expect_object(key, body, Bucket=bucket)
    c.s3.delete_bucket_encryption(Bucket=bucket)
    c.put("later", body, Bucket=bucket)
    expect("ServerSideEncryption" in c.head("later", Bucket=bucket), False)


@CASES.add
def an_object_is_encrypted_by_a_key_of_the_clients(c):
    mine, other, body, key = os.urandom(32), os.urandom(32), random_bytes(MIB), c.key()
    if not c.target.tls:
        with refused("InvalidRequest", 400):
            c.put(key, body, **by_key(mine))
        expect(c.exists(key), False)
        return
    put = c.s3.put_object(Bucket=c.bucket, Key=key, Body=body, **by_key(mine))
    expect(put["SSECustomerAlgorithm"], "AES256")
    assert put["ETag"] != etag(body), "the entity tag tells of the bytes"
    c.expect_object(key, body, **by_key(mine))
    expect(c.get(key, Range="bytes=65530-70000", **by_key(mine)), body[65530:70001])
    expect(c.head(key, **by_key(mine))["ContentLength"], MIB)
    with refused("InvalidRequest", 400):
        c.get(key)
    with refused("AccessDenied", 403):
        c.get(key, **by_key(other))

    copy, source = c.key(), {"Bucket": c.bucket, "Key": key}
    c.s3.copy_object(Bucket=c.bucket, Key=copy, CopySource=source, **by_key(mine, "CopySourceSSECustomer"), **by_key(other))
    c.expect_object(copy, body, **by_key(other))
    with refused("InvalidRequest", 400):
        c.s3.copy_object(Bucket=c.bucket, Key=c.key(), CopySource=source)


@CASES.add
def an_upload_is_encrypted_by_a_key_of_the_clients(c):
    if not c.target.tls:
        return
    mine, key, parts = os.urandom(32), c.key(), [random_bytes(5 * MIB), random_bytes(70_000)]
    upload = c.s3.create_multipart_upload(Bucket=c.bucket, Key=key, **by_key(mine))
    named = {"Bucket": c.bucket, "Key": key, "UploadId": upload["UploadId"]}
    with refused("InvalidRequest", 400):
        c.s3.upload_part(**named, PartNumber=1, Body=parts[0])
    sent = [{"PartNumber": number, "ETag": c.s3.upload_part(**named, PartNumber=number, Body=body, **by_key(mine))["ETag"]}
            for number, body in enumerate(parts, 1)]
    c.s3.complete_multipart_upload(**named, MultipartUpload={"Parts": sent})
    c.expect_object(key, b"".join(parts), **by_key(mine))
