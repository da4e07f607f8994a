"""s3torchconnectorclient: streams in and out through Mountpoint's client, listings, copies."""

import hashlib
import os

from s3torchconnectorclient._mountpoint_s3_client import MountpointS3Client, S3Exception

from cases import BUCKET, ENDPOINT, MIB, REGION, case, done, refused
from report import expect

PART = 5 * MIB
MANY = 1_050


def main():
    """Writes, reads, ranges, listings, copies."""
    client = MountpointS3Client(region=REGION, endpoint=ENDPOINT, force_path_style=True, part_size=PART, max_attempts=1)
    streams(client)
    ranges(client)
    listings(client)
    copies(client)
    done()


def put(client, key, *pieces):
    """Writes an object piece by piece."""
    stream = client.put_object(BUCKET, key)
    for piece in pieces:
        stream.write(piece)
    stream.close()


def get(client, key, *range_):
    """An object's bytes, or a range of them."""
    return b"".join(client.get_object(BUCKET, key, *range_))


def streams(client):
    """Objects of sizes around those of parts."""
    for size in (0, 1, 100_000, PART - 1, PART, PART + 1, 4 * PART + 12_345):
        with case(f"a stream of {size:,} bytes is written in parts and read back"):
            body = os.urandom(size)
            put(client, f"streams/{size}", *(body[at:at + 300_000] for at in range(0, size, 300_000)))
            head = client.head_object(BUCKET, f"streams/{size}")
            expect(head.size, size, "size")
            assert get(client, f"streams/{size}") == body, "other bytes"
    with case("an overwritten object is the new one at once"):
        for number in range(10):
            body = os.urandom(200_000 + number)
            put(client, "streams/again", body)
            assert get(client, "streams/again") == body, "other bytes"
    with case("a stream that is dropped leaves no object"):
        stream = client.put_object(BUCKET, "streams/dropped")
        stream.write(b"some")
        del stream
        with refused(S3Exception):
            client.head_object(BUCKET, "streams/dropped")


def ranges(client):
    """Parts of an object."""
    body = os.urandom(3 * PART + 77)
    put(client, "ranges/one", body)
    for start, end in ((0, 10), (PART - 5, PART + 5), (2 * PART, 3 * PART + 77), (1, len(body))):
        with case(f"the bytes from {start:,} to {end:,}"):
            expect(hashlib.sha256(get(client, "ranges/one", start, end)).hexdigest(), hashlib.sha256(body[start:end]).hexdigest(), "SHA-256")
    with case("a missing key is an error"):
        with refused(S3Exception):
            get(client, "ranges/none")
        with refused(S3Exception):
            client.head_object(BUCKET, "ranges/none")


def listings(client):
    """Pages of keys, with delimiters."""
    keys = sorted(f"list/{number % 7}/{number:05}" for number in range(MANY))
    with case(f"{MANY:,} keys in pages of a thousand, and in pages of 100"):
        for key in keys:
            put(client, key, b"x")
        for page in (1000, 100):
            pages = list(client.list_objects(BUCKET, "list/", "", page))
            expect([entry.key for one in pages for entry in one.object_info], keys, "keys")
            expect(len(pages), -(-MANY // page), "pages")
    with case("prefixes by the delimiter, in pages of 3"):
        pages = list(client.list_objects(BUCKET, "list/", "/", 3))
        expect([prefix for one in pages for prefix in one.common_prefixes], [f"list/{number}/" for number in range(7)], "prefixes")
    with case("keys with odd characters come back as they are"):
        odd = sorted(["odd/with space", "odd/plus+and&", "odd/ünïcode-🦀", "odd/percent%41", "odd/quote'\"<>"])
        for key in odd:
            put(client, key, key.encode())
        expect(sorted(entry.key for page in client.list_objects(BUCKET, "odd/") for entry in page.object_info), odd, "keys")
        expect([get(client, key).decode() for key in odd], odd, "bodies")


def copies(client):
    """Copies on the server, and deletes."""
    with case("copy_object, then delete_object of the source"):
        body = os.urandom(2 * PART)
        put(client, "copies/source", body)
        client.copy_object(BUCKET, "copies/source", BUCKET, "copies/to a+b")
        client.delete_object(BUCKET, "copies/source")
        with refused(S3Exception):
            client.head_object(BUCKET, "copies/source")
        assert get(client, "copies/to a+b") == body, "other bytes"
    with case("delete_object of a missing key is no error"):
        client.delete_object(BUCKET, "copies/none")


if __name__ == "__main__":
    main()
