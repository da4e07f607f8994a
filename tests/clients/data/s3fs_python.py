"""s3fs: the methods of an fsspec file system."""

import os
import ssl
import urllib.request

import s3fs

from cases import BUCKET, CA, MIB, case, done, refused
from report import expect

MANY = 1_050


def main():
    """Files, trees, transactions, many files."""
    config = {"signature_version": "s3v4", "retries": {"max_attempts": 0}, "connect_timeout": 60, "read_timeout": 60}
    s3 = s3fs.S3FileSystem(default_cache_type="none", config_kwargs=config, client_kwargs={"verify": CA} if CA else {})
    s3.retries = 1
    files(s3)
    trees(s3)
    many(s3)
    done()


def fresh(s3):
    """The same without what it remembers of listings."""
    s3.invalidate_cache()
    return s3


def names(s3, root):
    """Paths of all files below a folder."""
    return sorted(path.removeprefix(f"{root}/") for path in fresh(s3).find(root))


def files(s3):
    """One file at a time."""
    root = f"{BUCKET}/files"
    body = os.urandom(21 * MIB + 9)
    with case("open for writing 21 MiB in parts, and reading with seeks"):
        with s3.open(f"{root}/large", "wb", block_size=5 * MIB) as out:
            for start in range(0, len(body), 2 * MIB):
                out.write(body[start:start + 2 * MIB])
        with s3.open(f"{root}/large", "rb", cache_type="readahead", block_size=MIB) as opened:
            opened.seek(17 * MIB + 1)
            assert opened.read(3 * MIB) == body[17 * MIB + 1:20 * MIB + 1], "other bytes after a seek"
            opened.seek(-5, 2)
            expect(opened.read(), body[-5:])
        assert s3.cat_file(f"{root}/large") == body, "other bytes"
    with case("append to a small file, and to one of more than 5 MiB by copying a part"):
        s3.pipe_file(f"{root}/log", b"one\n")
        with s3.open(f"{root}/log", "ab") as out:
            out.write(b"two\n")
        expect(s3.cat_file(f"{root}/log"), b"one\ntwo\n")
        with s3.open(f"{root}/large", "ab") as out:
            out.write(b"the end")
        assert s3.cat_file(f"{root}/large") == body + b"the end", "other bytes"
    with case("cat_ranges, head, tail, info, checksum"):
        pieces = s3.cat_ranges([f"{root}/large"] * 3, [0, 100, 20 * MIB], [10, 5_000, 20 * MIB + 1])
        expect(pieces, [body[:10], body[100:5_000], body[20 * MIB:20 * MIB + 1]], "pieces")
        expect((s3.head(f"{root}/log", 3), s3.tail(f"{root}/log", 4)), (b"one", b"two\n"))
        info = fresh(s3).info(f"{root}/log")
        expect((info["type"], info["size"]), ("file", 8))
        before = s3.checksum(f"{root}/log")
        s3.pipe_file(f"{root}/log", b"another")
        assert fresh(s3).checksum(f"{root}/log") != before, "the same checksum for other bytes"
    with case("metadata and tags"):
        s3.pipe_file(f"{root}/described", b"described", ContentType="text/x-test", Metadata={"colour": "blue"})
        expect((s3.metadata(f"{root}/described")["colour"], s3.info(f"{root}/described")["ContentType"]), ("blue", "text/x-test"))
        s3.setxattr(f"{root}/described", colour="green")
        expect(fresh(s3).getxattr(f"{root}/described", "colour"), "green")
        s3.put_tags(f"{root}/described", {"team": "data"})
        expect(s3.get_tags(f"{root}/described"), {"team": "data"})
    with case("mode create: a second creation fails and changes nothing"):
        s3.pipe_file(f"{root}/new", b"first", mode="create")
        with refused(OSError):
            s3.pipe_file(f"{root}/new", b"second", mode="create")
        expect(s3.cat_file(f"{root}/new"), b"first")
    with case("a missing file is FileNotFoundError"):
        for call in (s3.cat_file, s3.info):
            with refused(FileNotFoundError):
                call(f"{root}/missing")
    with case("sign: an address that opens without credentials"):
        context = ssl.create_default_context(cafile=CA) if CA else None
        with urllib.request.urlopen(s3.sign(f"{root}/new", expiration=60), context=context) as answer:
            expect(answer.read(), b"first")


