"""polars: scans that fetch only what a query needs, and sinks that upload in parts."""

import random

import polars as pl

from cases import BUCKET, case, done, refused
from report import expect

ROWS = 200_000
URL = f"s3://{BUCKET}"
OPTIONS = {"max_retries": 0}


def main():
    """Each answer is compared with the one that the same query gives in memory."""
    chance = random.Random(11)
    frame = pl.DataFrame({
        "id": range(ROWS),
        "year": [2020 + number % 3 for number in range(ROWS)],
        "name": [f"Näme {number % 997}" for number in range(ROWS)],
        "value": [chance.random() for _ in range(ROWS)],
        "noise": [chance.randbytes(48) for _ in range(ROWS)],
    })
    one_file(frame)
    many_files(frame)
    text(frame.select("id", "year", "name", "value").head(20_000))
    done()


def same(found, wanted):
    """Fails unless both hold the same rows, in whatever order."""
    if not found.sort("id").equals(wanted.sort("id")):
        raise AssertionError(f"got {found.shape}, wanted {wanted.shape}: {found.sort('id').head(3)} {wanted.sort('id').head(3)}")


def one_file(frame):
    """A file of some 13 MiB with many row groups."""
    url = f"{URL}/one.parquet"
    with case("write_parquet in parts, read_parquet"):
        frame.write_parquet(url, row_group_size=10_000, storage_options=OPTIONS)
        same(pl.read_parquet(url, storage_options=OPTIONS), frame)
    lazy = pl.scan_parquet(url, storage_options=OPTIONS)
    with case("scan_parquet with a predicate that skips row groups, and two columns of five"):
        query = (pl.col("id") >= 120_500) & (pl.col("id") < 121_500) & (pl.col("value") > 0.5)
        same(lazy.filter(query).select("id", "value").collect(), frame.filter(query).select("id", "value"))
    with case("a slice from the middle, and the tail"):
        same(lazy.slice(99_990, 25).collect(), frame.slice(99_990, 25))
        same(lazy.tail(7).collect(), frame.tail(7))
    with case("group_by in the streaming engine"):
        totals = [pl.len().alias("rows"), pl.col("id").sum()]
        found = lazy.group_by("name").agg(totals).sort("name").collect(engine="streaming")
        assert found.equals(frame.group_by("name").agg(totals).sort("name")), "other totals"
    with case("overwriting: the next scan sees the new rows alone"):
        pl.DataFrame({"id": [1, 2]}).write_parquet(url, storage_options=OPTIONS)
        expect(pl.scan_parquet(url, storage_options=OPTIONS).collect()["id"].to_list(), [1, 2])


def many_files(frame):
    """Files below one prefix, by glob and by partition."""
    with case("40 files, scanned by a glob"):
        for number in range(40):
            frame.slice(number * 5_000, 5_000).write_parquet(f"{URL}/many/{number % 4}/part-{number:02}.parquet", storage_options=OPTIONS)
        same(pl.scan_parquet(f"{URL}/many/**/*.parquet", storage_options=OPTIONS).collect(), frame)
    with case("a glob that takes a quarter of them"):
        wanted = pl.concat([frame.slice(number * 5_000, 5_000) for number in range(40) if number % 4 == 2])
        same(pl.scan_parquet(f"{URL}/many/2/part-*.parquet", storage_options=OPTIONS).collect(), wanted)
    with case("sink_parquet by partitions, scan_parquet with a predicate on the partition"):
        frame.lazy().sink_parquet(pl.PartitionBy(f"{URL}/hive/", key="year", include_key=False), storage_options=OPTIONS)
        lazy = pl.scan_parquet(f"{URL}/hive/", hive_partitioning=True, storage_options=OPTIONS)
        query = (pl.col("year") == 2021) & (pl.col("id") < 50_000)
        same(lazy.filter(query).select(frame.columns).collect(), frame.filter(query))
        same(lazy.select(frame.columns).collect(), frame)
    with case("a missing file is an error"):
        with refused(FileNotFoundError):
            pl.scan_parquet(f"{URL}/missing.parquet", storage_options=OPTIONS).collect()


def text(frame):
    """Formats other than Parquet."""
    with case("sink_csv, scan_csv"):
        frame.lazy().sink_csv(f"{URL}/text.csv", storage_options=OPTIONS)
        same(pl.scan_csv(f"{URL}/text.csv", storage_options=OPTIONS).filter(pl.col("id") % 2 == 0).collect(), frame.filter(pl.col("id") % 2 == 0))
    with case("sink_ndjson, scan_ndjson"):
        frame.lazy().sink_ndjson(f"{URL}/text.ndjson", storage_options=OPTIONS)
        same(pl.scan_ndjson(f"{URL}/text.ndjson", storage_options=OPTIONS).collect(), frame)
    with case("sink_ipc, scan_ipc"):
        frame.lazy().sink_ipc(f"{URL}/text.arrow", storage_options=OPTIONS)
        same(pl.scan_ipc(f"{URL}/text.arrow", storage_options=OPTIONS).select("id", "name").collect(), frame.select("id", "name"))


if __name__ == "__main__":
    main()
