"""s3backer: a disk whose blocks are objects, with a file system on it, mounted for real."""

import contextlib
import os
import pathlib
import re

from boto3_cases.context import Context, md5
from files import hash_tree, make_tree, write_random
from processes import Server
from report import NotRun, expect

S3BACKER = "/usr/bin/s3backer"
BLOCK = 64 * 2**10
SIZE = 64 * 2**20
FILES = 80


class Disk:
    """A disk: one file in a folder, served by a process of its own."""

    def __init__(self, session, bucket, name, *options):
        self.session = session
        self.folder = session.path(name)
        self.file = self.folder / "file"
        target = session.target
        # With `--region` it would put the bucket before the host's name, which here is an address.
        expect(target.region, "us-east-1", "the region that it takes by itself")
        words = [f"--baseURL={target.endpoint}/", f"--accessId={target.access_key}", f"--accessKey={target.secret_key}", f"--blockSize={BLOCK}", f"--size={SIZE}",
                 "--initialRetryPause=0", "--maxRetryPause=0", "--quiet", *options]
        if target.ca:
            words += [f"--cacert={target.ca}"]
        self.command = [S3BACKER, *words]
        self.bucket = bucket
        self.server = Server(name, [*self.command, "-f", bucket, self.folder], session.environment(), session.path(f"{name}.log"))

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        self.server.start()
        try:
            self.server.wait_until(self.file.exists, seconds=60)
        except BaseException:
            self.__exit__()
            raise
        return self.file

    def __exit__(self, *_):
        if self.folder.is_mount():
            self.session.run("umount", self.folder)
        # It ends by itself when it is no longer mounted, once everything is written.
        if self.server.process:
            self.server.process.wait(60)
            self.server.process = None


@contextlib.contextmanager
def mounted(session, file, name):
    """The file system on a disk."""
    folder = session.path(name)
    folder.mkdir(exist_ok=True)
    session.run("mount", "-o", "loop", file, folder)
    try:
        yield folder
    finally:
        session.run("umount", folder)


def run(session):
    """A file system made, filled, read again after everything was forgotten, emptied."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0:
        with session.case("a file system can be mounted"):
            raise NotRun("there is no /dev/fuse that may be used, or the user is not root")
        return
    bucket = Context(session, "s3backer")
    bucket.create()
    file_system(session, bucket)
    encrypted(session, bucket)
    with session.case("the bucket can be emptied and deleted"):
        bucket.remove()


def blocks(bucket, prefix):
    """The disk's objects, each a block named by its number."""
    pages = bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket, Prefix=prefix)
    return {entry["Key"]: entry for page in pages for entry in page.get("Contents", []) if re.search(r"[0-9a-f]{8}$", entry["Key"])}


def file_system(session, bucket):
    """ext4 on a disk that is not encrypted."""
    disk = Disk(session, bucket.bucket, "disk", "--prefix=plain/", "--listBlocks")
    tree = session.path("tree")
    make_tree(tree, FILES, seed=11)
    write_random(tree / "large.bin", 9 * 2**20 + 3)
    with session.case("an empty disk has no objects, and a file system is made on it"):
        with disk as file:
            expect(file.stat().st_size, SIZE, "size")
            expect(blocks(bucket, "plain/"), {}, "blocks")
            session.run("/usr/sbin/mkfs.ext4", "-q", "-F", file)
        assert blocks(bucket, "plain/"), "nothing was written"
    with session.case("a tree is copied onto it, and read after everything was forgotten"):
        with disk as file, mounted(session, file, "mount") as folder:
            session.run("cp", "-r", f"{tree}/.", folder / "tree")
        with disk as file, mounted(session, file, "mount") as folder:
            expect(hash_tree(folder / "tree"), hash_tree(tree), "tree")
    with session.case("every block is an object of one block, whose ETag is its MD5"):
        found = blocks(bucket, "plain/")
        expect({entry["Size"] for entry in found.values()}, {BLOCK}, "sizes")
        for key in sorted(found)[:20]:
            expect(f'"{md5(bucket.get(key))}"', found[key]["ETag"], key)
    with session.case("files are changed in the middle, appended to, renamed and removed"):
        with disk as file, mounted(session, file, "mount") as folder:
            for place in (folder / "tree", tree):
                change(place)
        with disk as file, mounted(session, file, "mount") as folder:
            expect(hash_tree(folder / "tree"), hash_tree(tree), "tree")
    with session.case("e2fsck finds nothing to mend"):
        with disk as file:
            session.run("/usr/sbin/e2fsck", "-f", "-n", file)
    with session.case("a disk that is in use is not mounted again"):
        with disk:
            printed = session.run(*disk.command, "-f", bucket.bucket, session.home, code=None)
            assert "already mounted" in printed, printed
    with session.case("--erase leaves no block"):
        session.run(*disk.command, "--erase", "--force", bucket.bucket)
        expect(blocks(bucket, "plain/"), {}, "blocks")


def change(place):
    """The same changes wherever the tree is."""
    with open(place / "large.bin", "r+b") as file:
        file.seek(5 * 2**20 + 1)
        file.write(b"changed" * 30_000)
        file.seek(0, os.SEEK_END)
        file.write(b"appended")
    one, two = sorted(pathlib.Path(place).rglob("*.rs"))[:2]
    one.rename(place / "renamed")
    two.unlink()


def encrypted(session, bucket):
    """A disk whose blocks are compressed and encrypted."""
    disk = Disk(session, bucket.bucket, "secret", "--prefix=secret/", "--compress", "--encrypt", "--password=only for this test")
    text = b"a line that is easy to find\n" * 4096
    with session.case("a disk that is encrypted: bytes come back, and no object shows them"):
        with disk as file, open(file, "r+b") as opened:
            opened.seek(BLOCK // 2)
            opened.write(text)
        with disk as file, open(file, "rb") as opened:
            opened.seek(BLOCK // 2)
            assert opened.read(len(text)) == text, "other bytes"
        found = blocks(bucket, "secret/")
        expect(len(found), -(-(BLOCK // 2 + len(text)) // BLOCK), "blocks")
        assert not any(b"easy to find" in bucket.get(key) for key in found), "is not encrypted"