def trees(s3):
    """Folders and what moves them."""
    root = f"{BUCKET}/trees"
    wanted = {f"a/{number % 3}/file {number}, ünïcode+.txt": os.urandom(number * 100) for number in range(30)}
    with case("pipe of 30 files, ls, walk, find"):
        s3.pipe({f"{root}/{name}": body for name, body in wanted.items()})
        expect(sorted(fresh(s3).ls(root, detail=False)), [f"{root}/a"])
        expect(sorted(fresh(s3).ls(f"{root}/a", detail=False)), [f"{root}/a/{number}" for number in range(3)])
        expect(names(s3, root), sorted(wanted), "find")
        walked = sorted(f"{folder}/{name}" for folder, _, found in fresh(s3).walk(root) for name in found)
        expect(walked, sorted(f"{root}/{name}" for name in wanted), "walk")
    with case("glob with *, ?, [ ] and **"):
        for pattern, count in [("a/*/file 1*", 11), ("a/?/file ?, *", 10), ("a/[01]/*", 20), ("**/file 2*.txt", 11), ("b/*", 0)]:
            expect(len(fresh(s3).glob(f"{root}/{pattern}")), count, pattern)
    with case("du, exists, isdir, isfile"):
        expect(fresh(s3).du(root), sum(map(len, wanted.values())), "bytes")
        expect((s3.isdir(f"{root}/a"), s3.isfile(f"{root}/a"), s3.exists(f"{root}/a/9")), (True, False, False))
    with case("put and get of a local tree"):
        s3.get(f"{root}/a", "local", recursive=True)
        found = {f"a/{os.path.relpath(os.path.join(folder, name), 'local')}": open(os.path.join(folder, name), "rb").read()
                 for folder, _, inside in os.walk("local") for name in inside}
        assert found == wanted, "another tree"
        s3.put("local", f"{root}/put", recursive=True)
        expect(names(s3, f"{root}/put"), sorted(name.removeprefix("a/") for name in wanted), "files")
    with case("cp and mv of a folder"):
        s3.cp(f"{root}/a", f"{root}/b", recursive=True)
        # File by file: with `recursive` s3fs wants to move the folder itself too, which is no object.
        moved = fresh(s3).find(f"{root}/b")
        s3.mv(moved, [path.replace(f"{root}/b/", f"{root}/c/") for path in moved])
        expect(names(s3, f"{root}/b"), [], "files left behind")
        found = {path.removeprefix(f"{root}/c/"): body for path, body in s3.cat(fresh(s3).find(f"{root}/c")).items()}
        assert {f"a/{name}": body for name, body in found.items()} == wanted, "another tree"
    with case("cp of a large file"):
        s3.cp(f"{BUCKET}/files/large", f"{root}/large")
        assert s3.cat_file(f"{root}/large") == s3.cat_file(f"{BUCKET}/files/large"), "other bytes"
    with case("a transaction makes all files visible at its end, and none when it fails"):
        with s3.transaction:
            for number in range(3):
                with s3.open(f"{root}/together/{number}", "wb") as out:
                    out.write(b"x" * number)
            expect(names(s3, f"{root}/together"), [], "files before the end")
        expect(names(s3, f"{root}/together"), ["0", "1", "2"], "files after the end")
        with refused(KeyError):
            with s3.transaction:
                with s3.open(f"{root}/together/3", "wb") as out:
                    out.write(b"x")
                raise KeyError("given up")
        expect(names(s3, f"{root}/together"), ["0", "1", "2"], "files after one was given up")
    with case("rm takes what is below a folder and nothing beside it"):
        s3.pipe_file(f"{root}/c-beside", b"")
        s3.rm(f"{root}/c", recursive=True)
        expect((names(s3, f"{root}/c"), fresh(s3).exists(f"{root}/c-beside")), ([], True))


def many(s3):
    """More files than a page of a listing or one DeleteObjects holds."""
    root = f"{BUCKET}/many"
    with case(f"{MANY} files: pipe, ls, cat of some, rm"):
        bodies = {f"{root}/{number:05}": str(number).encode() for number in range(MANY)}
        s3.pipe(bodies)
        expect(sorted(fresh(s3).ls(root, detail=False)), sorted(bodies), "files")
        some = sorted(bodies)[::100]
        expect(s3.cat(some), {path: bodies[path] for path in some}, "bodies")
        s3.rm(root, recursive=True)
        expect(names(s3, root), [], "files")


if __name__ == "__main__":
    main()
