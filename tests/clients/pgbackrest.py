"""pgBackRest: a Postgres is backed up, its log archived, and both restored, also to a point in time. Its own S3 client, HTTPS only."""

import json
import urllib.parse

from boto3_cases.context import Context
from database import Database
from report import NotRun, expect

PGBACKREST = "/usr/bin/pgbackrest"


def run(session):
    """One stanza from its creation to its deletion."""
    if not session.target.tls:
        with session.case("pgBackRest has a server to speak to"):
            raise NotRun("it speaks HTTPS only")
        return
    bucket = Context(session, "pgbackrest")
    bucket.create()
    config = session.path("pgbackrest.conf")
    archive = f"{PGBACKREST} --config={config} --stanza=main archive-push %p"
    with Database(session, archive) as database:
        configure(session, database.postgres, bucket.bucket, config)
        stanza(session, bucket, database, config)


def configure(session, postgres, bucket, config):
    """Writes the configuration, for a user who is not the test's."""
    port = urllib.parse.urlsplit(session.target.endpoint).port
    for name in ("log", "lock", "spool"):
        postgres.make_folder(session.path(name))
    # It compares names of certificates with host names only, never with addresses.
    config.write_text(
        "[global]\nrepo1-type=s3\nrepo1-path=/deep/repo\nrepo1-s3-uri-style=path\nrepo1-s3-endpoint=localhost\n"
        f"repo1-storage-host=localhost\nrepo1-storage-port={port}\nrepo1-storage-ca-file={session.target.ca}\nrepo1-storage-verify-tls=y\n"
        f"repo1-s3-bucket={bucket}\nrepo1-s3-region={session.target.region}\nrepo1-s3-key={session.target.access_key}\n"
        f"repo1-s3-key-secret={session.target.secret_key}\nrepo1-retention-full=1\nprocess-max=2\nstart-fast=y\n"
        f"log-path={session.path('log')}\nlock-path={session.path('lock')}\nspool-path={session.path('spool')}\nlog-level-console=warn\n"
        f"[main]\npg1-path={postgres.folder / 'data'}\npg1-port={postgres.port}\npg1-user=postgres\npg1-socket-path={postgres.folder}\n"
    )
    config.chmod(0o644)


def stanza(session, bucket, database, config):
    """Backups, and what is restored of them."""
    def pgbackrest(*words):
        # A warning is a failure too.
        printed = session.run(*database.postgres.as_owner(PGBACKREST, f"--config={config}", "--stanza=main", *words), seconds=300, cwd="/")
        assert "WARN" not in printed, printed
        return printed

    def kinds():
        return [backup["type"] for backup in json.loads(pgbackrest("info", "--output=json"))[0]["backup"]]

    def restored(name, *words):
        place = database.another(name)
        pgbackrest("restore", f"--pg1-path={place.folder / 'data'}", "--archive-mode=off", *words)
        database.recover(place)
        content = database.content(place)
        place.stop()
        return content

    with session.case("stanza-create and check, which archives a segment"):
        pgbackrest("stanza-create")
        pgbackrest("check")
    with session.case("full backup"):
        database.fill()
        pgbackrest("backup", "--type=full")
        first = database.content()
    with session.case("incremental and differential backups after changes"):
        database.change()
        pgbackrest("backup", "--type=incr")
        database.change()
        pgbackrest("backup", "--type=diff")
        expect(kinds(), ["full", "incr", "diff"], "backups")
    with session.case("backup in bundles, compressed by zstd"):
        database.change()
        pgbackrest("backup", "--type=diff", "--repo1-bundle", "--compress-type=zst")
        wanted = database.content()
    with session.case("archive-push of what comes after the last backup"):
        moment = database.sql("select now()")
        database.sql("drop table kept; create table kept (id int, content text)")
        database.archived()
    with session.case("verify finds every file of the repository whole"):
        pgbackrest("verify")
    with session.case("restore to the moment before the table was dropped"):
        expect(restored("moment", "--type=time", f"--target={moment}", "--target-action=promote"), wanted, "rows")
    with session.case("restore of the first backup alone"):
        label = json.loads(pgbackrest("info", "--output=json"))[0]["backup"][0]["label"]
        expect(restored("first", f"--set={label}", "--type=immediate", "--target-action=promote"), first, "rows")
    with session.case("restore to the end: the table is empty"):
        expect(restored("end")[0], 0, "rows")
    with session.case("a second full backup, after which the others expire"):
        pgbackrest("backup", "--type=full")
        expect(kinds(), ["full"], "backups")
    with session.case("stanza-delete leaves nothing in the bucket"):
        database.postgres.stop()
        pgbackrest("stop")
        pgbackrest("stanza-delete")
        expect([entry["Key"] for entry in bucket.s3.list_objects_v2(Bucket=bucket.bucket).get("Contents", [])], [], "keys")
        bucket.remove()
