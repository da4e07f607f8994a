"""obstore: calls of the object_store crate, one by one."""

import hashlib
import os
import ssl
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import botocore.session
import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from cases import BUCKET, CA, MIB, case, done, refused
from report import expect

WRITERS = 8
ROUNDS = 5
MANY = 1_050


def main():
    """Puts and gets, conditions, listings, parts, races."""
    store = S3Store(BUCKET, retry_config={"max_retries": 0})
    whole(store)
    conditions(store)
    parts(store)
    copies(store)
    races(store)
    listings(store)
    done()


def whole(store):
    """Objects put at once, and read in part."""
    body = os.urandom(MIB + 7)
    with case("put, get, head"):
        put = obstore.put(store, "whole/one", body)
        got = obstore.get(store, "whole/one")
        expect((got.meta["size"], got.meta["e_tag"]), (len(body), put["e_tag"]))
        assert got.bytes().to_bytes() == body, "other bytes"
        expect(put["e_tag"], f'"{hashlib.md5(body).hexdigest()}"', "ETag")
        expect(obstore.head(store, "whole/one")["e_tag"], put["e_tag"], "ETag")
    with case("attributes and tags are stored"):
        obstore.put(store, "whole/described", b"described", attributes={
            "Content-Type": "text/x-test", "Cache-Control": "max-age=7", "Content-Disposition": "inline", "colour": "blue"},
            tags={"team": "data/more + @all"})
        found = obstore.get(store, "whole/described").attributes
        expect({name: found[name] for name in ("Content-Type", "Cache-Control", "Content-Disposition", "colour")},
               {"Content-Type": "text/x-test", "Cache-Control": "max-age=7", "Content-Disposition": "inline", "colour": "blue"})
        tags = botocore.session.get_session().create_client("s3").get_object_tagging(Bucket=BUCKET, Key="whole/described")
        expect(tags["TagSet"], [{"Key": "team", "Value": "data/more + @all"}], "tags")
    with case("get_range, get_ranges, a suffix, an offset"):
        assert obstore.get_range(store, "whole/one", start=10, length=100).to_bytes() == body[10:110], "other bytes"
        pieces = obstore.get_ranges(store, "whole/one", starts=[0, 5, MIB], ends=[3, 50_000, MIB + 7])
        expect([piece.to_bytes() for piece in pieces], [body[:3], body[5:50_000], body[MIB:]], "pieces")
        assert obstore.get(store, "whole/one", options={"range": {"suffix": 9}}).bytes().to_bytes() == body[-9:], "other bytes"
        assert obstore.get(store, "whole/one", options={"range": {"offset": MIB}}).bytes().to_bytes() == body[MIB:], "other bytes"
    with case("keys with odd characters come back as they are"):
        odd = ["odd/with space", "odd/plus+and&", "odd/ünïcode-🦀", "odd/percent%41", "odd/quote'\"<>"]
        for key in odd:
            obstore.put(store, key, key.encode())
        found = [entry["path"] for page in obstore.list(store, "odd") for entry in page]
        expect(len(found), len(odd), "keys")
        expect(sorted(obstore.get(store, key).bytes().to_bytes().decode() for key in found), sorted(odd), "bodies")
    with case("a missing key is FileNotFoundError"):
        with refused(FileNotFoundError):
            obstore.get(store, "whole/missing")
    with case("a signed URL gives the object, and takes one"):
        context = ssl.create_default_context(cafile=CA) if CA else None
        with urllib.request.urlopen(obstore.sign(store, "GET", "whole/one", timedelta(minutes=1)), context=context) as answer:
            assert answer.read() == body, "other bytes"
        request = urllib.request.Request(obstore.sign(store, "PUT", "whole/signed", timedelta(minutes=1)), data=b"signed", method="PUT")
        with urllib.request.urlopen(request, context=context) as answer:
            expect(answer.status, 200, "status")
        expect(obstore.get(store, "whole/signed").bytes().to_bytes(), b"signed")


def conditions(store):
    """Writes and reads that ask for a state."""
    with case("mode create: a second put is AlreadyExistsError and changes nothing"):
        obstore.put(store, "if/created", b"first", mode="create")
        with refused(AlreadyExistsError):
            obstore.put(store, "if/created", b"second", mode="create")
        expect(obstore.get(store, "if/created").bytes().to_bytes(), b"first")
    with case("mode of an ETag: the next put with the same ETag is PreconditionError"):
        first = obstore.put(store, "if/updated", b"one")
        obstore.put(store, "if/updated", b"two", mode={"e_tag": first["e_tag"]})
        with refused(PreconditionError):
            obstore.put(store, "if/updated", b"three", mode={"e_tag": first["e_tag"]})
        expect(obstore.get(store, "if/updated").bytes().to_bytes(), b"two")
    with case("get with if_match and if_none_match"):
        tag = obstore.head(store, "if/updated")["e_tag"]
        expect(obstore.get(store, "if/updated", options={"if_match": tag}).bytes().to_bytes(), b"two")
        with refused(PreconditionError):
            obstore.get(store, "if/updated", options={"if_match": '"0123456789abcdef0123456789abcdef"'})
        with refused(obstore.exceptions.NotModifiedError):
            obstore.get(store, "if/updated", options={"if_none_match": tag})


