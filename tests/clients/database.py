"""A Postgres whose backups and write-ahead log go to a bucket, for the tools that put them there."""

import contextlib
import hashlib
import time

from postgres import Postgres
from report import expect

ROWS = 20_000


class Database:
    """A private Postgres with a table of random rows. `archive` is its archive_command."""

    def __init__(self, session, archive, environment=None):
        self.session = session
        self.archive = archive
        self.postgres = Postgres(session.path("postgres"), durable=True, environment=environment)
        self.restored = []

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            undo.callback(self.__exit__)
            self.postgres.start()
            for name, value in (("archive_mode", "on"), ("archive_command", self.archive), ("archive_timeout", "60")):
                self.sql(f"alter system set {name} = '{value}'")
            self.postgres.stop()
            self.postgres.start_again()
            undo.pop_all()
        return self

    def __exit__(self, *_):
        for one in (self.postgres, *self.restored):
            one.stop()

    def sql(self, statement, postgres=None):
        """Runs a statement and returns what it answers."""
        port = (postgres or self.postgres).port
        return self.session.run("psql", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-Atc", statement,
                                "ashlar").strip()

    def fill(self, rows=ROWS):
        """Adds rows that do not compress well."""
        self.sql("create table if not exists kept (id serial primary key, content text)")
        self.sql(f"insert into kept (content) select md5(random()::text) || md5(random()::text) from generate_series(1, {rows})")

    def change(self):
        """Changes some rows, removes some, and adds some."""
        self.sql("update kept set content = content || ' changed' where id % 7 = 0")
        self.sql("delete from kept where id % 11 = 0")
        self.fill(ROWS // 4)

    def content(self, postgres=None):
        """How many rows there are, and a hash of them all."""
        dumped = self.sql("copy (select * from kept order by id) to stdout", postgres)
        return len(dumped.splitlines()), hashlib.sha256(dumped.encode()).hexdigest()

    def archived(self):
        """Waits until the write-ahead log up to now is archived, and fails if that failed."""
        segment = self.sql("select pg_walfile_name(pg_switch_wal())")
        deadline = time.monotonic() + 60
        while self.sql("select coalesce(last_archived_wal, '') from pg_stat_archiver") < segment:
            assert time.monotonic() < deadline, f"{segment} is not archived: {self.sql('select * from pg_stat_archiver')}"
            time.sleep(0.1)
        expect(self.sql("select failed_count from pg_stat_archiver"), "0", "segments that could not be archived")

    def another(self, name):
        """A place for a restored cluster: its data is to be put below `folder`."""
        postgres = Postgres(self.session.path(name), durable=True, environment=self.postgres.environment)
        postgres.make_folder(postgres.folder)
        self.restored.append(postgres)
        return postgres

    def recover(self, postgres):
        """Starts a restored cluster and waits until it has recovered."""
        postgres.start_again()
        deadline = time.monotonic() + 60
        while self.sql("select pg_is_in_recovery()", postgres) != "f":
            assert time.monotonic() < deadline, "does not end its recovery"
            time.sleep(0.1)
