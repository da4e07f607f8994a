"""Loses the metadata of installations that are written to, brings it back from a backup, and reconciles it with the disks; moves an
installation's metadata between an embedded database and Postgres. Every service is a real process, and so is Postgres."""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import together  # noqa: E402
from report import Report, expect  # noqa: E402

REPOSITORY = HERE.parents[1]
BUCKET = "drill"
DRILLS = ("moved", "server", "cluster", "base", "migration")
#: Each waits most of the time.
AT_ONCE = 3


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/backup/run", description=__doc__, epilog="""examples:
  tests/backup/run                 all drills, three at once
  tests/backup/run --only cluster  the one on Postgres""", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=DRILLS, help="one drill; may be given more than once")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    return parser.parse_args()


class Drill:
    """One installation that loses its database and gets it back."""

    def __init__(self, target, folder, report):
        from clients import client

        self.target, self.report = target, report
        self.file = folder / "backup.ashlar"
        self.client = lambda: client(target)
        #: Keys and sizes: acknowledged before the backup, and after it began.
        self.before, self.after = {}, {}
        self.doomed = [f"doomed/{number}" for number in range(5)]

    def write_and_back_up(self):
        """Backs up while clients write; goes on writing, by other leases too, and deletes."""
        from clients import Writers, body, furnish, picture

        s3 = self.client()
        s3.create_bucket(Bucket=BUCKET)
        self.user, _ = furnish(self.target, "furnished")
        self.seen = picture(self.target, "furnished", self.user)
        for key in self.doomed:
            s3.put_object(Bucket=BUCKET, Key=key, Body=body(key, 300_000))
        writers = Writers(self.target, BUCKET, "first")
        self.before = writers.wait_for(60)
        self.take()
        writers.more(60)
        self.after = writers.stop()
        # Leases that the backup cannot know.
        self.target.stop()
        self.target.start_again()
        writers = Writers(self.target, BUCKET, "second")
        writers.wait_for(30)
        self.after = {key: size for key, size in (self.after | writers.stop()).items() if key not in self.before}
        s3 = self.client()
        for key in self.doomed:
            s3.delete_object(Bucket=BUCKET, Key=key)
        self.target.wait_for_audit(lambda found: found["awaiting_deletion"] == 0)

    def take(self):
        """Takes the backup."""
        self.summary = self.target.json_of_database("backup", "--to", self.file)

    def bring_back(self):
        """Loses the database and restores it."""
        self.target.lose_database()
        restored = self.target.json_of_database("restore", "--from", self.file)
        for name in ("rows", "tables", "cluster", "epoch", "taken_ms", "bytes"):
            expect(restored[name], self.summary[name], name)
        self.figures = f"rows={restored['rows']} bytes={restored['bytes']} backup={self.summary['seconds']:.2f}s restore={restored['seconds']:.2f}s"

    def lose_and_restore(self):
        """Stops everything, loses the database, and restores it."""
        self.target.stop()
        self.bring_back()
        self.target.start_again()

    def read_back(self):
        """Everything acknowledged before reads back; what came later is there whole or not at all."""
        from clients import body, digest, picture, read

        s3 = self.client()
        for key, size in self.before.items():
            expect(digest(read(s3, BUCKET, key) or b""), digest(body(key, size)), key)
        self.gone = []
        for key, size in self.after.items():
            found = read(s3, BUCKET, key)
            if found is None:
                self.gone.append(key)
            else:
                expect(digest(found), digest(body(key, size)), key)
        assert len(self.gone) >= 60, f"only {len(self.gone)} of {len(self.after)} were written after the backup"
        expect(picture(self.target, "furnished", self.user), self.seen, "what the account has")

    def frozen(self):
        """Nothing is freed, whatever is deleted, and the audit tells what is left over and what is missing."""
        status = self.target.json("status")
        expect(status["frozen"], True, "frozen")
        assert "Nothing is freed" in self.target.asked("status")
        expect(self.target.metric("ashlar_cluster_frozen"), 1.0, "the metric")
        s3 = self.client()
        victim = next(key for key, size in self.before.items() if size == 300_000)
        s3.delete_object(Bucket=BUCKET, Key=victim)
        self.before.pop(victim)
        written = sum(1 for key in self.gone if self.after[key] > 1024)
        found = self.left_over()
        # Writes that the audit sees as under way are of this life, and there are none.
        expect((found["orphaned"] + found["awaiting_reaping"], found["lost_chunks"]), (written, len(self.doomed)), "left over, lost")
        assert found["orphaned"] > 0 and found["awaiting_reaping"] > 0, found
        # Well over the hold and the pauses of every loop that frees.
        time.sleep(20)
        again = self.left_over()
        for name in ("orphaned", "awaiting_reaping", "awaiting_deletion"):
            expect(again[name], found[name], f"{name} after a while")
        assert again["awaiting_deletion"] > 0, again

    def left_over(self):
        """An audit that waits for no disk."""
        return self.target.wait_for_audit(lambda found: not found["unseen"] and not found["unreached_disks"])

    def reconcile(self):
        """The operator compares, is refused until what lost its data is deleted, and finishes, twice."""
        from clients import body, read

        found = self.target.json("reconcile")
        lost = sorted(text.split(",")[0] for text in found["audit"]["lost_contents"])
        expect((found["frozen"], lost), (True, [f"{BUCKET}/{key}" for key in self.doomed]), "what lost data")
        refused = self.target.admin("reconcile", "--finish", *self.target.named(), code=1)
        assert "--accept-losses" in refused and all(f"{BUCKET}/{key}," in refused for key in self.doomed), refused
        found = self.target.json("reconcile", "--finish")
        expect((found["frozen"], found["finished"], found["adopted_leases"]), (True, False, 0), "refused while objects are lost")
        expect(self.target.json("status")["frozen"], True, "frozen")
        s3 = self.client()
        accepted = self.doomed.pop()
        for key in self.doomed:
            s3.delete_object(Bucket=BUCKET, Key=key)
        found = self.target.json("reconcile", "--finish")
        expect((found["finished"], found["audit"]["lost_chunks"]), (False, 1), "refused while one object is lost")
        found = self.target.json("reconcile", "--finish", "--accept-losses")
        assert found["adopted_leases"] > 0 and found["finished"] and not found["frozen"], found
        expect(self.target.json("status")["frozen"], False, "frozen")
        s3.delete_object(Bucket=BUCKET, Key=accepted)
        self.target.wait_for_audit(lambda found: self.is_done(found), seconds=150)
        again = self.target.asked("reconcile", "--finish")
        assert "Nothing is left to be done" in again, again
        s3.put_object(Bucket=BUCKET, Key="later", Body=body("later", 300_000))
        expect(read(s3, BUCKET, "later"), body("later", 300_000), "what is written later")

    def freed(self):
        """What was written after the backup is freed, and nothing else."""
        from clients import body, digest, read

        self.target.wait_for_audit(lambda found: self.is_done(found), seconds=150)
        s3 = self.client()
        for key, size in self.before.items():
            expect(digest(read(s3, BUCKET, key) or b""), digest(body(key, size)), key)

    @staticmethod
    def is_done(found):
        """Whether nothing is wrong and nothing waits; the lease of whoever runs now may have a write under way."""
        from installations import is_quiet

        return is_quiet(found | {"in_flight": 0})

    def run(self):
        """The cases, of which each needs those before."""
        cases = [
            ("a backup is taken while clients write", self.write_and_back_up),
            ("the database is lost and restored", self.lose_and_restore),
            ("what was acknowledged before the backup reads back equal", self.read_back),
            ("nothing is freed, and the audit tells what is left over and what is missing", self.frozen),
            ("an operator reconciles", self.reconcile),
            ("what was written after the backup is freed, and nothing else", self.freed),
        ]
        failed = len(self.report.failed)
        try:
            with self.report.case("an installation starts"):
                self.target.begin()
            for name, case in cases:
                if len(self.report.failed) > failed:
                    break
                with self.report.case(name):
                    case()
            with self.report.case("logged no error"):
                self.target.stop()
                bad = self.target.bad_log_lines()
                assert not bad, "\n".join(bad[:20])
        finally:
            if len(self.report.failed) > failed:
                for server in self.target.servers:
                    print(server.log_tail(15))
            self.target.end()
        if len(self.report.failed) == failed:
            print(self.figures, flush=True)


class BaseDrill(Drill):
    """The database comes back from a base backup of Postgres, and is marked."""

    def take(self):
        self.target.postgres.base_backup()

    def bring_back(self):
        self.target.postgres.stop()
        self.target.postgres.restore_base_backup()
        said = self.target.admin("restore", "--in-place")
        expect(said, "", "what it prints")
        self.figures = "by a base backup"


def main():
    """Runs what was asked for."""
    chosen = arguments()
    chosen.binary = chosen.binary.resolve()
    if not os.access(chosen.binary, os.X_OK):
        print(f"{chosen.binary} is not there; build it with `cargo build -p ashlar`", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    drills = chosen.only or DRILLS
    if len(drills) > 1:
        words = [sys.executable, __file__, "--binary", chosen.binary, *(["--keep"] if chosen.keep else []), "--only"]
        return together.run([[*words, drill] for drill in drills], AT_ONCE)
    from installations import Server, Services
    from migration import run_migration
    from moved import run_moved

    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-backup-"))
    # Postgres runs as a user of its own.
    folder.chmod(0o755)
    try:
        for name in drills:
            own = folder / name
            own.mkdir()
            if name == "migration":
                run_migration(chosen.binary, own, report)
                continue
            report.section(f"metadata lost and restored: {name}")
            if name == "moved":
                run_moved(Services(own / "target", chosen.binary), own, report)
                continue
            target = Server(own / "target", chosen.binary) if name == "server" else Services(own / "target", chosen.binary)
            (BaseDrill if name == "base" else Drill)(target, own, report).run()
    finally:
        if chosen.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.close("backup")


if __name__ == "__main__":
    sys.exit(main())
