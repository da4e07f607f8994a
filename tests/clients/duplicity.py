"""duplicity: encrypted volumes of full and incremental backups, restored to each of their times."""

import re

from boto3_cases.context import Context
from files import hash_tree, make_tree, write_random
from report import expect

DUPLICITY = "/usr/bin/duplicity"
FILES = 100


def run(session):
    """full, incremental, verify, restore, remove-all-but-n-full, cleanup."""
    bucket = Context(session, "duplicity")
    bucket.create()
    url = f"boto3+s3://{bucket.bucket}/some/folder"
    tree = session.path("tree")
    # Volumes of 5 MB, so that a backup has several.
    options = ["--s3-endpoint-url", session.target.endpoint, "--s3-region-name", session.target.region, "--volsize", "5", "--num-retries", "1",
               "--archive-dir", session.path("archive"), "--no-print-statistics"]

    def duplicity(*words, **more):
        return session.run(DUPLICITY, *words, *options, PASSPHRASE="only for this test", seconds=300, **more)

    def expect_restored(name, wanted, *words):
        duplicity("restore", *words, url, session.path(name))
        back = hash_tree(session.path(name))
        expect(dict(wanted.items() ^ back.items()), {}, "differences")

    def keys():
        pages = bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    make_tree(tree, FILES, seed=7)
    write_random(tree / "large.bin", 12 * 2**20)
    with session.case("full backup, in volumes"):
        duplicity("full", tree, url)
        first = hash_tree(tree)
        taken = next(match[1] for key in keys() if (match := re.search(r"duplicity-full\.(\w+)\.manifest", key)))
        assert len([key for key in keys() if re.search(r"vol\d+\.difftar\.gpg$", key)]) >= 3, keys()
    with session.case("incremental backup of a change, a removal and a new file"):
        one, two = sorted(tree.rglob("*.rs"))[:2]
        one.write_bytes(b"changed")
        two.unlink()
        write_random(tree / "added.bin", 2**20)
        duplicity("incremental", tree, url)
    with session.case("verify --compare-data finds no difference"):
        assert "0 differences found" in duplicity("verify", "--compare-data", url, tree)
    with session.case("verify finds a file that was changed since"):
        later = tree / sorted(hash_tree(tree))[7]
        kept = later.read_bytes()
        later.write_bytes(b"later")
        printed = duplicity("verify", "--compare-data", url, tree, code=1)
        later.write_bytes(kept)
        assert later.name in printed and "1 difference found" in printed, printed
    with session.case("restore: names and hashes are equal"):
        expect_restored("back", hash_tree(tree))
    with session.case("restore to the time of the full backup"):
        expect_restored("first", first, "--time", taken)
    with session.case("restore without the local archive, of one file"):
        options[options.index("--archive-dir") + 1] = session.path("archive2")
        duplicity("restore", "--file-to-restore", "added.bin", url, session.path("added.bin"))
        expect(session.path("added.bin").read_bytes(), (tree / "added.bin").read_bytes())
    with session.case("collection-status counts the sets"):
        printed = duplicity("collection-status", url)
        assert "No orphaned or incomplete backup sets found." in printed and re.search(r"Incremental\s", printed), printed
    with session.case("a second full backup; remove-all-but-n-full removes the first chain"):
        duplicity("full", tree, url)
        before = len(keys())
        duplicity("remove-all-but-n-full", "1", "--force", url)
        assert len(keys()) < before, keys()
        expect_restored("second", hash_tree(tree))
    with session.case("cleanup removes a volume that belongs to no backup"):
        stray = "some/folder/duplicity-full.20200101T000000Z.vol1.difftar.gpg"
        bucket.put(stray, b"left behind")
        duplicity("cleanup", "--force", url)
        assert stray not in keys(), keys()
        expect_restored("third", hash_tree(tree))
    with session.case("the bucket can be emptied and deleted"):
        bucket.remove()
