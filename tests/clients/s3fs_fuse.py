"""s3fs-fuse: a bucket as a file system, mounted for real, and read by another client at the same time."""

import contextlib
import os
import pathlib
import shutil

from boto3_cases.context import Context, md5
from files import hash_file, hash_tree, make_tree, write_random
from processes import Server
from report import NotRun, expect

S3FS = "/usr/bin/s3fs"
FILES = 60
OWNER = 65532
CHANGED = 1_600_000_000
MIB = 2**20


class Mount:
    """A bucket mounted by a process of its own."""

    def __init__(self, session, bucket, name):
        self.session = session
        self.folder = session.path(name)
        passwords = session.path("passwords")
        passwords.write_text(f"{session.target.access_key}:{session.target.secret_key}\n")
        passwords.chmod(0o600)
        # Nothing of what another mount does may be remembered for long; parts are of the least size. It looks for the
        # authorities to trust only after its first try has failed.
        options = ["use_path_request_style", f"url={session.target.endpoint}", f"passwd_file={passwords}", f"endpoint={session.target.region}",
                   f"retries={2 if session.target.tls else 1}", "multipart_size=5", "parallel_count=5", "stat_cache_expire=1",
                   f"tmpdir={session.home}", "dbglevel=warn"]
        self.server = Server(name, [S3FS, bucket, self.folder, "-f", *(word for option in options for word in ("-o", option))],
                             session.environment(), session.path(f"{name}.log"))

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        self.server.start()
        try:
            self.server.wait_until(self.answers, seconds=30)
        except BaseException:
            self.__exit__()
            raise
        return self.folder

    def __exit__(self, *_):
        if self.is_mounted():
            self.session.run("umount", self.folder)
        with contextlib.suppress(RuntimeError):
            self.server.stop()

    def is_mounted(self):
        """Whether the system has it mounted, even if the process that serves it has died."""
        return f" {self.folder} fuse.s3fs " in pathlib.Path("/proc/mounts").read_text(encoding="utf-8")

    def answers(self):
        """Whether it is mounted and the process, which looks for the bucket first, serves it."""
        try:
            return self.is_mounted() and self.folder.is_mount()
        except OSError:
            return False


