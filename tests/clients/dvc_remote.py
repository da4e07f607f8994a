"""DVC: a remote of many small objects by hash, pushed, lost here, pulled again, cleaned up."""

import shutil

from data_programs import VENV, begin, end
from files import hash_tree, make_tree, write_random
from report import expect

FILES = 60
CONFIG = """
[core]
    remote = origin
['remote "origin"']
    url = s3://{bucket}/some/prefix
    endpointurl = {endpoint}
    ssl_verify = {verify}
"""


def run(session):
    """add, push, pull, checkout of an older version, gc."""
    bucket = begin(session, "dvc")
    work, tree = session.path("work"), session.path("work") / "tree"
    make_tree(tree, FILES, seed=12)
    write_random(tree / "large.bin", 21 * 2**20)

    def dvc(*words, **more):
        return session.run(VENV / "dvc", *words, cwd=work, DVC_NO_ANALYTICS="1", **more)

    def lose():
        """Everything that is not on the remote."""
        shutil.rmtree(work / ".dvc" / "cache")
        shutil.rmtree(tree, ignore_errors=True)

    with session.case("init, a remote on the server"):
        dvc("init", "--no-scm", "--quiet")
        (work / ".dvc" / "config.local").write_text(CONFIG.format(
            bucket=bucket.bucket, endpoint=session.target.endpoint, verify=session.target.ca or "true"))
    with session.case(f"add and push of {FILES + 1} files"):
        dvc("add", "--quiet", "tree")
        dvc("push", "--quiet", "--jobs", "8")
        expect(dvc("push", "--jobs", "8").strip(), "Everything is up to date.", "a second push")
    first, pointer = hash_tree(tree), (work / "tree.dvc").read_text()
    with session.case("pull after the cache and the files were lost"):
        lose()
        dvc("pull", "--quiet", "--jobs", "8")
        expect(hash_tree(tree), first, "tree")
    with session.case("push of a change; status compares with the remote"):
        (tree / "added.txt").write_text("added\n")
        sorted(tree.rglob("*.rs"))[0].unlink()
        dvc("add", "--quiet", "tree")
        assert "new:" in dvc("status", "--cloud"), "nothing to push"
        dvc("push", "--quiet", "--jobs", "8")
    second, newer = hash_tree(tree), (work / "tree.dvc").read_text()
    with session.case("the older version is pulled, then the newer one"):
        for text, wanted in ((pointer, first), (newer, second)):
            lose()
            (work / "tree.dvc").write_text(text)
            dvc("pull", "--quiet", "--jobs", "8")
            expect(hash_tree(tree), wanted, "tree")
    with session.case("gc of the remote removes what only the older version has"):
        before = keys(bucket)
        dvc("gc", "--workspace", "--cloud", "--force", "--quiet")
        # The list of the older tree, and the file that the newer one has not.
        expect(len(before - keys(bucket)), 2, "objects removed")
        lose()
        dvc("pull", "--quiet", "--jobs", "8")
        expect(hash_tree(tree), second, "tree")
    end(session, bucket)


def keys(bucket):
    """Every key in the bucket."""
    pages = bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket)
    return {found["Key"] for page in pages for found in page.get("Contents", [])}
