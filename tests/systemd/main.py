"""Holds the units in deploy/systemd against systemd's own checks, docs/configuration.md and each other, and compares the system
calls that a server makes with those that its unit allows. No unit is started: that takes a machine that systemd runs.

What is not there (systemd-analyze, strace, target/debug/ashlar) is told, and its cases are not run.

Usage: tests/systemd/run [--help]
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

if "--help" in sys.argv[1:]:
    print(__doc__.strip())
    sys.exit(0)

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

from report import NotRun, Report, expect

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UNITS = ROOT / "deploy/systemd"
ROLES = ("gateway", "metadata", "chunk", "worker", "server")
PROGRAM = ROOT / "target/debug/ashlar"
# Of 100, in systemd's reckoning; 18 is what a service has that listens and calls others.
EXPOSURE_MAX = 20
STOP_SECONDS = 30 + 5


def unit(role):
    """The lines of a unit, as pairs of a name and a value."""
    lines = (UNITS / f"ashlar-{role}.service").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("=", 1)) for line in lines if re.match(r"\w+=", line)]


def the(role, name):
    """All values of a name in a unit."""
    return [value for each, value in unit(role) if each == name]


def run(*words):
    """What a program says; fails when it ends with an error."""
    if not shutil.which(words[0]):
        raise NotRun(f"{words[0]} is not there")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{words[0]} ended with {done.returncode}: {done.stdout[-600:]}{done.stderr[-600:]}")
    return done.stdout + done.stderr


def for_this_machine(role, folder):
    """The unit with a program and a user that are here."""
    text = (UNITS / f"ashlar-{role}.service").read_text(encoding="utf-8")
    text = text.replace("/usr/bin/ashlar", "/bin/true").replace("User=ashlar", "User=daemon").replace("Group=ashlar", "Group=daemon")
    path = pathlib.Path(folder) / f"ashlar-{role}.service"
    path.write_text(text, encoding="utf-8")
    return str(path)


def run_checks(report):
    """systemd's own checks."""
    report.section("systemd-analyze")
    with tempfile.TemporaryDirectory() as folder:
        for role in ROLES:
            with report.case(f"{role}: verify finds nothing"):
                expect(run("systemd-analyze", "verify", for_this_machine(role, folder)), "", "findings")
            with report.case(f"{role}: exposure is at most {EXPOSURE_MAX / 10}"):
                run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}", for_this_machine(role, folder))
        with report.case("verify finds a word that is misspelt"):
            path = pathlib.Path(for_this_machine("worker", folder))
            path.write_text(path.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHomes="), encoding="utf-8")
            expect("ProtectHomes" in run("systemd-analyze", "verify", str(path)), True, "whether it was found")
        with report.case("a unit that is open is told from one that is not"):
            path.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
            if not shutil.which("systemd-analyze"):
                raise NotRun("systemd-analyze is not there")
            done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(path)], capture_output=True, timeout=60, check=False)
            expect(done.returncode != 0, True, "whether it was refused")


def documented():
    """The variables of each role, and those that have to be given."""
    every, required, role = {}, {}, None
    for line in (ROOT / "docs/configuration.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## ashlar (\w+)", line):
            role = heading[1]
            every[role], required[role] = set(), set()
        elif row := re.match(r"\| `[^`]+` \| `(ASHLAR_\w+)` \|", line):
            every[role].add(row[1])
            if line.rstrip(" |").endswith("Required."):
                required[role].add(row[1])
    return every, required


def given(name):
    """The variables of an example of a file of settings, also those that are commented out, and those that are not."""
    text = (UNITS / f"{name}.env.example").read_text(encoding="utf-8")
    return set(re.findall(r"^#?(\w+)=", text, re.M)), set(re.findall(r"^(\w+)=", text, re.M))


def run_settings(report):
    """What units and their files of settings give is what the program takes."""
    report.section("settings")
    every, required = documented()
    for role in ROLES:
        files = [re.fullmatch(r"/etc/ashlar/(\w+)\.env", path)[1] for path in the(role, "EnvironmentFile")]
        inline = {line.split("=")[0] for line in the(role, "Environment")}
        with report.case(f"{role}: every variable is a setting of it"):
            named = inline.union(*(given(file)[0] for file in files)) - {"FOLDERS"}
            expect(named - every[role], set(), "variables that are no settings")
        with report.case(f"{role}: what has to be given is"):
            expect(required[role] - inline.union(*(given(file)[1] for file in files)), set(), "settings that are missing")
        with report.case(f"{role}: the unit runs it"):
            expect(the(role, "ExecStart")[0].split()[:2], ["/usr/bin/ashlar", role], "command")
    with report.case("no example has a secret"):
        for file in UNITS.glob("*.example"):
            found = re.findall(r"^#?\w*(?:SECRET|PASSWORD|DATABASE_URL)=.+", file.read_text(encoding="utf-8"), re.M)
            expect(found, [], file.name)


