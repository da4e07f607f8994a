"""A private Postgres server for one test run."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time

from processes import free_port

# Only for tests of function: a crash of the machine would lose the data, and nothing crashes it there.
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"


class Postgres:
    """A cluster in a folder of its own, listening on a free loopback port."""

    def __init__(self, folder, durable=False, environment=None):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        #: Whether what it acknowledges survives a power cut, as it does outside of tests.
        self.durable = durable
        #: What it sees beside the few variables that it needs.
        self.environment = environment or {}
        # initdb refuses root; Debian's package made the user.
        self.user = "postgres" if os.geteuid() == 0 else None

    @property
    def url(self):
        """Connection URL of the database `ashlar`."""
        return f"postgres://postgres@127.0.0.1:{self.port}/ashlar"

    def start(self):
        """Makes the cluster, starts it and creates the database."""
        self.make_folder(self.folder)
        no_sync = [] if self.durable else ["--no-sync"]
        self._run("initdb", "-D", self.folder / "data", "-A", "trust", "-U", "postgres", *no_sync)
        self.start_again()
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "ashlar")

    def make_folder(self, folder):
        """Makes a folder that belongs to the cluster's user."""
        folder.mkdir(parents=True)
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(folder, account.pw_uid, account.pw_gid)

    def start_again(self):
        """Starts it on the data that it has."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 "
        options += "-c max_connections=200" if self.durable else FAST
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def base_backup(self):
        """Copies the running cluster beside its data."""
        self._run("pg_basebackup", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-D", self.folder / "base", "--wal-method=stream",
                  "--checkpoint=fast")

    def restore_base_backup(self):
        """Puts that copy in the place of the data and starts on it."""
        shutil.rmtree(self.folder / "data")
        (self.folder / "base").rename(self.folder / "data")
        self.start_again()

    def processes(self):
        """Its process ids, its sessions' included."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        return [first, *map(int, pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def sessions(self):
        """The process ids of those who are connected to `ashlar`."""
        return [int(line) for line in self.query("SELECT pid FROM pg_stat_activity WHERE datname = 'ashlar' AND pid <> pg_backend_pid()").split()]

    def workers(self):
        """The process ids of all that works for `ashlar`, but for what comes and goes."""
        kinds = "'client backend', 'checkpointer', 'background writer', 'walwriter'"
        return [int(line) for line in self.query(f"SELECT pid FROM pg_stat_activity WHERE backend_type IN ({kinds}) AND pid <> pg_backend_pid()").split()]

    def query(self, sql):
        """What psql prints of it: a line for each row, with tabs between columns."""
        words = [newest_bin() / "psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-d", "ashlar", "-X", "-q", "-A", "-t", "-F", "\t",
                 "-v", "ON_ERROR_STOP=1", "-c", sql]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        return subprocess.run(list(map(str, words)), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True).stdout

    def kill(self, pids):
        """Ends these processes of it at once, and waits until they are gone."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while any(is_alive(pid) for pid in pids):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Postgres does not end: {pids}")
            time.sleep(0.005)

    def crash(self):
        """Ends all of it at once, and lets it be started again."""
        self.kill(self.processes())
        # Its process may still wait to be collected by its parent, and would be taken for one that runs.
        for lock in (self.folder / "data" / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            lock.unlink(missing_ok=True)

    def stop(self):
        """Stops it; does nothing when it was never started."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "immediate", "stop")

    def as_owner(self, *words):
        """A command as the user to whom the cluster belongs."""
        user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"] if self.user else []
        return user + list(map(str, words))

    def _run(self, program, *words):
        # By `env`, so that what starts it as another user has none of it.
        command = self.as_owner("env", *(f"{name}={value}" for name, value in self.environment.items()), newest_bin() / program, *words)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        # To a file and not a pipe: the server would inherit the pipe and hold it open.
        log = self.folder / f"{program}.log"
        with open(log, "wb") as output:
            done = subprocess.run(command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {log.read_text()}")


def is_alive(pid):
    """Whether a process runs; one that only waits to be collected by its parent does not."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def newest_bin():
    """The folder with the programs of the newest Postgres installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise RuntimeError("no Postgres server is installed; tests/lib/install installs one")
    return found[-1].parent
