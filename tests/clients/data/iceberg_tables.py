"""PyIceberg: a catalog on SQLite whose tables lie on the server."""

import random
import time

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType

from cases import ACCESS_KEY, BUCKET, ENDPOINT, REGION, SECRET_KEY, case, done, in_processes, refused
from report import expect

WRITERS = 3
APPENDS = 4
BATCH = 50
SCHEMA = Schema(NestedField(1, "id", LongType(), required=False), NestedField(2, "kind", StringType(), required=False))
BY_KIND = PartitionSpec(PartitionField(source_id=2, field_id=1000, transform=IdentityTransform(), name="kind"))
FILE_IOS = {"pyarrow": "pyiceberg.io.pyarrow.PyArrowFileIO", "fsspec": "pyiceberg.io.fsspec.FsspecFileIO"}


def catalog(file_io="pyarrow"):
    """The catalog, with files read and written by one of two libraries."""
    return SqlCatalog("test", **{
        "uri": "sqlite:///catalog.db", "warehouse": f"s3://{BUCKET}/warehouse", "py-io-impl": FILE_IOS[file_io],
        "s3.endpoint": ENDPOINT, "s3.region": REGION, "s3.access-key-id": ACCESS_KEY, "s3.secret-access-key": SECRET_KEY,
    })


def rows(first, count, kind):
    """Rows with the ids that follow `first`."""
    return pa.table({"id": pa.array(range(first, first + count), pa.int64()), "kind": [kind] * count})


def append(writer):
    """One process's appends; one that another process came before is tried again."""
    for number in range(APPENDS):
        batch = rows((writer * APPENDS + number) * BATCH, BATCH, f"w{writer}")
        while True:
            try:
                catalog().load_table("lake.shared").append(batch)
                break
            except CommitFailedException:
                time.sleep(random.random() / 20)
    return writer


def ids(table, **scan):
    """Ids that a scan finds, sorted."""
    return sorted(table.scan(**scan).to_arrow()["id"].to_pylist())


def main():
    """One table for each way of reaching files, then one with several writers."""
    catalog().create_namespace("lake")
    for file_io in FILE_IOS:
        one_writer(file_io)
    with case(f"{WRITERS} processes append {APPENDS} times each, all at once: every row is there exactly once"):
        table = catalog().create_table("lake.shared", SCHEMA, partition_spec=BY_KIND)
        in_processes(append, range(WRITERS))
        table = catalog().load_table("lake.shared")
        expect(ids(table), list(range(WRITERS * APPENDS * BATCH)), "ids")
        expect(len(table.snapshots()), WRITERS * APPENDS, "snapshots")
    done()


def one_writer(file_io):
    """A table's life."""
    name = f"lake.{file_io}"
    with case(f"{file_io}: create_table, append, scan"):
        table = catalog(file_io).create_table(name, SCHEMA, partition_spec=BY_KIND)
        for kind, first in (("a", 0), ("b", 1_000), ("c/d e=%", 2_000)):
            table.append(rows(first, 1_000, kind))
        expect(ids(catalog(file_io).load_table(name)), list(range(3_000)), "ids")
    table = catalog(file_io).load_table(name)
    before = table.current_snapshot().snapshot_id
    with case(f"{file_io}: a scan with a filter on partition and column reads one file of three"):
        scan = table.scan(row_filter=And(EqualTo("kind", "c/d e=%"), GreaterThanOrEqual("id", 2_990)))
        expect(len(list(scan.plan_files())), 1, "files planned")
        expect(sorted(scan.to_arrow()["id"].to_pylist()), list(range(2_990, 3_000)), "ids")
    with case(f"{file_io}: a column is added and one renamed; old rows show the new one empty"):
        with table.update_schema() as update:
            update.add_column("size", LongType())
            update.rename_column("kind", "sort")
        table = catalog(file_io).load_table(name)
        table.append(pa.table({"id": pa.array([3_000], pa.int64()), "sort": ["new"], "size": pa.array([7], pa.int64())}))
        found = table.scan().to_arrow()
        expect((found.num_rows, pc.sum(found["size"]).as_py(), found["size"].null_count), (3_001, 7, 3_000))
    with case(f"{file_io}: delete and overwrite by a filter"):
        table.delete("id < 500")
        table.overwrite(pa.table({"id": pa.array([9_999], pa.int64()), "sort": ["b"], "size": pa.array([1], pa.int64())}), "sort == 'b'")
        table = catalog(file_io).load_table(name)
        expect(ids(table), [*range(500, 1_000), *range(2_000, 3_001), 9_999], "ids")
    with case(f"{file_io}: the snapshot from before is still there"):
        expect(ids(table, snapshot_id=before), list(range(3_000)), "ids")
    with case(f"{file_io}: overwrite of the whole table, and drop_table"):
        table.overwrite(pa.table({"id": pa.array([1], pa.int64()), "sort": ["z"], "size": pa.array([2], pa.int64())}))
        expect(ids(catalog(file_io).load_table(name)), [1], "ids")
        catalog(file_io).drop_table(name)
        with refused(NoSuchTableError):
            catalog(file_io).load_table(name)


if __name__ == "__main__":
    main()
