"""delta-rs: tables of Parquet files with a log, each of whose commits must be the only one of its number."""

import json

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from obstore.store import S3Store

from cases import BUCKET, case, done, in_processes, refused
from report import expect

WRITERS = 4
APPENDS = 5
BATCH = 100
TABLE = f"s3://{BUCKET}/lake/events"
RACED = f"s3://{BUCKET}/lake/raced"


def rows(first, count, kind):
    """Rows with the ids that follow `first`."""
    return pa.table({"id": pa.array(range(first, first + count), pa.int64()), "kind": [kind] * count})


def append(writer):
    """One process's appends, one commit each."""
    for number in range(APPENDS):
        first = (writer * APPENDS + number) * BATCH
        write_deltalake(TABLE, rows(first, BATCH, f"w{writer}"), mode="append", partition_by=["kind"])
    return writer


def create(writer):
    """Whether this process could create the table that all try to create at once."""
    try:
        write_deltalake(RACED, rows(writer, 1, "made"), mode="error")
    except DeltaError:
        return False
    return True


def ids(table):
    """Its ids, sorted."""
    return sorted(table.to_pyarrow_table(columns=["id"])["id"].to_pylist())


def logged(url):
    """The versions in a table's log, each with the number of files that it adds."""
    versions = {}
    store = S3Store(BUCKET, prefix=f"{url.removeprefix(f's3://{BUCKET}/')}/_delta_log")
    for page in store.list():
        for entry in page:
            if entry["path"].endswith(".json"):
                lines = store.get(entry["path"]).bytes().to_bytes().decode().splitlines()
                versions[int(entry["path"].removesuffix(".json"))] = sum("add" in json.loads(line) for line in lines)
    return versions


def main():
    """Concurrent commits, then what one writer does."""
    concurrent()
    versions()
    done()


def concurrent():
    """No commit may be lost, and no version exist twice."""
    with case(f"{WRITERS} processes create one table at once: who succeeds has a version and a row"):
        made = [writer for writer, succeeded in enumerate(in_processes(create, range(WRITERS))) if succeeded]
        assert made, "nobody could create it"
        # A second one may succeed: delta-rs makes what lost version 0 the version after it.
        expect(sorted(logged(RACED)), list(range(len(made))), "versions")
        expect(ids(DeltaTable(RACED)), made, "rows")
    with case(f"{WRITERS} processes append {APPENDS} times each, all at once"):
        write_deltalake(TABLE, rows(1_000_000, 1, "first"), partition_by=["kind"])
        in_processes(append, range(WRITERS))
    commits = WRITERS * APPENDS
    table = DeltaTable(TABLE)
    with case("every row is there exactly once"):
        expect(ids(table), [*range(commits * BATCH), 1_000_000], "ids")
    with case("each version exists exactly once and holds one append"):
        expect(table.version(), commits, "last version")
        expect(sorted(entry["version"] for entry in table.history()), list(range(commits + 1)), "versions")
        expect(logged(TABLE), {version: 1 for version in range(commits + 1)}, "files added by version")
    with case("time travel: each version has one batch more than the one before"):
        counts = [len(ids(DeltaTable(TABLE, version=version))) for version in range(0, commits + 1, 5)]
        expect(counts, [1 + version * BATCH for version in range(0, commits + 1, 5)], "rows by version")


def versions():
    """Changes of one table, compared after each."""
    url = f"s3://{BUCKET}/lake/single"
    with case("delete, update and merge"):
        write_deltalake(url, rows(0, 1_000, "old"))
        table = DeltaTable(url)
        table.delete("id >= 900")
        table.update(updates={"kind": "'new'"}, predicate="id < 100")
        table.merge(rows(850, 100, "merged"), predicate="t.id = s.id", source_alias="s", target_alias="t") \
            .when_matched_update_all().when_not_matched_insert_all().execute()
        found = {row["id"]: row["kind"] for row in DeltaTable(url).to_pyarrow_table().to_pylist()}
        expect(found, {n: "new" if n < 100 else "old" if n < 850 else "merged" for n in range(950)}, "rows")
    with case("overwrite with another schema; the version before is still there"):
        before = DeltaTable(url).version()
        write_deltalake(url, pa.table({"name": ["a", "b"]}), mode="overwrite", schema_mode="overwrite")
        expect(DeltaTable(url).to_pyarrow_table().to_pylist(), [{"name": "a"}, {"name": "b"}], "rows")
        expect(ids(DeltaTable(url, version=before)), list(range(950)), "rows before")
    with case("a checkpoint is read, and restore goes back"):
        table = DeltaTable(url)
        table.create_checkpoint()
        expect(DeltaTable(url).to_pyarrow_table().num_rows, 2, "rows")
        table.restore(before)
        expect(ids(DeltaTable(url)), list(range(950)), "rows")
    with case("compaction leaves the rows, vacuum only the files in use"):
        table = DeltaTable(TABLE)
        wanted = ids(table)
        table.optimize.compact()
        expect(ids(DeltaTable(TABLE)), wanted, "ids after compaction")
        table = DeltaTable(TABLE)
        gone = table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        expect(len(gone), WRITERS * APPENDS, "files removed")
        left = {entry["path"] for page in S3Store(BUCKET, prefix="lake/events").list() for entry in page if not entry["path"].startswith("_")}
        expect(left, {uri.removeprefix(f"{TABLE}/") for uri in table.file_uris()}, "files left")
        expect(ids(DeltaTable(TABLE)), wanted, "ids after vacuum")
    with case("a version whose files were removed can no longer be read"):
        with refused(DeltaError, OSError):
            ids(DeltaTable(TABLE, version=3))


if __name__ == "__main__":
    main()
