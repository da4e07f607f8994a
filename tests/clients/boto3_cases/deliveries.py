"""What is delivered to buckets: access logs and inventories. The servers are set to deliver within seconds; a day has a minute."""

import gzip
import hashlib
import io
import json
import re
import ssl
import time
import urllib.request

import pyarrow.parquet

from boto3_cases.context import Cases, md5, refused
from report import expect

CASES = Cases()

FIELDS = re.compile(r'"[^"]*"|\[[^\]]*\]|[^ ]+')
# A gateway takes in what another one changed within this time.
SEEN_BY_ALL = 7


def wait_for(what, find, seconds=90):
    """What `find` finds, as soon as it finds anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}")


def keys(c, bucket, prefix):
    """The keys of a bucket under a prefix."""
    pages = c.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


@CASES.add
def access_logs_are_delivered_and_hold_every_field(c):
    if not c.target.ours:
        return
    source, logs = c.another_bucket(), c.another_bucket()
    status = {"LoggingEnabled": {"TargetBucket": logs, "TargetPrefix": "logs/",
                                 "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}}}}
    expect("LoggingEnabled" in c.s3.get_bucket_logging(Bucket=source), False)
    c.s3.put_bucket_logging(Bucket=source, BucketLoggingStatus=status)
    expect(c.s3.get_bucket_logging(Bucket=source)["LoggingEnabled"], status["LoggingEnabled"])
    time.sleep(SEEN_BY_ALL)
    c.s3.put_object(Bucket=source, Key="a b", Body=b"content")
    request = c.s3.get_object(Bucket=source, Key="a b", Range="bytes=0-2")["ResponseMetadata"]["RequestId"]
    with refused("NoSuchKey"):
        c.s3.get_object(Bucket=source, Key="missing")
    url = c.s3.generate_presigned_url("get_object", Params={"Bucket": source, "Key": "a b"})
    expect("X-Amz-Signature" in url, True)
    trust = ssl.create_default_context(cafile=c.target.ca) if c.target.ca else None
    with urllib.request.urlopen(url, context=trust) as answer:
        expect(answer.read(), b"content")
    signature = re.search(r"X-Amz-Signature=(\w+)", url)[1]

    def records():
        lines = [line for key in keys(c, logs, "logs/") for line in c.get(key, Bucket=logs).decode().splitlines()]
        found = [FIELDS.findall(line) for line in lines]
        expect({len(fields) for fields in found} <= {27}, True, "fields of each record")
        wanted = [fields for fields in found if fields[6] in ("REST.GET.OBJECT", "REST.PUT.OBJECT")]
        expect(any(signature in line for line in lines), False, "a signature in a log")
        return wanted if len(wanted) == 4 else None

    found = wait_for("four records", records)
    presigned = next(fields for fields in found if fields[21] == "QueryString")
    expect((presigned[9], "X-Amz-Signature=REDACTED" in presigned[8]), ("200", True))
    ranged = next(fields for fields in found if fields[5] == request)
    expect((ranged[1], ranged[7], ranged[9:13]), (source, "a+b", ["206", "-", "3", "7"]))
    expect((ranged[19], ranged[21], ranged[16].startswith('"Boto3/')), ("SigV4", "AuthHeader", True))
    expect(ranged[23].startswith("TLSv1."), bool(c.target.ca))
    missing = next(fields for fields in found if fields[7] == "missing")
    expect(missing[9:11], ["404", "NoSuchKey"])
    account = c.s3.list_buckets()["Owner"]["ID"]
    expect((ranged[0], ranged[4]), (account, account))
    pattern = rf"logs/{account}/{c.target.region}/{source}/\d{{4}}/\d\d/\d\d/\d{{4}}(-\d\d){{5}}-[0-9A-F]{{16}}"
    expect(all(re.fullmatch(pattern, key) for key in keys(c, logs, "")), True, "keys of log objects")
    c.s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={})
    expect("LoggingEnabled" in c.s3.get_bucket_logging(Bucket=source), False)
    with refused("InvalidTargetBucketForLogging", 400):
        nowhere = {"LoggingEnabled": {"TargetBucket": "there-is-no-such-bucket", "TargetPrefix": ""}}
        c.s3.put_bucket_logging(Bucket=source, BucketLoggingStatus=nowhere)
    time.sleep(SEEN_BY_ALL)


def configuration(identifier, lists, form):
    """Everything that can be asked for, of all versions."""
    fields = ["Size", "LastModifiedDate", "StorageClass", "ETag", "IsMultipartUploaded", "ReplicationStatus", "EncryptionStatus",
              "ObjectLockRetainUntilDate", "ObjectLockMode", "ObjectLockLegalHoldStatus", "ChecksumAlgorithm", "ObjectOwner"]
    destination = {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{lists}", "Format": form, "Prefix": "lists"}}
    return {"Id": identifier, "IsEnabled": True, "Destination": destination, "IncludedObjectVersions": "All",
            "Schedule": {"Frequency": "Daily"}, "OptionalFields": fields, "Filter": {"Prefix": "in/"}}


def delivered(c, source, lists, identifier):
    """The manifest of a list, and its files by their keys."""
    under = f"lists/{source}/{identifier}/"

    def manifest():
        for key in keys(c, lists, under):
            if key.endswith("manifest.checksum"):
                body = c.get(key.replace(".checksum", ".json"), Bucket=lists)
                if md5(body) == c.get(key, Bucket=lists).decode():
                    return json.loads(body)
        return None

    found = wait_for("a manifest", manifest)
    files = {each["key"]: c.get(each["key"], Bucket=lists) for each in found["files"]}
    for each in found["files"]:
        body = files[each["key"]]
        expect((each["size"], each["MD5checksum"]), (len(body), hashlib.md5(body).hexdigest()))
    return found, list(files.values())


@CASES.add
def inventories_are_delivered_and_read_by_others(c):
    if not c.target.ours:
        return
    source, lists = c.another_bucket(versioned=True), c.another_bucket()
    c.put("in/a b", b"old", Bucket=source)
    put = c.s3.put_object(Bucket=source, Key="in/a b", Body=b"newer")
    marker = c.s3.delete_object(Bucket=source, Key="in/gone")["VersionId"]
    c.put("out", b"", Bucket=source)
    upload = c.s3.create_multipart_upload(Bucket=source, Key="in/parts")["UploadId"]
    part = c.s3.upload_part(Bucket=source, Key="in/parts", UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    c.s3.complete_multipart_upload(Bucket=source, Key="in/parts", UploadId=upload, MultipartUpload=parts)
    for identifier, form in (("csv", "CSV"), ("parquet", "Parquet")):
        wanted = configuration(identifier, lists, form)
        c.s3.put_bucket_inventory_configuration(Bucket=source, Id=identifier, InventoryConfiguration=wanted)
        expect(c.s3.get_bucket_inventory_configuration(Bucket=source, Id=identifier)["InventoryConfiguration"], wanted)
    listed = c.s3.list_bucket_inventory_configurations(Bucket=source)
    expect([each["Id"] for each in listed["InventoryConfigurationList"]], ["csv", "parquet"])

    manifest, files = delivered(c, source, lists, "csv")
    expect((manifest["fileFormat"], manifest["destinationBucket"]), ("CSV", f"arn:aws:s3:::{lists}"))
    schema = manifest["fileSchema"].split(", ")
    rows = [line[1:-1].split('","') for body in files for line in gzip.decompress(body).decode().splitlines()]
    in_csv = [dict(zip(schema, row)) for row in rows]

    manifest, files = delivered(c, source, lists, "parquet")
    expect(manifest["fileSchema"].startswith("message s3.inventory { required binary bucket (UTF8);"), True)
    table = [row for body in files for row in pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()]
    expect([row["key"] for row in table], ["in/a b", "in/a b", "in/gone", "in/parts"])
    newest, old, gone, parts = table
    expect((newest["size"], newest["is_latest"], old["size"], old["is_latest"]), (5, True, 3, False))
    expect((newest["version_id"], f'"{newest["e_tag"]}"'), (put["VersionId"], put["ETag"]))
    expect((gone["version_id"], gone["is_delete_marker"], gone["size"], gone["e_tag"]), (marker, True, None, None))
    expect((parts["is_multipart_uploaded"], newest["is_multipart_uploaded"]), (True, False))
    expect((newest["encryption_status"], newest["storage_class"], newest["replication_status"]), ("NOT-SSE", "STANDARD", None))
    head = c.head("in/a b", Bucket=source)
    expect(newest["last_modified_date"].replace(microsecond=0, tzinfo=None), head["LastModified"].replace(tzinfo=None))

    expect([row["Key"] for row in in_csv], ["in/a+b", "in/a+b", "in/gone", "in/parts"])
    for one, other in zip(in_csv, table):
        expect((one["VersionId"], one["ETag"], one["Size"]),
               (other["version_id"], other["e_tag"] or "", "" if other["size"] is None else str(other["size"])))
    for identifier in ("csv", "parquet"):
        c.s3.delete_bucket_inventory_configuration(Bucket=source, Id=identifier)
        with refused("NoSuchConfiguration", 404):
            c.s3.get_bucket_inventory_configuration(Bucket=source, Id=identifier)
    # One that is being made is finished.
    time.sleep(5)
