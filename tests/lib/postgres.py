"""A private Postgres server for one test run."""

import os
import pathlib
import pwd
import subprocess

from processes import free_port

# Only for tests of function: a crash of the machine would lose the data, and nothing here crashes it.
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"


class Postgres:
    """A cluster in a folder of its own, listening on a free loopback port."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        # initdb refuses root; Debian's package made the user.
        self.user = "postgres" if os.geteuid() == 0 else None

    @property
    def url(self):
        """Connection URL of the database `ashlar`."""
        return f"postgres://postgres@127.0.0.1:{self.port}/ashlar"

    def start(self):
        """Makes the cluster, starts it and creates the database."""
        self.folder.mkdir(parents=True)
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", self.folder / "data", "-A", "trust", "-U", "postgres", "--no-sync")
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 {FAST}"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "ashlar")

    def stop(self):
        """Stops it; does nothing when it was never started."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "immediate", "stop")

    def _run(self, program, *words):
        command = [str(newest_bin() / program), *map(str, words)]
        if self.user:
            command = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", *command]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        # To a file and not a pipe: the server would inherit the pipe and hold it open.
        log = self.folder / f"{program}.log"
        with open(log, "wb") as output:
            done = subprocess.run(command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {log.read_text()}")


def newest_bin():
    """The folder with the programs of the newest Postgres installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise RuntimeError("no Postgres server is installed; tests/lib/install installs one")
    return found[-1].parent
