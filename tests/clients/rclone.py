"""rclone: trees compared by MD5, server-side copies, multipart both ways, both listing versions."""

import concurrent.futures
import datetime
import json
import shutil
import time
import urllib.parse

from boto3_cases.context import Context
from files import hash_file, hash_tree, make_tree, write_random
from processes import Server, free_port
from report import expect
from targets import answers
from sessions import VENV

RCLONE = VENV / "rclone"
FILES = 300


def run(session):
    """All of it in two buckets."""
    one, two = session.bucket_name("rclone"), session.bucket_name("rclone")
    target = session.target
    remote = {
        "RCLONE_CONFIG": str(session.path("no-such-config")),
        "RCLONE_CONFIG_A_TYPE": "s3",
        "RCLONE_CONFIG_A_PROVIDER": "Other",
        "RCLONE_CONFIG_A_ENDPOINT": target.endpoint,
        "RCLONE_CONFIG_A_ACCESS_KEY_ID": target.access_key,
        "RCLONE_CONFIG_A_SECRET_ACCESS_KEY": target.secret_key,
        "RCLONE_CONFIG_A_REGION": target.region,
    }
    trust = ["--ca-cert", target.ca] if target.ca else []

    def rclone(*words, **more):
        return session.run(RCLONE, *words, *trust, "--stats=0", "--retries=1", "--low-level-retries=1", **remote, **more)

    tree = session.path("tree")
    make_tree(tree, FILES, seed=3)
    wanted = hash_tree(tree)

    with session.case("mkdir"):
        rclone("mkdir", f"A:{one}")
        rclone("mkdir", f"A:{two}")
    with session.case(f"sync of {FILES} files up"):
        rclone("sync", "--checksum", tree, f"A:{one}/tree")
    with session.case("check finds no difference by MD5"):
        expect_equal(rclone, tree, f"A:{one}/tree", FILES, "--checksum")
    for version in ("1", "2"):
        with session.case(f"size counts them, listing version {version}"):
            size = json.loads(rclone("size", "--json", f"A:{one}/tree", RCLONE_S3_LIST_VERSION=version))
            expect((size["count"], size["bytes"]), (FILES, sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())))
    with session.case("lsf with listing pages of 7 keys finds every file"):
        listed = rclone("lsf", "-R", "--files-only", f"A:{one}/tree", RCLONE_S3_LIST_CHUNK="7").splitlines()
        expect(sorted(listed), sorted(wanted), "files")
    with session.case("copy down: names and hashes are equal"):
        rclone("copy", f"A:{one}/tree", session.path("back"))
        expect(hash_tree(session.path("back")), wanted, "tree")
    with session.case("modification times come back"):
        sample = sorted(wanted)[5]
        expect(round((session.path("back") / sample).stat().st_mtime, 3), round((tree / sample).stat().st_mtime, 3))
    with session.case("server-side copy to another bucket, then check --download"):
        rclone("copy", f"A:{one}/tree", f"A:{two}/copy")
        expect_equal(rclone, tree, f"A:{two}/copy", FILES, "--download")
    with session.case("server-side move"):
        rclone("move", f"A:{two}/copy", f"A:{two}/moved")
        expect_equal(rclone, tree, f"A:{two}/moved", FILES, "--checksum")
        expect(json.loads(rclone("size", "--json", f"A:{two}/copy"))["count"], 0, "files left behind")
    with session.case("sync carries over a change and a removal"):
        first, second = sorted(path for path in tree.rglob("*.rs"))[:2]
        first.write_bytes(b"changed")
        second.unlink()
        rclone("sync", "--checksum", tree, f"A:{one}/tree")
        expect_equal(rclone, tree, f"A:{one}/tree", FILES - 1, "--checksum")
    large_files(session, rclone, one, two)
    at_a_time(session, rclone, tree)
    many_keys(session, rclone)
    serve(session, remote, trust, one, tree)
    with session.case("purge of both buckets"):
        rclone("purge", f"A:{one}")
        rclone("purge", f"A:{two}")
        left = rclone("lsd", "A:")
        assert one not in left and two not in left, left


def expect_equal(rclone, tree, remote, files, how):
    """Compares a tree with a remote one, file by file."""
    compared = rclone("check", how, "--combined=-", tree, remote).splitlines()
    expect([line for line in compared if not line.startswith("= ")], [], "differences")
    expect(len(compared), files, "files compared")


