"""pyarrow: `S3FileSystem` of the AWS SDK for C++, and partitioned Parquet data sets on it."""

import os
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from cases import BUCKET, CA, HOST, MIB, REGION, TLS, case, done, refused
from report import expect

ROWS = 60_000
MANY = 1_050


def main():
    """Files first, then data sets, then what empties them."""
    s3 = file_system()
    files(s3)
    folders(s3)
    data_sets(s3)
    many(file_system(allow_delayed_open=True))
    done()


def file_system(**more):
    """The server as a file system, without retries."""
    return fs.S3FileSystem(endpoint_override=HOST, scheme="https" if TLS else "http", region=REGION, tls_ca_file_path=CA,
                           retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1), **more)


def files(s3):
    """Streams up and down, ranges, metadata, copies."""
    body = os.urandom(27 * MIB + 5)
    large = f"{BUCKET}/files/large"
    with case("open_output_stream stores 27 MiB in parts, open_input_stream brings them back"):
        with s3.open_output_stream(large) as out:
            for start in range(0, len(body), 3 * MIB):
                out.write(body[start:start + 3 * MIB])
        with s3.open_input_stream(large) as stream:
            assert stream.read() == body, "other bytes"
    with case("open_input_file reads ranges, the last of them shortened at the end"):
        with s3.open_input_file(large) as opened:
            expect(opened.size(), len(body), "size")
            for start, length in [(0, 1), (1, 999), (10 * MIB - 3, 7), (len(body) - 4, 4), (len(body) - 4, 100)]:
                assert opened.read_at(length, start) == body[start:start + length], f"other bytes at {start}"
            opened.seek(20 * MIB)
            assert opened.read(2 * MIB) == body[20 * MIB:22 * MIB], "other bytes after a seek"
    with case("metadata comes back"):
        with s3.open_output_stream(f"{BUCKET}/files/described", metadata={"Content-Type": "text/x-test", "Cache-Control": "max-age=7"}) as out:
            out.write(b"described")
        with s3.open_input_stream(f"{BUCKET}/files/described") as stream:
            found = {name.lower(): value for name, value in stream.metadata().items()}
        expect((found["content-type"], found["cache-control"]), (b"text/x-test", b"max-age=7"))
    with case("an empty file is a file of no bytes"):
        s3.open_output_stream(f"{BUCKET}/files/empty").close()
        info = s3.get_file_info(f"{BUCKET}/files/empty")
        expect((info.type, info.size), (fs.FileType.File, 0))
    with case("copy_file and move"):
        s3.copy_file(large, f"{BUCKET}/files/copy")
        s3.move(f"{BUCKET}/files/copy", f"{BUCKET}/files/with space, plus+ and ünïcode")
        expect(s3.get_file_info(f"{BUCKET}/files/copy").type, fs.FileType.NotFound)
        with s3.open_input_stream(f"{BUCKET}/files/with space, plus+ and ünïcode") as stream:
            assert stream.read() == body, "other bytes"
    with case("a missing file is FileNotFoundError"):
        with refused(FileNotFoundError):
            s3.open_input_file(f"{BUCKET}/files/missing")
        with refused(FileNotFoundError):
            s3.delete_file(f"{BUCKET}/files/missing")
    with case("delete_file"):
        s3.delete_file(f"{BUCKET}/files/described")
        expect(s3.get_file_info(f"{BUCKET}/files/described").type, fs.FileType.NotFound)


