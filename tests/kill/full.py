"""Fills the disk of `ashlar server`, with large objects and with small ones, and kills and restarts it then: reads and deletes go on,
and when there was a delete, so do small writes."""

import concurrent.futures
import itertools
import os
import subprocess

from targets import Embedded

#: 64 MiB of it are kept free.
SIZE = "80m"
SMALL = 4000
LARGE = 2**20
CLIENTS = 4
BUCKET = "full"


class Full:
    """A server on a small file system in memory."""

    def __init__(self, chosen, folder):
        self.target = Embedded(folder, False, chosen.binary, 1, {"ASHLAR_GARBAGE_HOLD_SECONDS": "1"})
        self.mount = self.target.data[0]
        self.mount.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", self.mount], check=True)
        self.kept = {}

    def begin(self):
        """Starts the server for the first time, and makes the bucket."""
        from clients import make_client

        self.target.begin()
        self.s3 = make_client(self.target)
        self.s3.create_bucket(Bucket=BUCKET)

    def fill(self, size, name):
        """Writes objects until each client is refused several times; what was acknowledged is kept in mind."""
        import botocore.exceptions

        body = os.urandom(size)

        def write(client):
            refused = 0
            for number in itertools.count():
                key = f"{name}/{client}/{number:06}"
                try:
                    self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
                    self.kept[key] = body
                except botocore.exceptions.ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    assert status == 503, f"a full disk is told by {status}"
                    refused += 1
                    if refused == 5:
                        return

        before = len(self.kept)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(write, range(CLIENTS)))
        return len(self.kept) - before

    def restart(self, kills):
        """Ends the server, orderly or not, and starts it again on the full disk."""
        if kills:
            self.target.servers[0].kill()
        else:
            self.target.stop()
        self.target.begin()

    def read(self):
        """Everything that was acknowledged and not deleted is there."""
        for key, body in self.kept.items():
            found = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert found == body, f"{key} is another"

    def delete(self, keys):
        """Deletes these: each is answered."""
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(lambda key: self.s3.delete_object(Bucket=BUCKET, Key=key), keys))
        for key in keys:
            del self.kept[key]

    def end(self):
        """Ends the server and its disk."""
        self.target.end()
        subprocess.run(["umount", "-l", self.mount], check=True)


def run(chosen, folder, report):
    """The cases."""
    report.section(f"a full disk of {SIZE}")
    if os.geteuid() != 0:
        print("not run: a small file system is mounted by root alone")
        return
    small_objects(Full(chosen, folder / "small"), report)
    large_objects(Full(chosen, folder / "large"), report)


def small_objects(one, report):
    """The database fills the disk."""
    try:
        with report.case("small objects are refused when they have filled the disk"):
            one.begin()
            assert one.fill(SMALL, "small") > 500
            one.read()
        restarts(one, report)
        with report.case("deletes go on, and make room"):
            one.delete(list(one.kept)[::2])
            assert one.fill(SMALL, "again") > 100
            one.delete(list(one.kept)[::2])
        restarts(one, report)
        ends_well(one, report)
    finally:
        one.end()


def large_objects(one, report):
    """Shards fill the disk, and the database goes on a little."""
    try:
        with report.case("large objects are refused when they have filled the disk, and then small ones"):
            one.begin()
            assert one.fill(LARGE, "large") > 3
            one.fill(SMALL, "small")
            one.read()
        restarts(one, report)
        with report.case("deletes go on"):
            one.delete(list(one.kept)[::2])
            one.read()
        restarts(one, report)
        ends_well(one, report)
    finally:
        one.end()


def restarts(one, report):
    """It is stopped, and killed."""
    for kills in (False, True):
        with report.case(f"a full server that is {'killed' if kills else 'stopped'} starts again, and reads"):
            one.restart(kills)
            one.read()


def ends_well(one, report):
    """Nothing failed that holds or tells of something."""
    with report.case("logged nothing but that it is full"):
        bad = [line for line in one.target.bad_log_lines() if "the database's disk is full" not in line]
        assert not bad, "\n".join(bad[:20])
