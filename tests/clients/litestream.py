"""Litestream: a SQLite database whose changes are stored as they happen, and restored."""

import contextlib
import datetime
import sqlite3
import time

from data_programs import VENV, begin, end
from processes import Server
from report import expect

ROUNDS = 6
ROWS = 500
CONFIG = """
socket:
  enabled: true
  path: {socket}
snapshot:
  interval: 3s
levels:
  - interval: 1s
dbs:
  - path: {database}
    replica:
      type: s3
      bucket: {bucket}
      path: some/prefix
      endpoint: {endpoint}
      region: {region}
      force-path-style: true
"""


def run(session):
    """Replicates while rows are written, restores the last state and one before, and goes on from what was restored."""
    bucket = begin(session, "litestream")
    database, config, socket = session.path("app.db"), session.path("litestream.yml"), session.path("litestream.sock")
    config.write_text(CONFIG.format(socket=socket, database=database, bucket=bucket.bucket, endpoint=session.target.endpoint,
                                    region=session.target.region))
    # The AWS SDK for Go takes an authority from AWS_CA_BUNDLE only with its own HTTP client; Litestream's finds SSL_CERT_FILE.
    trust = {"AWS_CA_BUNDLE": ""}

    def litestream(*words, **more):
        return session.run(VENV / "litestream", *words, **trust, **more)

    @contextlib.contextmanager
    def replication(name):
        """Replicates during the block."""
        server = Server(name, [VENV / "litestream", "replicate", "-config", config], session.environment(**trust), session.path(f"{name}.log"))
        server.start()
        try:
            server.wait_until(socket.exists)
            yield
            server.stop()
            expect([line for line in server.bad_log_lines() if "level=ERROR" in line], [], "errors that it logged")
        finally:
            if server.process:
                server.kill()

    def write(connection, number):
        """One round of changes, on the server when it returns."""
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t (round, body) VALUES (?, randomblob(300))", [(number,)] * ROWS)
        connection.execute("UPDATE t SET body = randomblob(100) WHERE id % 7 = ?", (number,))
        connection.execute("COMMIT")
        litestream("sync", "-wait", "-socket", socket, database)

    connection = open_database(database)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, round INTEGER, body BLOB)")
    half, moment = None, None
    with session.case(f"replicates while {ROUNDS} rounds of {ROWS} rows are written"), replication("replicate"):
        for number in range(ROUNDS):
            write(connection, number)
            if number == ROUNDS // 2:
                # Restores go by whole seconds, so the moment has one of its own.
                half = contents(connection)
                time.sleep(2)
                moment = datetime.datetime.now(datetime.timezone.utc)
                time.sleep(2)
    wanted = contents(connection)
    connection.close()
    with session.case("restore brings every row back, and the database is whole"):
        litestream("restore", "-config", config, "-o", session.path("last.db"), database)
        expect_contents(session.path("last.db"), wanted)
    with session.case("restore to a moment in between"):
        litestream("restore", "-config", config, "-timestamp", moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "-o", session.path("half.db"), database)
        expect_contents(session.path("half.db"), half)
    with session.case("after the loss of the database: restored, replicated on, restored again"):
        for lost in session.folder.glob("app.db*"):
            lost.unlink()
        litestream("restore", "-config", config, database)
        connection = open_database(database)
        with replication("again"):
            write(connection, ROUNDS)
        wanted = contents(connection)
        connection.close()
        litestream("restore", "-config", config, "-o", session.path("again.db"), database)
        expect_contents(session.path("again.db"), wanted)
    with session.case("a prefix that was never written has nothing to restore"):
        printed = litestream("restore", "-o", session.path("none.db"), f"s3://{bucket.bucket}/nothing?endpoint={session.target.endpoint}",
                             code=1)
        assert "no matching backup files available" in printed, printed
        assert not session.path("none.db").exists(), "restored from nothing"
    end(session, bucket)


def open_database(path):
    """A connection that commits when it is told to."""
    return sqlite3.connect(path, isolation_level=None)


def contents(connection):
    """Every row."""
    return connection.execute("SELECT id, round, body FROM t ORDER BY id").fetchall()


def expect_contents(path, wanted):
    """Fails unless a database is whole and holds these rows."""
    with contextlib.closing(open_database(path)) as connection:
        expect(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity")
        found = contents(connection)
        assert found == wanted, f"{len(found)} rows, wanted {len(wanted)}, or other bodies"
