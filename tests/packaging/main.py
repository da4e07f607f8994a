"""Makes the package for Debian, the archive and the bill of materials by packaging/build, from a program that is there, and tries them: the
package is installed into a root of its own and taken away again, the program in it keeps an object and gives it back, completions
complete, manual pages can be read.

Usage: tests/packaging/run [--binary PROGRAM] [--help]
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import tomllib

if "--help" in sys.argv[1:]:
    print(__doc__.strip())
    sys.exit(0)

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

from processes import Server, free_port
from report import NotRun, Report, expect
from targets import answers

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ("server", "gateway", "metadata", "chunk", "worker")


def run(*words, **more):
    """What a program says; fails when it ends with an error."""
    if not shutil.which(words[0]):
        raise NotRun(f"{words[0]} is not there")
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{words[0]} ended with {done.returncode}: {done.stdout[-600:]}{done.stderr[-600:]}")
    return done.stdout + done.stderr


def run_build(report, binary, out):
    """What packaging/build makes."""
    report.section("packaging/build")
    with report.case("makes a package, an archive, a bill of materials and their checksums"):
        # Small files are not what is tried here.
        run(ROOT / "packaging/build", "--binary", binary, "--out", out, env=os.environ | {"DPKG_DEB_COMPRESSOR_TYPE": "none", "GZIP": "-1"})
        names = sorted(path.name for path in out.iterdir())
        expect([re.sub(r"\d+\.\d+\.\d+", "V", name) for name in names if name != "SHA256SUMS"],
               [f"ashlar-V-linux-{os.uname().machine}.tar.gz", "ashlar-V.cdx.json", f"ashlar_V-1_{run('dpkg', '--print-architecture').strip()}.deb"], "files")
        run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=out)
        expect((out / "SHA256SUMS").read_text(encoding="utf-8").count("\n"), 3, "checksums")
    with report.case("the archive has the files of the package"):
        with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
            packed = sorted(member.name.split("/", 1)[1] for member in archive if member.isfile())
        listed = sorted(line.split()[-1].removeprefix("./") for line in run("dpkg-deb", "-c", next(out.glob("*.deb"))).splitlines() if line.startswith("-"))
        expect(packed, listed, "files")


def run_bill(report, out):
    """The bill of materials."""
    report.section("bill of materials")
    with report.case("names what the program is linked with, and no more than is locked"):
        bill = json.loads(next(out.glob("*.cdx.json")).read_text(encoding="utf-8"))
        expect([bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["name"]], ["CycloneDX", "1.5", "ashlar"], "heading")
        named = {(component["name"], component["version"]) for component in bill["components"]}
        locked = {(package["name"], package["version"]) for package in tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]}
        expect(named - locked, set(), "components that are not locked")
        names = {name for name, _ in named}
        expect({"tokio", "rustls", "rusqlite", "sqlx", "gateway", "shard-store"} - names, set(), "components that are missing")
        expect(names & {"aws-sdk-s3", "proptest", "stateright", "harness"}, set(), "what only tests use")
        expect([component["name"] for component in bill["components"] if not component.get("licenses")], [], "components without a licence")
        known = {component["bom-ref"] for component in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
        expect({one["ref"] for one in bill["dependencies"]}, known, "who has dependencies")
        expect({other for one in bill["dependencies"] for other in one["dependsOn"]} - known, set(), "dependencies without a component")
    with report.case("the schema of CycloneDX takes it"):
        validate = ROOT / ".venv/packaging/bin/python"
        if not validate.exists():
            run(ROOT / ".venv/uv/bin/uv", "venv", "-q", ROOT / ".venv/packaging")
            run(ROOT / ".venv/uv/bin/uv", "pip", "install", "-q", "--python", validate, "cyclonedx-python-lib[json-validation]==11.5.0")
        code = ("import sys; from cyclonedx.validation.json import JsonStrictValidator as V; from cyclonedx.schema import SchemaVersion as S; "
                "found = V(S.V1_5).validate_str(open(sys.argv[1]).read()); sys.exit(str(found) if found else 0)")
        run(validate, "-c", code, next(out.glob("*.cdx.json")))


def run_package(report, out, folder):
    """The package, installed into a root of its own."""
    report.section("package")
    package = next(out.glob("*.deb"))
    with report.case("its scripts are a shell's, and its settings are for root alone"):
        control = folder / "control"
        run("dpkg-deb", "-e", package, control)
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", control / script)
        settings = [line for line in run("dpkg-deb", "-c", package).splitlines() if "/etc/ashlar/" in line and line.startswith("-")]
        expect({line.split()[0] for line in settings}, {"-rw-------"}, "modes")
        expect(len(settings), len((control / "conffiles").read_text(encoding="utf-8").splitlines()), "settings that an upgrade keeps")
    with report.case("says which C library the program needs"):
        wanted = max(tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_(\d+\.\d+)", run("objdump", "-T", ROOT / "target/package/ashlar")))
        said = re.search(r"libc6 \(>= (\d+)\.(\d+)\)", run("dpkg-deb", "-f", package, "Depends"))
        expect(tuple(map(int, said.groups())) >= wanted, True, f"whether {said[0]} is enough for {wanted}")
    root = folder / "root"
    if os.geteuid() == 0:
        for path in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"):
            (root / path).mkdir(parents=True)
        for name in ("status", "available"):
            (root / "var/lib/dpkg" / name).touch()
    dpkg = ("dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless", "--log=/dev/null")
    with report.case("dpkg installs it, with a user for the services"):
        if os.geteuid() != 0:
            raise NotRun("only root may install packages")
        run(*dpkg, "--install", package)
        user = next(line for line in (root / "etc/passwd").read_text(encoding="utf-8").splitlines() if line.startswith("ashlar:"))
        expect(user.split(":")[5:], ["/var/lib/ashlar", "/usr/sbin/nologin"], "home and shell")
        expect(re.search(r"^Status: install ok installed$", run("dpkg", f"--root={root}", "-s", "ashlar"), re.M) is not None, True, "whether it is installed")
        for name in UNITS:
            unit = (root / f"usr/lib/systemd/system/ashlar-{name}.service").read_text(encoding="utf-8")
            for path in [*re.findall(r"^EnvironmentFile=(.+)$", unit, re.M), re.search(r"^ExecStart=(\S+)", unit, re.M)[1]]:
                expect((root / path.lstrip("/")).exists(), True, f"whether {path} of {name} is there")
    with report.case("the program in it keeps an object and gives it back"):
        place = folder / "extracted"
        run("dpkg-deb", "-x", package, place)
        try_program(place / "usr/bin/ashlar", folder)
    with report.case("settings that were changed stay at an upgrade; all but them goes with it"):
        if os.geteuid() != 0:
            raise NotRun("only root may install packages")
        changed = root / "etc/ashlar/server.env"
        changed.write_text("ASHLAR_ROOT_PASSWORD=changed\n", encoding="utf-8")
        run(*dpkg, "--force-confold", "--install", package)
        expect(changed.read_text(encoding="utf-8"), "ASHLAR_ROOT_PASSWORD=changed\n", "settings")
        run(*dpkg, "--remove", "ashlar")
        expect([(root / "usr/bin/ashlar").exists(), changed.exists()], [False, True], "program and settings after a removal")
        run(*dpkg, "--purge", "ashlar")
        expect(changed.exists(), False, "settings after a purge")


def try_program(program, folder):
    """Starts a server, puts and gets through it, and stops it."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "ASHLAR_LISTEN": f"127.0.0.1:{port}", "ASHLAR_ROOT_USER": "admin", "ASHLAR_ROOT_PASSWORD": "a password for this test"}
    server = Server("server", [program, "server", folder / "data"], environment, folder / "server.log")
    server.start()
    try:
        server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/health/ready", None))
        for operation in ("put", "get"):
            run(program, "bench", "--endpoint", f"http://127.0.0.1:{port}", "--access-key", "admin", "--secret-key", environment["ASHLAR_ROOT_PASSWORD"],
                "--op", operation, "--requests", "4", "--objects", "4", "--size", "1MiB", "--concurrency", "2")
        server.stop()
    finally:
        if server.process is not None:
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
    expect(server.bad_log_lines(), [], "lines of the log")