def run(session):
    """What programs do with files."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0:
        with session.case("a file system can be mounted"):
            raise NotRun("there is no /dev/fuse that may be used, or the user is not root")
        return
    bucket = Context(session, "s3fs")
    bucket.create()
    with Mount(session, bucket.bucket, "mount") as folder:
        files(session, bucket, folder)
        large_files(session, bucket, folder)
        tree(session, folder)
        outside(bucket, folder)
        file = folder / "appended"
        file.chmod(0o640)
        os.chown(file, OWNER, OWNER)
        os.utime(file, (CHANGED, CHANGED))
    with session.case("another mount sees the same files, with their modes, owners and times"):
        with Mount(session, bucket.bucket, "mount2") as folder:
            expect(hash_tree(folder / "moved"), hash_tree(session.path("tree")), "tree")
            expect((folder / "appended").read_text(), "one\ntwo\nthree\n")
            found = (folder / "appended").stat()
            expect((oct(found.st_mode & 0o777), found.st_uid, found.st_gid, int(found.st_mtime)), (oct(0o640), OWNER, OWNER, CHANGED))
            shutil.rmtree(folder / "moved")
            expect(sorted(path.name for path in folder.iterdir()), ["appended", "large", "link", "outside"], "names")
    with session.case("the bucket can be emptied and deleted"):
        bucket.remove()


def files(session, bucket, folder):
    """Small files."""
    with session.case("write, read, append and overwrite"):
        file = folder / "appended"
        file.write_text("one\n")
        with open(file, "a", encoding="utf-8") as opened:
            opened.write("two\n")
        with open(file, "a", encoding="utf-8") as opened:
            opened.write("three\n")
        bucket.expect_object("appended", b"one\ntwo\nthree\n")
        with open(file, "r+b") as opened:
            opened.seek(4)
            opened.write(b"TWO")
        bucket.expect_object("appended", b"one\nTWO\nthree\n")
        file.write_text("one\ntwo\nthree\n")
    with session.case("truncate of an open file, shorter and longer"):
        file = folder / "truncated"
        file.write_bytes(b"x" * 1000)
        for size, wanted in ((10, b"x" * 10), (20, b"x" * 10 + b"\0" * 10), (0, b"")):
            with open(file, "r+b") as opened:
                # This version stores zeros in the place of what it has not read: it sends the PUT without a GET before.
                opened.read()
                opened.truncate(size)
            bucket.expect_object("truncated", wanted)
        file.unlink()
        assert not bucket.exists("truncated")
    with session.case("a symbolic link"):
        (folder / "link").symlink_to("appended")
        expect((os.readlink(folder / "link"), (folder / "link").read_text()), ("appended", "one\ntwo\nthree\n"))
    with session.case("rename over a file that is there"):
        (folder / "old").write_text("old")
        (folder / "new").write_text("new")
        (folder / "new").rename(folder / "old")
        expect(((folder / "old").read_text(), (folder / "new").exists()), ("new", False))
        bucket.expect_object("old", b"new")
        (folder / "old").unlink()


def large_files(session, bucket, folder):
    """Files in parts, where s3fs copies what did not change on the server."""
    local = session.path("large")
    wanted = write_random(local, 37 * MIB + 11)
    with session.case("a file of 37 MiB in parts, there and back"):
        shutil.copyfile(local, folder / "large")
        expect(hash_file(folder / "large"), wanted, "SHA-256")
        expect(md5(bucket.get("large")), md5(local.read_bytes()), "MD5 of the object")
    with session.case("a change in its middle, and an addition to its end"):
        for place in (local, folder / "large"):
            with open(place, "r+b") as opened:
                opened.seek(17 * MIB)
                opened.write(b"changed" * 1000)
                opened.seek(0, os.SEEK_END)
                opened.write(b"added" * 1000)
        expect(md5(bucket.get("large")), md5(local.read_bytes()), "MD5 of the object")
        expect(hash_file(folder / "large"), hash_file(local), "SHA-256")
    with session.case("rename of it, which is a copy in parts on the server"):
        (folder / "large").rename(folder / "larger")
        expect(md5(bucket.get("larger")), md5(local.read_bytes()), "MD5 of the object")
        assert not bucket.exists("large")
        (folder / "larger").rename(folder / "large")
    with session.case("parts of it are read from any place"):
        with open(folder / "large", "rb") as opened, open(local, "rb") as same:
            for at in (30 * MIB, 5, 17 * MIB - 3, 12 * MIB):
                opened.seek(at)
                same.seek(at)
                assert opened.read(100_000) == same.read(100_000), f"other bytes at {at}"


def tree(session, folder):
    """Folders."""
    local = session.path("tree")
    make_tree(local, FILES, seed=8)
    with session.case(f"a tree of {FILES} files, copied in"):
        shutil.copytree(local, folder / "tree")
        expect(hash_tree(folder / "tree"), hash_tree(local), "tree")
    with session.case("rename of the folder"):
        (folder / "tree").rename(folder / "moved")
        expect(hash_tree(folder / "moved"), hash_tree(local), "tree")
        assert not (folder / "tree").exists()
    with session.case("a folder that is not empty cannot be removed"):
        try:
            (folder / "moved").rmdir()
        except OSError as error:
            assert "not empty" in str(error), error
        else:
            raise AssertionError("was removed")
    with session.case("folders are made and removed"):
        (folder / "empty" / "deep").mkdir(parents=True)
        expect([path.name for path in (folder / "empty").iterdir()], ["deep"], "names")
        shutil.rmtree(folder / "empty")
        assert "empty" not in [path.name for path in folder.iterdir()]


def outside(bucket, folder):
    """What another client stores and removes."""
    with bucket.session.case("what another client stores and removes is seen"):
        bucket.put("outside/one", b"from outside")
        bucket.put("outside/two", b"x")
        expect((folder / "outside" / "one").read_bytes(), b"from outside")
        bucket.s3.delete_object(Bucket=bucket.bucket, Key="outside/two")
        expect([path.name for path in pathlib.Path(folder, "outside").iterdir()], ["one"], "names")
