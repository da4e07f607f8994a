"""Files and trees of files to store, and their hashes."""

import hashlib
import os
import pathlib
import random
import re
import time

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_size(text):
    """Bytes in a size such as `300MiB` or `3GiB`."""
    match = re.fullmatch(r"(\d+)(KiB|MiB|GiB)?", text)
    if not match:
        raise ValueError(f"{text!r} is not a size; write it like 300MiB or 3GiB")
    return int(match[1]) * _UNITS[match[2] or ""]


def write_random(path, size):
    """Writes `size` random bytes; returns their SHA-256 as hex."""
    digest = hashlib.sha256()
    with open(path, "wb") as out:
        left = size
        while left:
            piece = os.urandom(min(left, 2**20))
            digest.update(piece)
            out.write(piece)
            left -= len(piece)
    return digest.hexdigest()


def hash_file(path):
    """SHA-256 of a file as hex."""
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def hash_tree(root):
    """Maps each file's path below `root` to its SHA-256."""
    root = pathlib.Path(root)
    return {str(path.relative_to(root)): hash_file(path) for path in sorted(root.rglob("*")) if path.is_file()}


# How old the files of a tree are. S3 dates objects by whole seconds, rounded down, so that a file which is stored in the
# second of its last change looks newer than its object, and `aws s3 sync` stores it again.
TREE_AGE_SECONDS = 3600


def make_tree(root, files, seed=1):
    """Makes `files` files below `root`, like a source tree: nested folders, mostly a few KiB, some empty, some large, some
    with names that need escaping, all of them an hour old. The same seed makes the same tree."""
    changed = time.time() - TREE_AGE_SECONDS
    chance = random.Random(seed)
    odd = ["with space.txt", "plus+plus.txt", "percent%41.txt", "ünïcode-ß.txt", "emoji-🦀.txt", "a&b=c.txt", "quote'\".txt",
           "semi;colon,comma.txt", "hash#tag.txt", "question?.txt", "(paren)[bracket].txt", "tilde~star.txt"]
    folders = ["", "src", "src/core", "src/core/deep/er/and/deeper", "docs", "docs/folder with space", "tests/dätä", "x+y"]
    for number in range(files):
        folder = pathlib.Path(root) / folders[number % len(folders)] / f"{number // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{number:05}-{odd[number % len(odd)]}" if number % 10 == 0 else f"{number:05}.rs"
        kind = chance.random()
        if kind < 0.02:
            size = 0
        elif kind < 0.98:
            size = int(chance.expovariate(1 / 6000)) + 1
        else:
            size = chance.randrange(100_000, 700_000)
        (folder / name).write_bytes(chance.randbytes(size))
        os.utime(folder / name, (changed, changed))
