"""DuckDB: SQL over files that `httpfs` lists, reads by ranges and writes in parts."""

import certifi
import duckdb
from duckdb_extensions import import_extension

from cases import ACCESS_KEY, BUCKET, CA, HOST, REGION, SECRET_KEY, TLS, case, done, refused
from report import expect

ROWS = 400_000
URL = f"s3://{BUCKET}"
TABLE = f"""SELECT i AS id, 2020 + i % 4 AS year, 'n' || (i % 7919) AS name, sqrt(i) AS value, md5(i::VARCHAR) AS noise
            FROM range({ROWS}) t(i)"""


def main():
    """Each answer is compared with the one that the same query gives over a table in memory."""
    import_extension("httpfs")
    db = duckdb.connect()
    db.execute("LOAD httpfs")
    db.execute("SET http_retries = 0")
    db.execute("SET http_timeout = 60")
    if CA:
        db.execute(f"SET ca_cert_file = '{CA}'")
        db.execute("SET enable_server_cert_verification = true")
    db.execute(f"""CREATE SECRET (TYPE s3, KEY_ID '{ACCESS_KEY}', SECRET '{SECRET_KEY}', REGION '{REGION}', ENDPOINT '{HOST}',
                                  URL_STYLE 'path', USE_SSL {TLS})""")
    db.execute(f"CREATE TABLE t AS {TABLE}")
    one_file(db)
    many_files(db)
    text(db)
    if CA:
        with case("a server whose authority is not trusted is refused"):
            db.execute(f"SET ca_cert_file = '{certifi.where()}'")
            with refused(duckdb.Error):
                db.sql(f"SELECT count(*) FROM '{URL}/one.parquet'").fetchall()
    done()


def same(db, query, stored):
    """Fails unless a query over stored files answers as over the table; `$` stands for either."""
    wanted = db.sql(query.replace("$", "t")).fetchall()
    assert wanted, "the query finds nothing"
    found = db.sql(query.replace("$", stored)).fetchall()
    expect(found, wanted, "rows")


def one_file(db):
    """A Parquet file of some 20 MiB."""
    stored = f"'{URL}/one.parquet'"
    with case("COPY TO Parquet, and a hash over every row"):
        db.execute(f"COPY t TO {stored} (FORMAT parquet, ROW_GROUP_SIZE 20000)")
        same(db, "SELECT count(*), sum(id), bit_xor(hash(id, year, name, value, noise)) FROM $", stored)
    with case("a range of rows and two columns, by ranges of the file"):
        same(db, "SELECT id, name FROM $ WHERE id BETWEEN 250100 AND 250140 ORDER BY id", stored)
    with case("parquet_metadata reads the footer"):
        expect(db.sql(f"SELECT sum(num_values)::BIGINT FROM parquet_metadata({stored}) WHERE path_in_schema = 'id'").fetchall(), [(ROWS,)])
    with case("a join of a stored file with itself"):
        same(db, "SELECT a.year, count(*) FROM $ a JOIN $ b ON a.id = b.id + 1 WHERE b.id % 1000 = 7 GROUP BY 1 ORDER BY 1", stored)
    with case("overwriting: the next query sees the new file"):
        db.execute(f"COPY (SELECT 42 AS id) TO '{URL}/again.parquet'")
        expect(db.sql(f"SELECT * FROM '{URL}/again.parquet'").fetchall(), [(42,)])
        db.execute(f"COPY (SELECT 43 AS id, 'x' AS name) TO '{URL}/again.parquet'")
        expect(db.sql(f"SELECT * FROM '{URL}/again.parquet'").fetchall(), [(43, "x")])


def many_files(db):
    """Globs and partitions."""
    hive = f"read_parquet('{URL}/hive/**/*.parquet', hive_partitioning = true)"
    with case("COPY TO partitions, read by a glob over folders"):
        db.execute(f"COPY t TO '{URL}/hive' (FORMAT parquet, PARTITION_BY (year))")
        same(db, "SELECT year, count(*), bit_xor(hash(id, name, value, noise)) FROM $ GROUP BY year ORDER BY year", hive)
    with case("a filter on the partition"):
        same(db, "SELECT count(*), sum(id) FROM $ WHERE year = 2022 AND id > 1000", hive)
    with case("60 files, and globs with * and [ ]"):
        for number in range(60):
            db.execute(f"COPY (SELECT * FROM t WHERE id % 60 = {number}) TO '{URL}/many/{number % 3}/part {number:03}.parquet'")
        expect(len(db.sql(f"SELECT file FROM glob('{URL}/many/**')").fetchall()), 60, "files")
        same(db, "SELECT count(*), bit_xor(hash(id, year, name, value, noise)) FROM $", f"'{URL}/many/*/*.parquet'")
        found = db.sql(f"SELECT file FROM glob('{URL}/many/[01]/part 0*[05].parquet') ORDER BY 1").fetchall()
        wanted = [f"{URL}/many/{number % 3}/part {number:03}.parquet" for number in range(0, 60, 5) if number % 3 < 2]
        expect([row[0] for row in found], sorted(wanted), "files")
    with case("filename tells where a row came from"):
        found = db.sql(f"SELECT DISTINCT id % 60, filename FROM read_parquet('{URL}/many/*/*.parquet', filename = true) ORDER BY 1").fetchall()
        expect(found, [(number, f"{URL}/many/{number % 3}/part {number:03}.parquet") for number in range(60)], "files")
    with case("a missing file, and a glob without a match, are errors"):
        with refused(duckdb.Error):
            db.sql(f"SELECT * FROM '{URL}/missing.parquet'").fetchall()
        with refused(duckdb.IOException):
            db.sql(f"SELECT * FROM '{URL}/missing/*.parquet'").fetchall()


def text(db):
    """CSV and JSON, compressed and in parts."""
    with case("COPY TO CSV of 25 MiB in parts, and back"):
        db.execute(f"COPY t TO '{URL}/text.csv'")
        same(db, "SELECT count(*), sum(id), bit_xor(hash(id::BIGINT, name, noise)) FROM $", f"read_csv('{URL}/text.csv')")
    with case("CSV with gzip, and JSON"):
        db.execute(f"COPY (SELECT * FROM t WHERE id < 30000) TO '{URL}/text.csv.gz' (COMPRESSION gzip)")
        same(db, "SELECT count(*), sum(id) FROM $ WHERE id < 30000", f"read_csv('{URL}/text.csv.gz')")
        db.execute(f"COPY (SELECT * FROM t WHERE id < 30000) TO '{URL}/text.json'")
        same(db, "SELECT id, name, noise FROM $ WHERE id < 30000 AND id % 5000 = 1 ORDER BY id", f"read_json('{URL}/text.json')")


if __name__ == "__main__":
    main()
