"""barman-cloud: a Postgres whose backups are streamed to a bucket in parts, and restored from there."""

import json

from boto3_cases.context import Context
from database import Database
from report import expect

SERVER = "main"


def run(session):
    """Backups, a restore and what is left when they are deleted."""
    bucket = Context(session, "barman")
    bucket.create()
    where = ["--cloud-provider", "aws-s3", "--endpoint-url", session.target.endpoint]
    url = f"s3://{bucket.bucket}/deep/prefix"
    archive = f"/usr/bin/barman-cloud-wal-archive {' '.join(where)} --gzip {url} {SERVER} %p"
    # Of the user whom Postgres runs as, who archives.
    environment = session.environment()
    del environment["HOME"], environment["PATH"]

    with Database(session, archive, environment) as database:
        def barman(program, *words, **more):
            return session.run(*database.postgres.as_owner(f"/usr/bin/barman-cloud-{program}", *where, *words), seconds=300, cwd="/", **more)

        def backups():
            return json.loads(barman("backup-list", "--format", "json", url, SERVER))["backups_list"]

        def backup(*words):
            barman("backup", *words, "--immediate-checkpoint", "--jobs", "2", "-h", "127.0.0.1", "-p", database.postgres.port, "-U", "postgres",
                   url, SERVER)

        with session.case("backup while the log is archived"):
            database.fill()
            backup()
            database.change()
            database.archived()
        with session.case("a second backup, compressed; backup-list shows both"):
            backup("--gzip")
            database.change()
            database.archived()
            wanted = database.content()
            expect([one["status"] for one in backups()], ["DONE", "DONE"], "backups")
        for number, name in enumerate(("first", "second")):
            with session.case(f"restore of the {name} backup, and recovery to the end of the archived log"):
                place = database.another(name)
                barman("restore", url, SERVER, backups()[number]["backup_id"], place.folder / "data")
                with open(place.folder / "data" / "postgresql.auto.conf", "a", encoding="utf-8") as config:
                    config.write("archive_mode = off\nrestore_command = "
                                 f"'/usr/bin/barman-cloud-wal-restore {' '.join(where)} {url} {SERVER} %f %p'\n")
                (place.folder / "data" / "recovery.signal").touch()
                database.recover(place)
                expect(database.content(place), wanted, "rows")
                place.stop()
        with session.case("backup-delete removes the first, and the log that only it needs"):
            before = wal_files(bucket)
            barman("backup-delete", "--backup-id", backups()[0]["backup_id"], url, SERVER)
            expect(len(backups()), 1, "backups")
            assert wal_files(bucket) < before, "no segment was removed"
    with session.case("the bucket can be emptied and deleted"):
        bucket.remove()


def wal_files(bucket):
    """How many segments of the log there are."""
    pages = bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket, Prefix=f"deep/prefix/{SERVER}/wals/")
    return sum(page["KeyCount"] for page in pages)