def folders(s3):
    """Folders are made, seen and removed."""
    root = f"{BUCKET}/folders"
    with case("create_dir, get_file_info: folders and files are told apart"):
        s3.create_dir(f"{root}/a/b/c", recursive=True)
        for name in ("a/one", "a/b/two", "a-/three"):
            with s3.open_output_stream(f"{root}/{name}") as out:
                out.write(name.encode())
        kinds = {info.path: info.type for info in s3.get_file_info([f"{root}/a", f"{root}/a/one", f"{root}/a/b/c", f"{root}/no"])}
        expect(kinds, {f"{root}/a": fs.FileType.Directory, f"{root}/a/one": fs.FileType.File,
                       f"{root}/a/b/c": fs.FileType.Directory, f"{root}/no": fs.FileType.NotFound})
    with case("FileSelector lists one level, and all of them"):
        expect(names(s3, root, recursive=False), ["a", "a-"])
        expect(names(s3, root, recursive=True), ["a", "a-", "a-/three", "a/b", "a/b/c", "a/b/two", "a/one"])
    with case("delete_dir takes what is below it and nothing beside it"):
        s3.delete_dir(f"{root}/a")
        expect(names(s3, root, recursive=True), ["a-", "a-/three"])


def names(s3, root, recursive):
    """Paths below a folder."""
    return sorted(info.path.removeprefix(f"{root}/") for info in s3.get_file_info(fs.FileSelector(root, recursive=recursive)))


def data_sets(s3):
    """A partitioned Parquet data set, read whole and in part."""
    table = pa.table({
        "id": pa.array(range(ROWS), pa.int64()),
        "year": pa.array([2020 + number % 4 for number in range(ROWS)], pa.int32()),
        "city": pa.array([("Köln", "New York", "a=b/c%d")[number % 3] for number in range(ROWS)]),
        "value": pa.array([number * 0.5 for number in range(ROWS)], pa.float64()),
        "bytes": pa.array([os.urandom(40) for _ in range(ROWS)], pa.binary()),
    })
    layout = ds.partitioning(pa.schema([("year", pa.int32()), ("city", pa.string())]), flavor="hive")
    root = f"{BUCKET}/sets/hive"
    with case("write_dataset in 12 partitions"):
        ds.write_dataset(table, root, filesystem=s3, format="parquet", partitioning=layout, max_rows_per_file=2_000,
                         max_rows_per_group=1_000)
        expect(len([name for name in names(s3, root, recursive=True) if name.endswith(".parquet")]), 36, "files")
    stored = ds.dataset(root, filesystem=s3, format="parquet", partitioning=layout)
    with case("to_table brings every row back"):
        assert stored.to_table(columns=table.column_names).sort_by("id").equals(table), "other rows"
    with case("a filter on a partition and on a column, with two columns of five"):
        found = stored.to_table(columns=["id", "value"], filter=(ds.field("city") == "Köln") & (ds.field("id") >= ROWS - 3_000))
        wanted = [number for number in range(ROWS - 3_000, ROWS) if number % 3 == 0]
        expect(sorted(found["id"].to_pylist()), wanted, "rows")
        expect(sorted(found["value"].to_pylist()), [number * 0.5 for number in wanted], "values")
    with case("count_rows reads footers"):
        expect(stored.count_rows(), ROWS, "rows")
    with case("delete_matching replaces the partitions that are written, and leaves the others"):
        less = table.filter((ds.field("year") == 2021) & (ds.field("id") < 1_000))
        ds.write_dataset(less, root, filesystem=s3, format="parquet", partitioning=layout, existing_data_behavior="delete_matching",
                         basename_template="again-{i}.parquet")
        again = ds.dataset(root, filesystem=s3, format="parquet", partitioning=layout).to_table(columns=["id"])["id"].to_pylist()
        expect(sorted(again), sorted(number for number in range(ROWS) if number % 4 != 1 or number < 1_000), "rows")


def many(s3):
    """More files than a page of a listing or one DeleteObjects holds, each stored by one request when it is closed."""
    root = f"{BUCKET}/many"

    def store(number):
        with s3.open_output_stream(f"{root}/{number:05}") as out:
            out.write(str(number).encode())

    with case(f"{MANY} files are listed"):
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(store, range(MANY)))
        expect(names(s3, root, recursive=False), [f"{number:05}" for number in range(MANY)], "files")
    with case("delete_dir_contents removes all of them"):
        s3.delete_dir_contents(root)
        expect(names(s3, root, recursive=True), [], "files")


if __name__ == "__main__":
    main()