def parts(store):
    """Uploads in parts, and readers and writers that buffer."""
    body = os.urandom(22 * MIB + 3)
    with case("put of 22 MiB in parts of 5 MiB, 4 at a time; a stream brings it back"):
        put = obstore.put(store, "parts/put", body, use_multipart=True, chunk_size=5 * MIB, max_concurrency=4)
        digests = [hashlib.md5(body[start:start + 5 * MIB]).digest() for start in range(0, len(body), 5 * MIB)]
        expect(put["e_tag"], f'"{hashlib.md5(b"".join(digests)).hexdigest()}-5"', "ETag")
        back = b"".join(map(bytes, obstore.get(store, "parts/put").stream(min_chunk_size=3 * MIB)))
        assert back == body, "other bytes"
    with case("open_writer and open_reader"):
        with obstore.open_writer(store, "parts/written", buffer_size=5 * MIB) as out:
            for start in range(0, len(body), 4 * MIB):
                out.write(body[start:start + 4 * MIB])
        opened = obstore.open_reader(store, "parts/written", buffer_size=MIB)
        opened.seek(21 * MIB)
        assert bytes(opened.read(MIB)) == body[21 * MIB:22 * MIB], "other bytes after a seek"
        opened.seek(0)
        assert bytes(opened.read()) == body, "other bytes"
    with case("an upload whose source fails leaves no object"):
        def broken():
            yield body[:6 * MIB]
            raise OSError("the source broke")
        with refused(OSError):
            obstore.put(store, "parts/broken", broken(), use_multipart=True, chunk_size=5 * MIB)
        with refused(FileNotFoundError):
            obstore.head(store, "parts/broken")


def copies(store):
    """Copies on the server, three ways of not overwriting."""
    with case("copy and rename"):
        obstore.copy(store, "whole/one", "copies/one")
        obstore.rename(store, "copies/one", "copies/two")
        expect(obstore.get(store, "copies/two").bytes(), obstore.get(store, "whole/one").bytes())
        with refused(FileNotFoundError):
            obstore.head(store, "copies/one")
    with case("copy in parts that must not overwrite: the second is AlreadyExistsError and changes nothing"):
        careful = S3Store(BUCKET, config={"copy_if_not_exists": "multipart"}, retry_config={"max_retries": 0})
        obstore.copy(careful, "parts/put", "copies/careful", overwrite=False)
        with refused(AlreadyExistsError):
            obstore.copy(careful, "whole/one", "copies/careful", overwrite=False)
        assert obstore.get(store, "copies/careful").bytes() == obstore.get(store, "parts/put").bytes(), "other bytes"
    with case("copy with the header If-None-Match: the second is AlreadyExistsError and changes nothing"):
        careful = S3Store(BUCKET, config={"copy_if_not_exists": "header-with-status:if-none-match:*:412"}, retry_config={"max_retries": 0})
        obstore.copy(careful, "whole/one", "copies/header", overwrite=False)
        with refused(AlreadyExistsError):
            obstore.copy(careful, "whole/described", "copies/header", overwrite=False)
        expect(obstore.get(store, "copies/header").bytes(), obstore.get(store, "whole/one").bytes())


def races(store):
    """Writers that meet at one key."""
    with case(f"of {2 * WRITERS} creations at once exactly one wins, and its bytes stay"):
        def create(number):
            try:
                obstore.put(store, "races/created", str(number).encode(), mode="create")
            except AlreadyExistsError:
                return None
            return number
        with ThreadPoolExecutor(2 * WRITERS) as threads:
            winners = [number for number in threads.map(create, range(2 * WRITERS)) if number is not None]
        expect(len(winners), 1, "winners")
        expect(obstore.get(store, "races/created").bytes().to_bytes(), str(winners[0]).encode())
    with case(f"{WRITERS} writers count to {WRITERS * ROUNDS} with if-match, and none is lost"):
        obstore.put(store, "races/counter", b"0")

        def count(_number):
            for _ in range(ROUNDS):
                while True:
                    seen = obstore.get(store, "races/counter")
                    more = str(int(seen.bytes().to_bytes()) + 1).encode()
                    try:
                        obstore.put(store, "races/counter", more, mode={"e_tag": seen.meta["e_tag"]})
                        break
                    except PreconditionError:
                        continue
        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(count, range(WRITERS)))
        expect(int(obstore.get(store, "races/counter").bytes().to_bytes()), WRITERS * ROUNDS, "count")


def listings(store):
    """Pages, offsets, common prefixes, deletes of more keys than one request takes."""
    wanted = [f"many/{number % 7}/{number:05}" for number in range(MANY)]
    with case(f"{MANY} keys are listed, in order"):
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda key: obstore.put(store, key, key.encode(), use_multipart=False), wanted))
        found = [(entry["path"], entry["size"]) for page in obstore.list(store, "many") for entry in page]
        expect(found, [(key, len(key)) for key in sorted(wanted)], "keys")
    with case("list with an offset begins behind it"):
        after = sorted(wanted)[700]
        found = [entry["path"] for page in obstore.list(store, "many", offset=after) for entry in page]
        expect(found, sorted(wanted)[701:], "keys")
    with case("list_with_delimiter shows common prefixes and the objects beside them"):
        obstore.put(store, "many/beside", b"")
        found = obstore.list_with_delimiter(store, "many")
        expect(sorted(found["common_prefixes"]), [f"many/{number}" for number in range(7)], "prefixes")
        expect([entry["path"] for entry in found["objects"]], ["many/beside"], "objects")
    with case("delete of all of them in one call"):
        obstore.delete(store, [*wanted, "many/beside"])
        expect([entry["path"] for page in obstore.list(store, "many") for entry in page], [], "keys")


if __name__ == "__main__":
    main()