def run_shells(report):
    """Completions."""
    report.section("completions")
    folder = ROOT / "target/package/completions"
    for shell, name in (("bash", "ashlar"), ("zsh", "_ashlar"), ("fish", "ashlar.fish")):
        with report.case(f"{shell} can read its script"):
            expect(run(shell, "-n", folder / name), "", "what it says")
            expect("repair" in (folder / name).read_text(encoding="utf-8"), True, "whether it knows a command")
    for typed, wanted in ((["ashlar", "admin", "dis"], "disk"), (["ashlar", "server", "--root-u"], "--root-user"), (["ashlar", "torture", "local", "--kil"], "--kills")):
        with report.case(f"bash completes {' '.join(typed)}"):
            script = f'. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _ashlar ashlar "${{@: -1}}" "${{@: -2:1}}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
            expect(wanted in run("bash", "-c", script, "bash", folder / "ashlar", *typed).splitlines(), True, f"whether {wanted} is offered")


def run_pages(report, binary):
    """Manual pages."""
    report.section("manual pages")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run(binary, "man", folder)
        pages = sorted(folder.glob("*.1"))
        with report.case("there is one for each command"):
            names = {page.stem for page in pages}
            expect({"ashlar", "ashlar-server", "ashlar-admin-disk-drain", "ashlar-encryption-key", "ashlar-torture-local"} - names, set(), "pages that are missing")
            expect([page for page in names if "help" in page], [], "pages of help")
        with report.case("groff finds nothing wrong with them"):
            if not shutil.which("groff"):
                raise NotRun("groff is not there")
            for page in pages:
                # A line that cannot be spread evenly is no mistake.
                said = [line for line in run("groff", "-man", "-Tutf8", "-ww", "-z", page).splitlines() if "cannot adjust line" not in line]
                expect(said, [], page.name)
        with report.case("man shows what a command does, and its settings"):
            shown = re.sub(r".\x08", "", run("man", "-l", folder / "ashlar-server.1", env=os.environ | {"MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"}))
            shown = " ".join(shown.split())
            expect([words for words in ("Runs everything in one process", "--root-password", "ASHLAR_ROOT_PASSWORD") if words not in shown], [], "what it does not show")
        with report.case("a folder that is not there is told"):
            done = subprocess.run([binary, "man", folder / "gone"], capture_output=True, text=True, timeout=20, check=False)
            expect([done.returncode, "cannot write manual pages" in done.stderr], [4, True], "status and message")


def main():
    """Everything, in half a minute."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/debug/ashlar")
    binary = parser.parse_args().binary.resolve()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="ashlar-packaging-") as name:
        folder = pathlib.Path(name)
        out = folder / "out"
        out.mkdir()
        run_build(report, binary, out)
        run_bill(report, out)
        run_package(report, out, folder)
    run_shells(report)
    run_pages(report, binary)
    sys.exit(report.close("packaging"))


if __name__ == "__main__":
    main()
