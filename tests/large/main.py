"""Puts an object of more than 5 GiB in parts, and reads, copies and describes it where offsets do not fit into 32 bits; and one whose
first part has 5 GiB."""

import argparse
import hashlib
import http.client
import os
import pathlib
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "lib"))
# What the machine's user has configured for AWS is none of the tests' business.
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)

EXAMPLES = """examples:
  tests/large/run --binary target/release/ashlar
  tests/large/run --data /mnt/large        needs 12 GB there"""

MIB = 1 << 20
GIB = 1 << 30
PUT_MAX = 5 * GIB
# Eleven parts whose ends lie on no border of anything, and a rest.
PART = 435 * MIB + 17
PARTS = 12
SIZE = 5222 * MIB + 4321
HASHED = hashlib.sha256(b"ashlar").digest() * (MIB // 32)


def arguments():
    """What was asked for."""
    made = argparse.ArgumentParser(prog="tests/large/run", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", metavar="FILE", help="a built ashlar (target/debug/ashlar)")
    made.add_argument("--data", type=pathlib.Path, metavar="FOLDER",
                      help="where the server's data goes, in a folder of its own that is removed again (the system's temporary folder)")
    return made.parse_args()


def pieces(start, end):
    """The object's bytes from start to before end: every MiB begins with its number, so that none can be taken for another."""
    while start < end:
        block, at = divmod(start, MIB)
        length = min(MIB - at, end - start)
        yield (block.to_bytes(8, "little") + HASHED[8:])[at:at + length]
        start += length


def content(start, end):
    """The same in one piece."""
    return b"".join(pieces(start, end))


def digest(start, end):
    """Their MD5."""
    md5 = hashlib.md5()
    for piece in pieces(start, end):
        md5.update(piece)
    return md5


def refused(code, call, **words):
    """Makes a call that must be refused with the code, and returns the answer."""
    from botocore.exceptions import ClientError
    try:
        call(**words)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"not refused: {words}")


class Large:
    """The object's bucket."""

    def __init__(self, target):
        import boto3
        from botocore.config import Config
        self.target = target
        self.s3 = boto3.client("s3", endpoint_url=target.endpoint, aws_access_key_id=target.access_key, aws_secret_access_key=target.secret_key,
                               region_name=target.region, config=Config(
                                   signature_version="s3v4", request_checksum_calculation="when_required", s3={"addressing_style": "path"},
                                   retries={"total_max_attempts": 1}, read_timeout=600))
        self.s3.create_bucket(Bucket="large")
        self.borders = [number * PART for number in range(PARTS)] + [SIZE]
        self.digests = []

    def at(self, key="key", **more):
        """Where a key is."""
        return {"Bucket": "large", "Key": key} | more

    def put(self, operation, length, body=None, **words):
        """Sends a PUT of so many bytes by a presigned URL, or without a body its head alone. Returns the status, headers and body; the
        status is 100 when the server wants the body."""
        url = urllib.parse.urlsplit(self.s3.generate_presigned_url(operation, Params=self.at(**words)))
        connection = http.client.HTTPConnection(url.netloc, timeout=600)
        connection.putrequest("PUT", f"{url.path}?{url.query}", skip_accept_encoding=True)
        connection.putheader("content-length", str(length))
        if body is None:
            connection.putheader("expect", "100-continue")
        connection.endheaders()
        for piece in body or ():
            connection.send(piece)
        if body is None:
            # http.client passes over interim answers.
            line = connection.sock.makefile("rb", buffering=0).readline()
            connection.close()
            return int(line.split()[1])
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.headers

    def what_is_too_long_for_one_put_is_refused_before_its_body(self):
        upload = self.s3.create_multipart_upload(**self.at("refused"))["UploadId"]
        for operation, words in [("put_object", {}), ("upload_part", {"UploadId": upload, "PartNumber": 1})]:
            statuses = [self.put(operation, length, key="refused", **words) for length in (PUT_MAX, PUT_MAX + 1)]
            assert statuses == [100, 400], statuses
        refused("NoSuchKey", self.s3.get_object, **self.at("refused"))
        self.s3.abort_multipart_upload(**self.at("refused", UploadId=upload))

    def the_parts_become_one_object(self):
        upload = self.s3.create_multipart_upload(**self.at(), ChecksumAlgorithm="CRC64NVME")["UploadId"]
        parts = []
        for number, (start, end) in enumerate(zip(self.borders, self.borders[1:]), 1):
            status, headers = self.put("upload_part", end - start, pieces(start, end), UploadId=upload, PartNumber=number)
            self.digests.append(digest(start, end).digest())
            assert (status, headers["etag"]) == (200, f'"{self.digests[-1].hex()}"'), (status, headers)
            parts.append({"PartNumber": number, "ETag": headers["etag"]})
        done = self.s3.complete_multipart_upload(**self.at(), UploadId=upload, MultipartUpload={"Parts": parts}, MpuObjectSize=SIZE)
        self.etag = f'"{hashlib.md5(b"".join(self.digests)).hexdigest()}-{PARTS}"'
        assert done["ETag"] == self.etag, done

    def its_size_is_told_everywhere(self):
        head = self.s3.head_object(**self.at())
        assert (head["ContentLength"], head["ETag"]) == (SIZE, self.etag), head
        listed = self.s3.list_objects_v2(Bucket="large")["Contents"][0]
        assert (listed["Size"], listed["ETag"]) == (SIZE, self.etag), listed
        told = self.s3.get_object_attributes(**self.at(), ObjectAttributes=["ObjectSize", "ObjectParts", "ETag"])
        assert (told["ObjectSize"], told["ObjectParts"]["TotalPartsCount"]) == (SIZE, PARTS), told

    def each_part_can_be_asked_for(self):
        for number, (start, end) in enumerate(zip(self.borders, self.borders[1:]), 1):
            head = self.s3.head_object(**self.at(), PartNumber=number)
            told = (head["ContentLength"], head["PartsCount"], head["ContentRange"])
            assert told == (end - start, PARTS, f"bytes {start}-{end - 1}/{SIZE}"), head
        md5 = hashlib.md5()
        for piece in self.s3.get_object(**self.at(), PartNumber=PARTS)["Body"].iter_chunks(MIB):
            md5.update(piece)
        assert md5.digest() == self.digests[-1]

    def ranges_are_read_over_every_border(self):
        for border in [*self.borders[1:-1], 2 * GIB, 4 * GIB, PUT_MAX]:
            for start, end in [(border - 5, border + 5), (border - 2 * MIB, border + MIB + 7), (border, border + 1), (border - 1, border)]:
                read = self.s3.get_object(**self.at(), Range=f"bytes={start}-{end - 1}")
                assert read["ContentRange"] == f"bytes {start}-{end - 1}/{SIZE}", read
                assert read["Body"].read() == content(start, end), (start, end)
        for asked, start in [(f"bytes={SIZE - 9}-", SIZE - 9), ("bytes=-100000", SIZE - 100000), (f"bytes={PUT_MAX}-{1 << 62}", PUT_MAX)]:
            assert self.s3.get_object(**self.at(), Range=asked)["Body"].read() == content(start, SIZE), asked
        refused("InvalidRange", self.s3.get_object, **self.at(), Range=f"bytes={SIZE}-")

    def all_of_it_is_what_was_sent(self):
        body = self.s3.get_object(**self.at())["Body"]
        at = 0
        for piece in pieces(0, SIZE):
            assert body.read(len(piece)) == piece, at
            at += len(piece)
        assert not body.read(1)

    def pieces_of_it_become_another(self):
        upload = self.s3.create_multipart_upload(**self.at("copied"))["UploadId"]
        source = {"Bucket": "large", "Key": "key"}
        words = self.at("copied", UploadId=upload, CopySource=source)
        ranges = [(4 * GIB - 3 * MIB - 1, 4 * GIB + 3 * MIB), (self.borders[-2] - 5 * MIB, self.borders[-2] + 5 * MIB), (PUT_MAX - 1, SIZE)]
        parts = []
        for number, (start, end) in enumerate(ranges, 1):
            copied = self.s3.upload_part_copy(**words, PartNumber=number, CopySourceRange=f"bytes={start}-{end - 1}")
            etag = copied["CopyPartResult"]["ETag"]
            assert etag == f'"{digest(start, end).hexdigest()}"', (start, end)
            parts.append({"PartNumber": number, "ETag": etag})
        refused("InvalidRequest", self.s3.upload_part_copy, **words, PartNumber=9)
        refused("InvalidArgument", self.s3.upload_part_copy, **words, PartNumber=9, CopySourceRange=f"bytes={SIZE - 9}-{SIZE}")
        self.s3.complete_multipart_upload(**self.at("copied", UploadId=upload), MultipartUpload={"Parts": parts})
        assert self.s3.get_object(**self.at("copied"))["Body"].read() == b"".join(content(*each) for each in ranges)

    def a_copy_that_is_written_anew_is_too_long(self):
        self.target.define_class("STANDARD_IA")
        self.wait_for_class()
        source = {"Bucket": "large", "Key": "key"}
        for more in [{"StorageClass": "STANDARD_IA"}, {"ServerSideEncryption": "AES256"}]:
            refused("InvalidRequest", self.s3.copy_object, **self.at("anew"), CopySource=source, **more)
        refused("404", self.s3.head_object, **self.at("anew"))

    def wait_for_class(self):
        """The gateway hears of a new class within seconds."""
        from botocore.exceptions import ClientError
        deadline = time.monotonic() + 60
        while True:
            try:
                self.s3.put_object(**self.at("small"), Body=b"", StorageClass="STANDARD_IA")
                return
            except ClientError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def a_copy_that_shares_its_bytes_has_no_bound(self):
        copied = self.s3.copy_object(**self.at("shared"), CopySource={"Bucket": "large", "Key": "key"})
        assert copied["CopyObjectResult"]["ETag"] == self.etag, copied
        self.s3.delete_object(**self.at())
        start, end = 4 * GIB - 5, 4 * GIB + 5
        assert self.s3.get_object(**self.at("shared"), Range=f"bytes={start}-{end - 1}")["Body"].read() == content(start, end)

    def one_part_may_be_as_long_as_a_put(self):
        upload = self.s3.create_multipart_upload(**self.at("longest"))["UploadId"]
        rest = 4321
        etags = []
        for number, (start, end) in enumerate([(0, PUT_MAX), (PUT_MAX, PUT_MAX + rest)], 1):
            status, headers = self.put("upload_part", end - start, pieces(start, end), key="longest", UploadId=upload, PartNumber=number)
            assert (status, headers["etag"]) == (200, f'"{digest(start, end).hexdigest()}"'), (status, headers)
            etags.append(headers["etag"])
        listed = self.s3.list_parts(**self.at("longest", UploadId=upload))["Parts"]
        assert [(part["Size"], part["ETag"]) for part in listed] == [(PUT_MAX, etags[0]), (rest, etags[1])], listed
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        self.s3.complete_multipart_upload(**self.at("longest", UploadId=upload), MultipartUpload={"Parts": parts})
        head = self.s3.head_object(**self.at("longest"), PartNumber=1)
        assert (head["ContentLength"], head["ContentRange"]) == (PUT_MAX, f"bytes 0-{PUT_MAX - 1}/{PUT_MAX + rest}"), head
        for start, end in [(0, MIB), (4 * GIB - 9, 4 * GIB + 9), (PUT_MAX - MIB - 9, PUT_MAX + rest)]:
            assert self.s3.get_object(**self.at("longest"), Range=f"bytes={start}-{end - 1}")["Body"].read() == content(start, end), start


CASES = [
    Large.what_is_too_long_for_one_put_is_refused_before_its_body,
    Large.the_parts_become_one_object,
    Large.its_size_is_told_everywhere,
    Large.each_part_can_be_asked_for,
    Large.ranges_are_read_over_every_border,
    Large.all_of_it_is_what_was_sent,
    Large.pieces_of_it_become_another,
    Large.a_copy_that_is_written_anew_is_too_long,
    Large.a_copy_that_shares_its_bytes_has_no_bound,
    Large.one_part_may_be_as_long_as_a_put,
]


def main():
    """Runs every case; returns the exit code."""
    chosen = arguments()
    from report import Report
    from targets import Embedded
    report = Report()
    report.section(f"an object of {SIZE:,} bytes")
    with tempfile.TemporaryDirectory(prefix="ashlar-large-", dir=chosen.data) as folder:
        with Embedded(pathlib.Path(folder) / "server", False, chosen.binary.resolve()) as target:
            large = Large(target)
            for case in CASES:
                with report.case(case.__name__.replace("_", " ")):
                    case(large)
            with report.case("the log has no errors"):
                assert not target.bad_log_lines(), target.bad_log_lines()
    return report.close("large objects")


sys.exit(main())
