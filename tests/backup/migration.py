"""A server's metadata moves to Postgres, its folders become disks of a cluster, and everything moves back."""

import contextlib
import pathlib
import sqlite3

from clients import body, client, furnish, picture
from installations import Server, Services, is_quiet
from processes import free_port
from report import expect
from targets import wait_all

BUCKET = "grown"


class Grown(Services):
    """A cluster on the folders of a server."""

    def __init__(self, folder, binary, server):
        super().__init__(folder, binary)
        self.home, self.data = pathlib.Path(server.data[0]), server.data
        self.access_key, self.secret_key = server.access_key, server.secret_key
        self.settings = {"ASHLAR_ENCRYPTION_KEYS": str(self.home / "encryption.keys")}

    def identity_key(self):
        return self.home / "identity.key"

    def begin(self):
        wait_all([self.metadata(number, port) for number, port in enumerate(self.metadata_ports, 1)])
        wait_all([self.chunk(1)])
        wait_all([self.gateway(1), self.gateway(2), self.worker()])

    def metadata(self, number, port, database=None):
        health = free_port()
        return self.run(f"metadata{number}", [self.binary, "metadata"], {
            "ASHLAR_DATABASE_URL": database or self.postgres.url,
            "ASHLAR_CLUSTER_SECRET": self.cluster_secret,
            "ASHLAR_LISTEN": f"127.0.0.1:{port}",
            "ASHLAR_HEALTH_LISTEN": f"127.0.0.1:{health}",
            "ASHLAR_IDENTITY_KEY": str(self.identity_key()),
        }, f"http://127.0.0.1:{health}/health/ready")

    def chunk(self, number):
        name, port, health = f"chunk{number}", free_port(), free_port()
        return self.run(name, [self.binary, "chunk"], self.member(name, health) | {
            "ASHLAR_LISTEN": f"127.0.0.1:{port}",
            "ASHLAR_DATA": ",".join(map(str, self.data)),
        }, f"http://127.0.0.1:{health}/health/ready")


def run_migration(binary, folder, report):
    """There and back."""
    report.section("metadata between an embedded database and Postgres")
    server = Server(folder / "server", binary, paths=3)
    cluster = Grown(folder / "cluster", binary, server)
    embedded = server.data[0] / "metadata.db"
    failed = len(report.failed)
    kept = {}

    def migrate(source, to, code=0):
        return server.admin("migrate", "--from", source, "--to", to, code=code)

    def grow():
        server.begin()
        cluster.postgres.start()
        kept["user"], kept["upload"] = furnish(server, BUCKET)
        kept["seen"] = picture(server, BUCKET, kept["user"])
        refused = migrate(f"sqlite:{embedded}", cluster.postgres.url, code=3)
        assert "in use" in refused, refused
        server.stop()
        # A metadata service on the embedded database holds it as a server does.
        alone, ready = cluster.metadata("-alone", free_port(), f"sqlite:{embedded}")
        alone.wait_until(ready)
        refused = migrate(f"sqlite:{embedded}", cluster.postgres.url, code=3)
        assert "in use" in refused, refused
        alone.stop()
        said = migrate(f"sqlite:{embedded}", cluster.postgres.url)
        assert "migrated" in said, said

    def refused():
        said = migrate(f"sqlite:{embedded}", cluster.postgres.url, code=1)
        assert "migrated to another" in said, said
        process, _ = server.spawn()
        expect(process.process.wait(60), 4, "the server's exit")
        assert "migrated to another" in process.log_tail(), process.log_tail()
        server.servers.clear()

    def as_cluster():
        cluster.begin()
        expect(picture(cluster, BUCKET, kept["user"]), kept["seen"], "what the account has")
        cluster.wait_for_audit(is_done)
        s3 = client(cluster)
        upload = kept["upload"]
        s3.complete_multipart_upload(**upload["named"], MultipartUpload={"Parts": upload["parts"]})
        expect(s3.get_object(Bucket=BUCKET, Key="open")["Body"].read(), body("open1", 5 * 2**20) + body("open2", 70_000), "the open upload")
        for number in range(20):
            s3.put_object(Bucket=BUCKET, Key=f"in-the-cluster/{number}", Body=body(f"c{number}", 200_000))
        s3.delete_object(Bucket=BUCKET, Key="copied")

    def back():
        in_use = migrate(cluster.postgres.url, f"sqlite:{folder / 'other.db'}", code=3)
        assert "stop the services" in in_use, in_use
        cluster.wait_for_audit(is_done)
        kept["seen"] = picture_without_uploads(cluster, kept["user"])
        cluster.stop()
        full = migrate(cluster.postgres.url, f"sqlite:{embedded}", code=4)
        assert "is there already" in full, full
        embedded.rename(folder / "old.db")
        migrate(cluster.postgres.url, f"sqlite:{embedded}")
        expect(embedded.stat().st_mode & 0o077, 0, "others may read the database")

    def newer():
        with contextlib.closing(sqlite3.connect(embedded)) as database, database:
            database.execute("INSERT INTO schema_version (version, name, checksum, applied_ms) VALUES (9999, 'future', 1, 1)")
        process, _ = server.spawn()
        expect(process.process.wait(60), 4, "the server's exit")
        assert "it was used by a newer program" in process.log_tail(), process.log_tail()
        server.servers.clear()
        with contextlib.closing(sqlite3.connect(embedded)) as database, database:
            database.execute("DELETE FROM schema_version WHERE version = 9999")

    def as_server():
        server.begin()
        expect(picture_without_uploads(server, kept["user"]), kept["seen"], "what the account has")
        server.wait_for_audit(is_done)
        s3 = client(server)
        s3.put_object(Bucket=BUCKET, Key="back", Body=body("back", 200_000))
        expect(s3.get_object(Bucket=BUCKET, Key="back")["Body"].read(), body("back", 200_000), "what is written later")

    cases = [
        ("a server's database is migrated to Postgres, once nobody has it", grow),
        ("the database that was left is refused", refused),
        ("the server's folders are disks of a cluster, with everything on them", as_cluster),
        ("the cluster's database is migrated back", back),
        ("a database that a newer program has used is refused", newer),
        ("the server has everything of both", as_server),
    ]
    try:
        for name, case in cases:
            if len(report.failed) > failed:
                break
            with report.case(name):
                case()
        with report.case("logged no error"):
            server.stop()
            bad = [line for line in cluster.bad_log_lines() + server.bad_log_lines() if "migrated to another" not in line and "newer program" not in line]
            assert not bad, "\n".join(bad[:20])
    finally:
        if len(report.failed) > failed:
            for each in server.servers + cluster.servers:
                print(each.log_tail(15))
        server.end()
        cluster.end()


def picture_without_uploads(target, user):
    """What is compared once no upload is open."""
    seen = picture(target, BUCKET, user)
    expect("uploads" in seen, False, "an open upload")
    return seen


def is_done(found):
    """Whether nothing is wrong and nothing waits; a write may be under way."""
    return is_quiet(found | {"in_flight": 0})