def large_files(session, rclone, one, two):
    """Multipart upload, ranged download and server-side copy in parts."""
    large = session.path("large")
    wanted = write_random(large, 23 * 2**20 + 11)
    pieces = {"RCLONE_S3_UPLOAD_CUTOFF": "5Mi", "RCLONE_S3_CHUNK_SIZE": "5Mi", "RCLONE_S3_COPY_CUTOFF": "6Mi"}
    with session.case("copy of 23 MiB up in parts of 5 MiB"):
        rclone("copyto", large, f"A:{one}/large", **pieces)
    with session.case("down in four streams"):
        rclone("copyto", "--multi-thread-streams=4", "--multi-thread-cutoff=1Mi", f"A:{one}/large", session.path("large.down"))
        expect(hash_file(session.path("large.down")), wanted, "SHA-256")
    with session.case("server-side copy in parts"):
        rclone("copyto", f"A:{one}/large", f"A:{two}/large", **pieces)
        rclone("copyto", f"A:{two}/large", session.path("large.copy"))
        expect(hash_file(session.path("large.copy")), wanted, "SHA-256")
    with session.case("cat of a range"):
        lines = session.path("lines")
        lines.write_text("".join(f"line {number:07}\n" for number in range(200_000)))
        rclone("copyto", lines, f"A:{one}/lines")
        expect(rclone("cat", "--offset=1300000", "--count=39", f"A:{one}/lines"), lines.read_text()[1300000:1300039])


def at_a_time(session, rclone, tree):
    """A bucket with versions, read as it was before: listings of versions and reads by their ids."""
    bucket = Context(session, "rclone-versions")
    bucket.create()
    bucket.set_versioning(bucket.bucket, "Enabled")
    place = f"A:{bucket.bucket}/tree"
    with session.case("a tree as it was before files were changed and deleted"):
        rclone("sync", "--checksum", tree, place)
        wanted = hash_tree(tree)
        # What is dated by whole seconds is told apart by them.
        latest = max(version["LastModified"] for version in bucket.s3.list_object_versions(Bucket=bucket.bucket)["Versions"])
        moment = latest + datetime.timedelta(seconds=1)
        while datetime.datetime.now(datetime.timezone.utc) < moment + datetime.timedelta(seconds=1):
            time.sleep(0.1)
        changed = session.path("changed")
        shutil.copytree(tree, changed)
        first, *others = sorted(path for path in changed.rglob("*.rs"))
        first.write_bytes(b"changed again")
        for path in others[:20]:
            path.unlink()
        rclone("sync", "--checksum", changed, place)
        expect(hash_tree(changed) == wanted, False, "the same tree")
        rclone("copy", f"--s3-version-at={moment:%Y-%m-%dT%H:%M:%SZ}", place, session.path("before"))
        expect(hash_tree(session.path("before")), wanted, "tree")
        bucket.remove()


def many_keys(session, rclone):
    """Listings of very many keys, and a comparison of two of them."""
    bucket, count = Context(session, "rclone-many"), session.options.keys
    bucket.create()

    def fill(numbers):
        client = bucket.client()
        for number in numbers:
            key = f"one/{number % 97:02}/{number:07}"
            client.put_object(Bucket=bucket.bucket, Key=key, Body=b"%d" % number)
            client.copy_object(Bucket=bucket.bucket, Key=f"two{key[3:]}", CopySource={"Bucket": bucket.bucket, "Key": key})

    with session.case(f"size and check of {count} keys, and of as many others"):
        workers = 8
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, (range(worker, count, workers) for worker in range(workers))))
        one, two = (f"A:{bucket.bucket}/{name}" for name in ("one", "two"))
        size = json.loads(rclone("size", "--json", one, seconds=3600))
        expect((size["count"], size["bytes"]), (count, sum(len(str(number)) for number in range(count))))
        rclone("check", "--checksum", one, two, seconds=3600)
        bucket.s3.put_object(Bucket=bucket.bucket, Key="two/00/0000000", Body=b"1")
        bucket.s3.delete_object(Bucket=bucket.bucket, Key=f"two/{(count - 1) % 97:02}/{count - 1:07}")
        differing = rclone("check", "--checksum", "--differ=-", "--missing-on-dst=-", one, two, seconds=3600, code=None)
        for name in ("00/0000000", f"{(count - 1) % 97:02}/{count - 1:07}"):
            assert name in differing.splitlines(), differing[-2000:]
        rclone("purge", f"A:{bucket.bucket}", seconds=3600)


def serve(session, remote, trust, bucket, tree):
    """What rclone serves to others: files are read in ranges when they are opened, and folders are listed."""
    port = free_port()
    server = Server("rclone-serve", [RCLONE, "serve", "http", "--addr", f"127.0.0.1:{port}", *trust, f"A:{bucket}/tree"],
                    session.environment(**remote), session.path("rclone-serve.log"))
    server.start()
    try:
        server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/", None))
        with session.case("serve http: every file's hash is equal, and so is a range"):
            wanted = hash_tree(tree)
            back = session.path("served")
            for name in wanted:
                (back / name).parent.mkdir(parents=True, exist_ok=True)
            words = [word for name in wanted for word in ("--output", back / name, f"http://127.0.0.1:{port}/{urllib.parse.quote(name)}")]
            session.run("/usr/bin/curl", "--silent", "--show-error", "--fail", "--globoff", "--path-as-is", "--create-dirs", *words)
            expect(hash_tree(back), wanted, "tree")
            largest = max(wanted, key=lambda name: (tree / name).stat().st_size)
            part = session.curl(f"http://127.0.0.1:{port}/{urllib.parse.quote(largest)}", "--range", "1000-2999")
            assert part == (tree / largest).read_bytes()[1000:3000], "other bytes"
    finally:
        # Its code after a signal is the signal's.
        server.kill()
