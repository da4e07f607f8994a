"""restic: a repository of many small objects, with locks, listings by folder and deletes."""

import json

from boto3_cases.context import Context, refused
from files import hash_tree, make_tree, write_random
from report import expect

RESTIC = "/usr/bin/restic"
FILES = 400


def run(session):
    """init, backup, check, restore, forget with prune."""
    target = session.target
    bucket = session.bucket_name("restic")
    settings = {
        "RESTIC_REPOSITORY": f"s3:{target.endpoint}/{bucket}/some/prefix",
        "RESTIC_PASSWORD": "only for this test",
        "RESTIC_CACHE_DIR": str(session.path("cache")),
    }
    trust = ["--cacert", target.ca] if target.ca else []

    def restic(*words, **more):
        return session.run(RESTIC, *trust, *words, **settings | more)

    tree = session.path("tree")
    make_tree(tree, FILES, seed=4)
    write_random(tree / "large.bin", 40 * 2**20)

    with session.case("init makes the bucket and the repository"):
        restic("init")
    with session.case("backup"):
        restic("backup", tree, seconds=600)
    with session.case("backup after a change"):
        (tree / "added.txt").write_text("added\n")
        sorted(tree.rglob("*.rs"))[0].unlink()
        restic("backup", tree, seconds=600)
        expect(len(json.loads(restic("snapshots", "--json"))), 2, "snapshots")
    with session.case("check --read-data"):
        assert "no errors were found" in restic("check", "--read-data", seconds=600)
    with session.case("restore: names and hashes are equal"):
        restic("restore", "latest", "--target", session.path("back"), seconds=600)
        expect(hash_tree(session.path("back") / tree.relative_to("/")), hash_tree(tree), "tree")
    with session.case("forget --prune keeps one snapshot, and what is left is whole"):
        restic("forget", "--keep-last", "1", "--prune", seconds=600)
        expect(len(json.loads(restic("snapshots", "--json"))), 1, "snapshots")
        assert "no errors were found" in restic("check", "--read-data", seconds=600)
    with session.case("no lock is left"):
        expect(restic("list", "locks", "--no-lock").strip(), "", "locks")
    locked(session, restic, tree)


def locked(session, restic, tree):
    """A repository in a bucket that keeps every version for a day: writes need a digest there, and what is pruned is still there by its
    version."""
    bucket = Context(session, "restic-locked")
    bucket.s3.create_bucket(Bucket=bucket.bucket, ObjectLockEnabledForBucket=True)
    bucket.s3.put_object_lock_configuration(Bucket=bucket.bucket, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}})
    where = {"RESTIC_REPOSITORY": f"s3:{session.target.endpoint}/{bucket.bucket}/locked"}

    def versions():
        pages = bucket.s3.get_paginator("list_object_versions").paginate(Bucket=bucket.bucket)
        return [version for page in pages for version in page.get("Versions", [])]

    with session.case("a repository under object lock: backups, forget --prune, check"):
        restic("init", **where)
        for content in ("first", "second"):
            (tree / "added.txt").write_text(content)
            restic("backup", tree, seconds=600, **where)
        before = {(version["Key"], version["VersionId"]) for version in versions()}
        restic("forget", "--keep-last", "1", "--prune", seconds=600, **where)
        assert "no errors were found" in restic("check", "--read-data", seconds=600, **where)
    with session.case("what restic deleted is there by its versions, which nobody can delete"):
        kept = versions()
        assert before <= {(version["Key"], version["VersionId"]) for version in kept}, "versions are gone"
        current = {entry["Key"] for entry in bucket.s3.list_objects_v2(Bucket=bucket.bucket, Prefix="locked/snapshots/")["Contents"]}
        gone = [version for version in kept if version["Key"].startswith("locked/snapshots/") and version["Key"] not in current]
        expect(len(gone), 1, "snapshots that were forgotten")
        with refused("AccessDenied", 403):
            bucket.s3.delete_object(Bucket=bucket.bucket, Key=gone[0]["Key"], VersionId=gone[0]["VersionId"], BypassGovernanceRetention=True)
    with session.case("a snapshot that was forgotten comes back with its markers gone, and restores"):
        pages = bucket.s3.get_paginator("list_object_versions").paginate(Bucket=bucket.bucket)
        for marker in [marker for page in pages for marker in page.get("DeleteMarkers", [])]:
            if "/locks/" not in marker["Key"]:
                bucket.s3.delete_object(Bucket=bucket.bucket, Key=marker["Key"], VersionId=marker["VersionId"])
        snapshots = json.loads(restic("snapshots", "--json", **where))
        expect(len(snapshots), 2, "snapshots")
        restic("restore", snapshots[0]["id"], "--target", session.path("unlocked"), seconds=600, **where)
        expect((session.path("unlocked") / tree.relative_to("/") / "added.txt").read_text(), "first")
