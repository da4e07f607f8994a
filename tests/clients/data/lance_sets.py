"""Lance: data sets of fragments and manifests, of which each version must exist once."""

import random
from datetime import timedelta

import lance
import pyarrow as pa
from obstore.store import S3Store

from cases import BUCKET, case, done, in_processes, refused
from report import expect

WRITERS = 3
APPENDS = 4
BATCH = 100
ROWS = 20_000
SHARED = f"s3://{BUCKET}/lance/shared.lance"


def rows(first, count):
    """Rows with the ids that follow `first`, each with a vector made from its id."""
    vectors = pa.array([[float(number % 11), number / 1000, 0.0, 1.0] for number in range(first, first + count)], pa.list_(pa.float32(), 4))
    return pa.table({"id": pa.array(range(first, first + count), pa.int64()), "name": [f"n{number % 101}" for number in range(first, first + count)],
                     "vector": vectors})


def append(writer):
    """One process's appends."""
    for number in range(APPENDS):
        lance.write_dataset(rows((writer * APPENDS + number) * BATCH, BATCH), SHARED, mode="append")
    return writer


def ids(found):
    """Its ids, sorted."""
    return sorted(found["id"].to_pylist())


def main():
    """One writer, then several."""
    one_writer()
    with case(f"{WRITERS} processes append {APPENDS} times each, all at once: every row is there exactly once"):
        lance.write_dataset(rows(1_000_000, 1), SHARED)
        in_processes(append, range(WRITERS))
        found = lance.dataset(SHARED)
        expect(ids(found.to_table(columns=["id"])), [*range(WRITERS * APPENDS * BATCH), 1_000_000], "ids")
    with case("each version exists exactly once and holds one append more"):
        versions = [version["version"] for version in found.versions()]
        expect(sorted(versions), list(range(1, WRITERS * APPENDS + 2)), "versions")
        expect([lance.dataset(SHARED, version=version).count_rows() for version in sorted(versions)],
               [1 + number * BATCH for number in range(WRITERS * APPENDS + 1)], "rows by version")
    done()


def one_writer():
    """A data set's life."""
    url = f"s3://{BUCKET}/lance/one.lance"
    table = rows(0, ROWS)
    with case("write_dataset, to_table"):
        lance.write_dataset(table, url, max_rows_per_file=5_000)
        assert lance.dataset(url).to_table().sort_by("id").equals(table), "other rows"
    one = lance.dataset(url)
    with case("take: rows at random places"):
        places = random.Random(5).sample(range(ROWS), 50)
        assert one.take(places).equals(table.take(places)), "other rows"
    with case("a scan with a filter and two columns of three"):
        found = one.to_table(columns=["id", "name"], filter="id >= 7000 AND id < 7100 AND name = 'n3'")
        expect(ids(found), [number for number in range(7_000, 7_100) if number % 101 == 3], "ids")
    with case("a scalar index answers like a scan"):
        one.create_scalar_index("name", "BTREE")
        found = lance.dataset(url).to_table(columns=["id"], filter="name = 'n77'")
        expect(ids(found), [number for number in range(ROWS) if number % 101 == 77], "ids")
    with case("the nearest vectors"):
        found = one.to_table(columns=["id", "_distance"], nearest={"column": "vector", "q": [float(500 % 11), 0.5, 0.0, 1.0], "k": 1})
        expect(ids(found), [500], "ids")
    with case("delete, update, merge_insert, and the version from before"):
        one = lance.dataset(url)
        before = one.version
        one.delete("id >= 19000")
        one.update({"name": "'changed'"}, where="id < 10")
        one.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows(18_990, 20))
        found = lance.dataset(url).to_table(columns=["id", "name"])
        expect(ids(found), list(range(19_010)), "ids")
        expect(sum(name == "changed" for name in found["name"].to_pylist()), 10, "rows changed")
        assert lance.dataset(url, version=before).to_table().sort_by("id").equals(table), "other rows in the version before"
    with case("compaction leaves the rows, cleanup_old_versions only the last version"):
        one = lance.dataset(url)
        one.optimize.compact_files()
        one = lance.dataset(url)
        one.cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)
        expect(len(lance.dataset(url).versions()), 1, "versions")
        expect(ids(lance.dataset(url).to_table(columns=["id"])), list(range(19_010)), "ids")
        manifests = [entry["path"] for page in S3Store(BUCKET, prefix="lance/one.lance/_versions").list() for entry in page]
        expect(len([path for path in manifests if path.endswith(".manifest")]), 1, "manifests")
    with case("a version that was cleaned up, and a data set that is not there, are errors"):
        with refused(ValueError, OSError):
            lance.dataset(url, version=before)
        with refused(ValueError):
            lance.dataset(f"s3://{BUCKET}/lance/missing.lance")


if __name__ == "__main__":
    main()
