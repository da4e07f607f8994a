"""restic: a repository of many small objects, with locks, listings by folder and deletes."""

import json

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
        return session.run(RESTIC, *trust, *words, **settings, **more)

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