def confinement(role):
    """The lines of a unit that say what it may not do."""
    names = re.compile("User|Group|UMask|NoNew|Capab|Ambient|Protect|Private|Restrict(Addr|Name|Real|SUID)|Lock|Memory|Remove|SystemCall")
    return [line for line in unit(role) if names.match(line[0])]


def run_units(report):
    """What units have in common."""
    report.section("units")
    for role in ROLES:
        with report.case(f"{role}: has time to stop"):
            expect(int(the(role, "TimeoutStopSec")[0]) >= STOP_SECONDS, True, "long enough")
        with report.case(f"{role}: is confined as the others are"):
            confined = confinement(role)
            expect(confined, confinement("gateway"), "lines")
            expect(len(confined) > 20, True, "whether there are any")
    with report.case("only chunk services and the server write to disks"):
        writable = {role: the(role, "ReadWritePaths") + the(role, "StateDirectory") for role in ROLES}
        expect(writable, {"gateway": [], "metadata": [], "chunk": ["/srv/ashlar"], "worker": [], "server": ["ashlar"]}, "folders")


def names_in(group, seen=None):
    """The system calls of a group, with those of the groups in it."""
    seen = seen if seen is not None else set()
    if group in seen:
        return set()
    seen.add(group)
    calls = set()
    for line in run("systemd-analyze", "syscall-filter", "--no-pager", group).splitlines()[1:]:
        word = line.strip().split(" ")[0]
        if word.startswith("@"):
            calls |= names_in(word, seen)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def allowed(role):
    """The system calls that a unit allows."""
    calls = set()
    for line in the(role, "SystemCallFilter"):
        named = set().union(*(names_in(group) for group in line.removeprefix("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls | names_in("@default")


def traced(folder):
    """The system calls of a server that starts, answers, keeps an object, gives it back and stops; and lines that map memory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint, trace = f"http://127.0.0.1:{port}", pathlib.Path(folder) / "trace"
    password = "a password for this test"
    environment = {"PATH": os.environ["PATH"], "ASHLAR_ROOT_USER": "admin", "ASHLAR_ROOT_PASSWORD": password}
    command = ["strace", "-f", "-qq", "-o", str(trace), PROGRAM, "server", f"{folder}/data", "--listen", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ready = [PROGRAM, "admin", "health", f"{endpoint}/health/ready"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, capture_output=True, timeout=10, check=False).returncode != 0:
            assert time.monotonic() < deadline, "the server is not ready after a minute"
        for operation in ("put", "get"):
            options = ["--op", operation, "--requests", "4", "--objects", "4", "--size", "1MiB", "--concurrency", "2"]
            run(str(PROGRAM), "bench", "--endpoint", endpoint, "--access-key", "admin", "--secret-key", password, *options)
    finally:
        child = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="utf-8").split()
        if child:
            os.kill(int(child[0]), signal.SIGTERM)
        server.wait(timeout=60)
    expect(server.returncode, 0, "the server's status")
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    calls = {found[1] for line in lines if (found := re.match(r"\d+ +(?:<\.\.\. )?([a-z_0-9]+)[( ]", line))}
    mapped = [line for line in lines if re.search(r"\b(mmap|mprotect)\(", line) and "PROT_WRITE|PROT_EXEC" in line]
    return calls, mapped


def run_calls(report):
    """What the filter of system calls would refuse, by what a server does."""
    report.section("system calls")
    with report.case("a server makes none that its unit refuses"):
        if not shutil.which("strace"):
            raise NotRun("strace is not there")
        if not PROGRAM.exists():
            raise NotRun("target/debug/ashlar is not there")
        with tempfile.TemporaryDirectory() as folder:
            calls, mapped = traced(folder)
        expect({"openat", "accept4", "fdatasync", "pwrite64"} <= calls, True, "whether calls were seen")
        # SQLite gives its files to the owner of the database when root runs it, and goes on when it may not.
        expect(calls - allowed("server") - {"fchown"}, set(), "system calls that are refused")
        expect(mapped, [], "memory that can be written and executed")
    with report.case("the filter refuses what a service has no business with"):
        expect({"mount", "ptrace", "reboot", "init_module", "setuid", "chown"} & allowed("server"), set(), "allowed")


def main():
    """Everything, in a quarter of a minute."""
    report = Report()
    run_checks(report)
    run_settings(report)
    run_units(report)
    run_calls(report)
    sys.exit(report.close("systemd"))


if __name__ == "__main__":
    main()
