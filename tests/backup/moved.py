"""The metadata is restored from before half of the disks were replaced."""

import time

from clients import body, client, digest, read
from report import expect

BUCKET = "moved"
NEW = (7, 8, 9)


def run_moved(target, folder, report):
    """Six disks with 4+2, of which three are drained for new ones after the backup."""
    file, keys = folder / "backup.ashlar", [f"k/{number}" for number in range(40)]
    failed = len(report.failed)

    def back_up_and_drain():
        s3 = client(target)
        s3.create_bucket(Bucket=BUCKET)
        for key in keys:
            s3.put_object(Bucket=BUCKET, Key=key, Body=body(key, 300_000))
        target.json_of_database("backup", "--to", file)
        old = [disk["disk"] for disk in target.json("status")["disks"]][:3]
        for number in NEW:
            server, ready = target.chunk(number)
            server.wait_until(ready)
        for disk in old:
            target.asked("disk", "drain", disk)
        target.wait_for_audit(lambda found: found["quiet"] and is_empty(target, old), seconds=240)

    def restore():
        target.stop()
        target.lose_database()
        target.json_of_database("restore", "--from", file)
        target.start_again()
        wait_for_disks(target, 9)
        found = target.wait_for_audit(lambda found: not found["unseen"] and not found["unreached_disks"])
        assert found["misplaced"] >= 3 * len(keys) and (found["moved_chunks"], found["lost_chunks"]) == (len(keys), 0), found
        said = target.asked("reconcile")
        assert f"{len(keys)} chunks have only moved" in said and "lost  " not in said, said
        expect(target.json("reconcile")["frozen"], True, "frozen")

    def follow():
        found = target.json("reconcile", "--finish")
        assert found["followed_moves"] > 0, found
        expect((found["audit"]["lost_chunks"], found["audit"]["misplaced"]), (0, 0), "lost and misplaced")
        expect_all()
        target.wait_for_audit(lambda found: found["quiet"], seconds=240)
        expect_all()

    def expect_all():
        s3 = client(target)
        for key in keys:
            expect(digest(read(s3, BUCKET, key) or b""), digest(body(key, 300_000)), key)

    cases = [
        ("half of the disks are drained after the backup", back_up_and_drain),
        ("by the restored map too few shards can be found, and nothing is called lost", restore),
        ("shards are followed to where they are, and nothing is lost", follow),
    ]
    try:
        with report.case("an installation starts"):
            target.begin()
        for name, case in cases:
            if len(report.failed) > failed:
                break
            with report.case(name):
                case()
        with report.case("logged no error"):
            target.stop()
            bad = target.bad_log_lines()
            assert not bad, "\n".join(bad[:20])
    finally:
        if len(report.failed) > failed:
            for server in target.servers:
                print(server.log_tail(15))
        target.end()


def is_empty(target, disks):
    """Whether no group is on these disks and nothing moves."""
    groups = {each["disk"]: each["groups"] for each in target.json("disk", "list")}
    is_still = not any(each["moves"] for each in target.json("status")["classes"])
    return is_still and all(groups[disk] == 0 for disk in disks)


def wait_for_disks(target, count, seconds=60):
    """Waits until so many disks are up."""
    deadline = time.monotonic() + seconds
    while sum(1 for disk in target.json("status")["disks"] if disk["state"] in ("up", "joining")) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"not {count} disks are up: {target.asked('status')}")
        time.sleep(0.5)
