"""JuiceFS: a file system whose blocks are objects, its own suite for object stores, and its sync."""

import contextlib
import json
import os
import re
import shutil

from data_programs import VENV, begin, end
from files import hash_tree, make_tree, write_random
from processes import Server, free_port
from report import NotRun, expect

FILES = 150
# What its suite tests, and for S3 either cannot pass or does not ask: S3 answers 416 to an offset behind the end, where the suite
# would like no bytes at all and warns.
WANTED = {
    "create a bucket": "pass", "put an object": "pass", "get an object": "pass", "get non-exist": "pass",
    "get partial object": "failed to get object with the offset out of r...", "head an object": "pass", "delete an object": "pass",
    "delete non-exist": "pass", "list objects": "pass", "special key": "pass", "put a big object": "pass",
    "put an empty object": "pass", "multipart upload": "pass", "change owner/group": "not support",
    "change permission": "not support", "change mtime": "not support",
}


def run(session):
    """objbench, sync, and a volume."""
    target = session.target
    bucket = begin(session, "juicefs")
    keys = ["--access-key", target.access_key, "--secret-key", target.secret_key]

    def juicefs(*words, **more):
        return session.run(VENV / "juicefs", *words, **more)

    with session.case("objbench: its suite finds what it finds on S3"):
        printed = juicefs("objbench", "--storage", "s3", *keys, "--big-object-size", "16", "--small-objects", "20",
                          f"{target.endpoint}/{bucket.bucket}")
        found = dict(re.findall(r"^\| +(?:basic|sync) \| +(.+?) \| +(.+?) \|$", printed, re.MULTILINE))
        expect(found, WANTED, "results")
    with session.case(f"sync of {FILES} files up, changed, and down"):
        tree, back = session.path("tree"), session.path("back")
        make_tree(tree, FILES, seed=13)
        scheme = [] if target.tls else ["--no-https"]
        remote = f"s3://{target.access_key}:{target.secret_key}@{target.endpoint.split('//')[1]}/{bucket.bucket}/sync/"
        juicefs("sync", *scheme, "--check-new", f"{tree}/", remote)
        sorted(tree.rglob("*.rs"))[0].unlink()
        (tree / "added.txt").write_text("added\n")
        juicefs("sync", *scheme, "--delete-dst", f"{tree}/", remote)
        juicefs("sync", *scheme, "--check-all", remote, f"{back}/")
        expect(hash_tree(back), hash_tree(tree), "tree")
    volume(session, juicefs, bucket, keys)
    end(session, bucket)


def volume(session, juicefs, bucket, keys):
    """A volume that is mounted, filled, mounted again and destroyed."""
    meta = f"sqlite3://{session.path('meta.db')}"
    mounted = session.path("mounted")
    with session.case("format of a volume in the bucket"):
        juicefs("format", "--storage", "s3", "--bucket", f"{session.target.endpoint}/{bucket.bucket}", *keys, "--compress", "lz4",
                "--trash-days", "0", meta, "volume")
        identity = json.loads(re.search(r"\{.*\}", juicefs("status", "--log-level", "error", meta), re.DOTALL)[0])["Setting"]["UUID"]

    @contextlib.contextmanager
    def mount(name):
        """The volume in a folder during the block; nothing of it is kept in a cache."""
        mounted.mkdir(exist_ok=True)
        server = Server(name, [VENV / "juicefs", "mount", "--no-usage-report", "--foreground", "--cache-size", "0", "--cache-dir",
                               session.path("cache"), "--metrics", f"127.0.0.1:{free_port()}", "--log", session.path(f"{name}.fuse.log"),
                               meta, mounted], session.environment(), session.path(f"{name}.log"))
        server.start()
        try:
            server.wait_until(mounted.is_mount)
            yield
        finally:
            if mounted.is_mount():
                juicefs("umount", mounted)
            else:
                server.kill()
            server.process.wait(30)

    first, wanted = session.path("first"), {}
    with session.case("mounted: files, a rename, an overwrite in the middle, a truncation, an append"):
        if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not shutil.which("fusermount"):
            raise NotRun("there is no FUSE here")
        make_tree(first, FILES, seed=14)
        write_random(first / "large.bin", 13 * 2**20)
        with mount("first"):
            shutil.copytree(first, mounted / "tree")
            for root in (first, mounted / "tree"):
                (root / "src").rename(root / "renamed")
                with open(root / "large.bin", "r+b") as opened:
                    opened.seek(5 * 2**20 - 100)
                    opened.write(b"overwritten" * 1000)
                    opened.truncate(11 * 2**20 + 5)
                with open(root / "large.bin", "ab") as opened:
                    opened.write(b"appended")
            wanted = hash_tree(first)
            expect(hash_tree(mounted / "tree"), wanted, "tree")
    if not wanted:
        return
    with session.case("mounted again: every file is as it was; some are removed"):
        with mount("second"):
            expect(hash_tree(mounted / "tree"), wanted, "tree")
            shutil.rmtree(mounted / "tree" / "renamed")
            shutil.rmtree(first / "renamed")
            expect(hash_tree(mounted / "tree"), hash_tree(first), "tree")
    with session.case("fsck finds every block, gc leaves no other"):
        juicefs("fsck", meta)
        juicefs("gc", "--delete", meta)
        juicefs("fsck", meta)
    with session.case("destroy removes every object of the volume"):
        juicefs("destroy", "--yes", meta, identity)
        left = bucket.s3.list_objects_v2(Bucket=bucket.bucket, Prefix="volume/").get("Contents", [])
        expect([found["Key"] for found in left], [], "keys")
