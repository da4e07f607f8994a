"""Disks that lose their power: ext4 on images, cut by the file system's own SHUTDOWN call, which drops at once everything
that is not on the disk yet. One for each chunk service and one for Postgres.

As a program it cuts and restores the disks that it is given; `ashlar torture` calls it. Postgres loses its power when all
disks do."""

import fcntl
import os
import pathlib
import shlex
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from postgres import Postgres  # noqa: E402

#: EXT4_IOC_SHUTDOWN, and its way of not even writing out the journal.
SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
IMAGE = "2G"
POSTGRES = "postgres"


class Disks:
    """Mounted images. As a context manager they are made, and unmounted in the end."""

    def __init__(self, folder, count, honest=True):
        self.folder = pathlib.Path(folder)
        self.count = count
        self.data = [self.folder / f"disk{number}" for number in range(1, count + 1)]
        #: Whether disks keep what they were told to keep.
        self.honest = honest
        self.postgres = Postgres(self.folder / POSTGRES / "cluster", durable=True)

    def __enter__(self):
        self.folder.mkdir(parents=True)
        try:
            for mount in [*self.data, self.folder / POSTGRES]:
                image = image_of(mount)
                command("truncate", "-s", IMAGE, image)
                command("mkfs.ext4", "-q", "-F", image)
                mount.mkdir()
                command("mount", "-o", "loop", image, mount)
            self.postgres.start()
            (self.folder / "port").write_text(str(self.postgres.port))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        mounts = [mount for mount in [*self.data, self.folder / POSTGRES] if os.path.ismount(mount)]
        try:
            if self.folder / POSTGRES in mounts:
                self.postgres.stop()
        finally:
            for mount in mounts:
                unmount(mount)

    def command(self, action):
        """A shell command that cuts or restores the disks that it gets as arguments."""
        honesty = "honest" if self.honest else "lying"
        words = [sys.executable, __file__, action, self.folder, self.count, honesty]
        return shlex.join(map(str, words)) + ' "$@"'


def image_of(mount):
    """The image of a mounted disk."""
    return mount.with_suffix(".img")


def command(*words):
    """Runs a program; fails with what it said."""
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, words))}: {done.stderr.strip()}")


def unmount(mount):
    """Unmounts, once those who were killed have let go of their files."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return command("umount", mount)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def cut(mounts):
    """Takes the power away from all of them, one right after the other."""
    descriptors = [os.open(mount, os.O_RDONLY) for mount in mounts]
    try:
        for descriptor in descriptors:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def restore(mounts, honest):
    """Gives them power again. One that lies comes back from its second cut as it came back from the first: it has not kept
    what it was told to keep since."""
    for mount in mounts:
        unmount(mount)
        if not honest and mount.name != POSTGRES:
            image, before = image_of(mount), mount.with_suffix(".before")
            source, target = (before, image) if before.exists() else (image, before)
            command("cp", "--sparse=always", source, target)
        command("mount", "-o", "loop", image_of(mount), mount)


def main():
    """`disks.py cut|restore FOLDER COUNT honest|lying DISK...`"""
    action, folder, count, honesty, *mounts = sys.argv[1:]
    folder, mounts = pathlib.Path(folder), [pathlib.Path(mount) for mount in mounts]
    everything = len(mounts) == int(count)
    postgres = Postgres(folder / POSTGRES / "cluster", durable=True)
    postgres.port = int((folder / "port").read_text())
    if everything:
        mounts.append(folder / POSTGRES)
    if action == "cut":
        # Known before: what a disk without power holds cannot be read.
        pids = postgres.processes() if everything else []
        cut(mounts)
        postgres.kill(pids)
    elif action == "restore":
        restore(mounts, honesty == "honest")
        if everything:
            # What stands in them is of before the cut; its process may still wait to be collected by its parent.
            for lock in (postgres.folder / "data" / "postmaster.pid", postgres.folder / f".s.PGSQL.{postgres.port}.lock"):
                lock.unlink(missing_ok=True)
            postgres.start_again()
    else:
        raise SystemExit(f"no such action: {action}")


if __name__ == "__main__":
    main()
