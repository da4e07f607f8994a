"""Runs the commands of documents. Each block of `sh` is run by one shell per document, in its order and as it stands, but for ports, and for
folders of the machine. `ashlar server` goes on beside what follows, and the `export` lines that it prints are taken over, as the documents
say. What a comment behind a command says is expected of it:

    # 200                        the status of what curl fetched
    # refused: NoSuchKey         the command fails, and says so; a code of an error alone means the same
    # IsPublic: true             a field of the JSON that is answered
    # "StorageClass": "COLD"     words that are answered, `...` for any
    # hello.txt                  a single word that is answered
    # anything else              a remark; the command succeeds
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from processes import free_port
from report import NotRun, expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS_MAX = 240

DOCUMENTS = ["README.md", "docs/getting-started.md", "docs/operations.md", "docs/security.md", "docs/performance.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/how-to").glob("*.md"))]
# What `--short` runs. Each call of aws-cli takes most of a second.
SHORT = ["docs/getting-started.md", "docs/how-to/give-users-keys.md", "docs/how-to/observe.md", "docs/how-to/open-a-bucket.md"]

# What moves bytes between classes, which waits while a disk has less than a twentieth of its space left.
NEEDS_ROOM = {"docs/how-to/move-to-a-colder-class.md"}
ROOM_MIN = 0.08

# Commands that are not run here: a document, a pattern of the command, why, and what runs it.
NOT_RUN = [
    ("README.md", r"^cargo run", "builds for minutes", "the program that `./test` builds is run instead"),
    ("README.md", r"^\./test$", "is the test command itself", "./test"),
    ("README.md", r"docker compose|> \.env|>> \.env", "needs a Docker engine, and root", "tests/compose/run"),
    ("README.md", r"^ashlar admin disk drain", "a single disk cannot be drained, and the id is an example", "services/ashlar's and tests/torture's drains"),
    ("README.md", r"^ashlar torture", "takes minutes", "tests/torture/run, and docs/operations.md with fewer kills"),
    ("docs/getting-started.md", r"^cargo install", "builds for minutes", "packaging/build, and the steps of .github/workflows/release.yml"),
    ("docs/performance.md", r"^tests/bench/", "measures for minutes, on a machine with nothing else to do", "none: the figures beside them are those of runs by hand"),
    ("docs/how-to/run-in-a-container.md", r"", "needs a Docker engine, and root", "tests/compose/run runs every command of it"),
    ("docs/how-to/run-by-compose.md", r"", "needs a Docker engine, and root", "tests/compose/run; the files by tests/monitoring/run"),
    ("docs/how-to/run-on-kubernetes.md", r"", "needs a Kubernetes", "tests/helm/run renders and checks the chart"),
    ("docs/how-to/run-on-bare-metal.md", r"", "needs root and a machine that systemd runs", "tests/systemd/run, tests/packaging/run"),
    ("docs/how-to/grow-into-a-cluster.md", r"", "needs a Postgres", "tests/backup/run --only migration"),
    ("docs/how-to/run-the-simulation.md", r"", "builds and runs for minutes", "cargo nextest run -p test-sim in ./test"),
    ("docs/how-to/back-up-and-restore.md", r"postgres://|pg_basebackup", "needs a Postgres", "tests/backup/run"),
    ("docs/how-to/back-up-and-restore.md", r"^docker compose", "needs a Docker engine, and root", "tests/compose/run --long"),
    ("docs/how-to/back-up-and-restore.md", r"^helm|^kubectl", "needs a Kubernetes", "tests/helm/run renders the CronJob and runs its script"),
    ("docs/how-to/find-out-why.md", r"^docker compose", "needs a Docker engine, and root", "services/ashlar/tests/program/support.rs writes it to the standard output"),
    ("docs/how-to/find-out-why.md", r"^kubectl", "needs a Kubernetes", "services/ashlar/tests/program/support.rs writes it to the standard output"),
    ("docs/how-to/upgrade.md", r"^docker compose|^deploy/compose/upgrade|>> \.env", "needs a Docker engine, and root", "tests/compose/run --earlier FILE"),
    ("docs/how-to/upgrade.md", r"^helm|^kubectl", "needs a Kubernetes", "tests/helm/run renders both steps"),
    ("docs/how-to/encrypt-objects.md", r"^ashlar (gateway|worker)", "is the shape of a command, of a cluster", "tests/clients/run --target cluster"),
    ("docs/how-to/encrypt-objects.md", r"^bao |--kms-endpoint", "needs an OpenBao", "tests/kms/run"),
    ("docs/how-to/give-users-keys.md", r"^ashlar metadata", "is the shape of a command, of a cluster", "tests/clients/run --target cluster"),
    ("docs/how-to/assume-roles-with-tokens.md", r"^kubectl", "needs a Kubernetes", "tests/oidc/run asks a provider of its own for its keys, over TLS by an authority of its own, at a private address"),
    ("docs/how-to/assume-roles-with-tokens.md", r"^ashlar gateway", "is the shape of a command, of a cluster", "tests/oidc/run sets the same for `ashlar server`"),
    ("docs/how-to/assume-roles-with-tokens.md", r"^export AWS_ROLE_ARN|^aws sts|^aws s3 ls", "needs a token of GitHub's", "tests/oidc/run has one of a provider of its own"),
    ("docs/how-to/open-a-bucket.md", r"^aws s3control", "needs a name with the account in front that leads to the server", "tests/clients/boto3_cases/identities.py"),
    ("docs/how-to/observe.md", r"^docker run", "needs a Docker engine", "services/ashlar/tests/program/traces.rs and metrics_export.rs receive what is sent to a collector"),
]

ROOT_USER = "export AWS_ACCESS_KEY_ID=$ROOT_KEY AWS_SECRET_ACCESS_KEY=$ROOT_SECRET; unset AWS_SESSION_TOKEN"
KEY_OF_ANN = "AWS_ACCESS_KEY_ID=$(field AccessKey.AccessKeyId <key.json) AWS_SECRET_ACCESS_KEY=$(field AccessKey.SecretAccessKey <key.json)"
# What a document's text does between its blocks: a document, a pattern of a command, and what is done before and after it.
BETWEEN = [
    ("README.md", r"^aws s3 mb s3://photos", f"ln -s {ROOT}/README.md {ROOT}/docs . && ashlar server ./data", ""),
    ("docs/operations.md", r"^ashlar admin status", "ashlar server ./data", ""),
    ("docs/how-to/find-out-why.md", r"^ashlar admin support", "ashlar server ./data", ""),
    ("docs/how-to/assume-roles-with-tokens.md", r"--url https://token", "ashlar server ./data", ""),
    ("docs/how-to/give-users-keys.md", r"create-access-key", "", "cp $OUT/$N.out key.json"),
    ("docs/how-to/give-users-keys.md", r"^aws iam create-group|^aws iam create-role|--user-name lead$|^aws sts get-federation-token", ROOT_USER, ""),
    ("docs/how-to/give-users-keys.md", r"^aws iam create-role", "aws iam create-access-key --user-name ann > key.json", ""),
    ("docs/how-to/give-users-keys.md", r"^aws sts assume-role", f"export {KEY_OF_ANN}; sleep 1", "cp $OUT/$N.out session.json"),
    # The old store, with what the page copies. It is stopped at the end.
    ("docs/how-to/move-from-minio.md", r"^export RCLONE_CONFIG_OLD_TYPE", "",
     "MINIO_ROOT_USER=old-root MINIO_ROOT_PASSWORD=old-password ASHLAR_LISTEN=${RCLONE_CONFIG_OLD_ENDPOINT#http://} command ashlar server ./old >old.out 2>old.log &\n"
     "OLD=$!; until curl -sf $RCLONE_CONFIG_OLD_ENDPOINT/minio/health/cluster; do sleep 0.1; done"),
    ("docs/how-to/move-from-minio.md", r"^aws s3 mb",
     "old() { AWS_ENDPOINT_URL=$RCLONE_CONFIG_OLD_ENDPOINT AWS_ACCESS_KEY_ID=old-root AWS_SECRET_ACCESS_KEY=old-password aws \"$@\"; }\n"
     "echo 'Hello' > hello.txt; old s3 mb s3://photos && old s3 cp --metadata colour=red hello.txt s3://photos/a/hello.txt &&\n"
     "old s3api put-bucket-lifecycle-configuration --bucket photos --lifecycle-configuration "
     "'{\"Rules\": [{\"ID\": \"one\", \"Status\": \"Enabled\", \"Filter\": {\"Prefix\": \"tmp/\"}, \"Expiration\": {\"Days\": 30}}]}' &&\n"
     "old s3api put-bucket-policy --bucket photos --policy '{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Deny\", \"Principal\": \"*\", "
     "\"Action\": \"s3:DeleteBucket\", \"Resource\": \"arn:aws:s3:::photos\"}}'", ""),
    # In the folder that the command before has filled.
    ("docs/security.md", r"^openssl req", "cd certificates", ""),
    ("docs/how-to/encrypt-objects.md", r"^ashlar encryption-key keys  ", "ashlar server ./data; aws s3 mb s3://bucket; echo 'A secret' > secret.txt", ""),
    # The server is started again with the keys that were added to its file.
    ("docs/how-to/encrypt-objects.md", r"--kms --alias payroll", "", "cp $OUT/$N.out named; ashlar server ./data"),
    ("docs/how-to/encrypt-objects.md", r"--not-current", "", "cp $OUT/$N.out added"),
    # As behind a proxy that speaks TLS.
    ("docs/how-to/encrypt-objects.md", r"--sse-c ", "openssl rand 32 > key; ashlar server --customer-keys-over-http ./data", ""),
    ("docs/how-to/back-up-and-restore.md", r"^ashlar admin backup --to .*--data", "mkdir -p backups srv; ashlar server srv/data", ""),
    ("docs/how-to/back-up-and-restore.md", r"^ashlar admin restore --from", "stop; mkdir away; mv srv/data/metadata.db* away/", "ashlar server srv/data"),
]
# What stands for something of the reader's own: a document, a pattern, and what is put there.
CHANGED = [
    ("docs/how-to/give-users-keys.md", r"AWS_ACCESS_KEY_ID=AKIA\.\.\. AWS_SECRET_ACCESS_KEY=\.\.\.", KEY_OF_ANN),
    ("docs/how-to/give-users-keys.md", r"--access-key-id AKIA\.\.\.", "--access-key-id $(field AccessKey.AccessKeyId <key.json)"),
    ("docs/how-to/give-users-keys.md", r"AWS_ACCESS_KEY_ID=ASIA\.\.\. AWS_SECRET_ACCESS_KEY=\.\.\. AWS_SESSION_TOKEN=\.\.\.",
     "AWS_ACCESS_KEY_ID=$(field Credentials.AccessKeyId <session.json) AWS_SECRET_ACCESS_KEY=$(field Credentials.SecretAccessKey <session.json) AWS_SESSION_TOKEN=$(field Credentials.SessionToken <session.json)"),
    ("docs/how-to/encrypt-objects.md", r"--encryption-keys keys --data", "--encryption-keys data/encryption.keys --data"),
    ("docs/how-to/encrypt-objects.md", r"key/ID", "key/'$(awk '{ print $4 }' named)'"),
    ("docs/how-to/encrypt-objects.md", r"make-current ID", "make-current $(awk '{ print $NF }' added)"),
    ("docs/how-to/back-up-and-restore.md", r"/backups/", "backups/"),
    ("docs/how-to/back-up-and-restore.md", r"/srv/ashlar/data", "srv/data"),
    ("docs/getting-started.md", r"--listen 0\.0\.0\.0:9000", "--listen $ASHLAR_LISTEN"),
    ("docs/how-to/move-from-minio.md", r"--listen 127\.0\.0\.1:9100", "--listen $ASHLAR_LISTEN"),
    ("docs/how-to/move-from-minio.md", r"http://127\.0\.0\.1:9000", "http://127.0.0.1:9001"),
    ("docs/how-to/move-from-minio.md", r"OLD_ACCESS_KEY_ID=\.\.\.", "OLD_ACCESS_KEY_ID=old-root"),
    ("docs/how-to/move-from-minio.md", r"OLD_SECRET_ACCESS_KEY=\.\.\.", "OLD_SECRET_ACCESS_KEY=old-password"),
]

PRELUDE = r"""
set -o pipefail
field() { python3 -c 'import functools, json, sys; print(functools.reduce(dict.get, sys.argv[1].split("."), json.load(sys.stdin)))' "$1"; }
stop() { if [ -n "${SERVER:-}" ]; then kill "$SERVER"; wait "$SERVER"; SERVER=; fi; }
trap 'stop; SERVER=${OLD:-}; stop' EXIT
ashlar() {
  if [ "$1" != server ]; then command ashlar "$@"; return; fi
  stop || return
  command ashlar "$@" >server.out 2>>server.log &
  SERVER=$!
  for _ in $(seq 300); do
    if curl -skf "http://$ASHLAR_LISTEN/health/ready" >/dev/null || curl -skf "https://$ASHLAR_LISTEN/health/ready" >/dev/null; then
      # Pasted by the reader.
      eval "$(grep '^  export ' server.out || true)"
      ROOT_KEY=${ROOT_KEY:-$AWS_ACCESS_KEY_ID} ROOT_SECRET=${ROOT_SECRET:-$AWS_SECRET_ACCESS_KEY}
      return 0
    fi
    kill -0 "$SERVER" || break
    sleep 0.1
  done
  cat server.out server.log; return 1
}
"""


def blocks(document):
    """The blocks of `sh` of a document, those in lists too."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for indent, block in re.findall(r"^( *(?:\d\. )?)```sh\n(.*?)^ *```", text, re.M | re.S):
        yield re.sub(rf"^ {{0,{len(indent)}}}", "", block, flags=re.M)


def split(block):
    """The commands of a block, as a shell tells where one ends."""
    lines = []
    for line in block.splitlines():
        if not lines and (not line.strip() or line.startswith("#")):
            continue
        lines.append(line)
        text = "\n".join(lines)
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=10, check=False)
        # A document that is not closed is only warned of.
        if done.returncode == 0 and not done.stderr and not line.endswith("\\"):
            yield text
            lines = []
    if lines:
        raise AssertionError(f"no whole command: {lines}")


def not_run(document, command):
    """Why a command is not run, or None."""
    found = [entry for entry in NOT_RUN if entry[0] == document and re.search(entry[1], command)]
    return found[0] if found else None


def expect_reasons():
    """Fails when an entry of the lists above is about nothing."""
    said = [(document, command) for document in DOCUMENTS for block in blocks(document) for command in split(block)]
    for entry in [*NOT_RUN, *BETWEEN]:
        expect(any(document == entry[0] and re.search(entry[1], command) for document, command in said), True, f"whether {entry[0]} has {entry[1]!r}")
    for document, pattern, _ in CHANGED:
        expect(any(one == document and re.search(pattern, command) for one, command in said), True, f"whether {document} has {pattern!r}")
    for _, _, reason, other in NOT_RUN:
        expect(bool(reason and other), True, "reasons")
        for path in re.findall(r"\b(?:tests|packaging|services|\.github)/[\w./-]*[\w]", other):
            expect((ROOT / path).exists(), True, f"whether {path} is there")
    expect(len(said) > 120, True, "whether commands were found")


def remark(command):
    """What stands behind a command, or an empty text."""
    found = re.search(r"\s\s+# (.*)$", command.splitlines()[-1])
    return found[1] if found else ""


def judge(command, code, out):
    """Fails when a command did not do what its remark says."""
    said = remark(command)
    word = said if re.fullmatch(r"\S+", said) else ""
    error = re.fullmatch(r"(?:refused: )?(\w*(?:Denied|Invalid|NoSuch|NotSupported|Exists)\w*)", said)
    may_fail = "||" in command
    if error:
        expect(may_fail or code != 0, True, f"whether it was refused\n{out[-600:]}")
        expect(error[1] in out, True, f"whether it says {error[1]}\n{out[-600:]}")
        return
    expect(code, 0, f"status\n{out[-1000:]}")
    if (status := re.match(r"(\d{3})\b(?: to (?:\.\.\.)?(\S+))?", said)) and "curl" in command:
        heads = re.findall(r"^HTTP/[\d.]+ (\d{3})", out, re.M)
        expect(heads[-1:], [status[1]], "status of the answer")
        if status[2]:
            expect(re.search(r"^location: (\S+)", out, re.M | re.I)[1].endswith(status[2]), True, f"whether it leads to {status[2]}\n{out}")
    elif field := re.fullmatch(r"(\w+): (\w+)", said):
        expect(f'"{field[1]}": {field[2]}' in out, True, f"whether {field[1]} is {field[2]}\n{out}")
    elif said.startswith('"') and said.count('"') >= 2:
        pattern = ".*".join(re.escape(part) for part in said.rstrip(".").split("..."))
        expect(bool(re.search(pattern, out)), True, f"whether it says {said}\n{out}")
    elif word:
        expect(word in out, True, f"whether it says {word}\n{out[-600:]}")


def script(document, folder):
    """What a shell is to run, and the commands by their numbers."""
    ports = {}
    text, chosen, left_out = PRELUDE, {}, 0
    number = 0
    for block in blocks(document):
        for command in split(block):
            if not_run(document, command):
                left_out += 1
                continue
            number += 1
            chosen[number] = command
            done = command
            for _, pattern, put in [entry for entry in CHANGED if entry[0] == document]:
                done = re.sub(pattern, lambda _, put=put: put, done)
            done = re.sub(r"127\.0\.0\.1:(9\d{3})", lambda found: f"127.0.0.1:{ports.setdefault(found[1], free_port())}", done)
            around = [entry for entry in BETWEEN if entry[0] == document and re.search(entry[1], command)]
            text += f"N={number}\n"
            for before in [entry[2] for entry in around if entry[2]]:
                text += f"{{ {before}\n}} >>{folder}/between 2>&1 || {{ echo 'before {number} failed' >>{folder}/failed; exit 1; }}\n"
            piped = "set +o pipefail\n" if "| head" in command else ""
            text += f"{piped}{{\n{done}\n}} >{folder}/{number}.out 2>&1 </dev/null; echo $? >{folder}/{number}.code; set -o pipefail\n"
            for after in [entry[3] for entry in around if entry[3]]:
                text += f"{{ {after}\n}} >>{folder}/between 2>&1 || {{ echo 'after {number} failed' >>{folder}/failed; exit 1; }}\n"
    return text, chosen, left_out, ports


def run(document, binary):
    """Runs a document; returns how many commands were run."""
    with tempfile.TemporaryDirectory(prefix="ashlar-docs-") as name:
        folder = pathlib.Path(name)
        usage = shutil.disk_usage(folder)
        if document in NEEDS_ROOM and usage.free < ROOM_MIN * usage.total:
            raise NotRun(f"only {usage.free / usage.total:.0%} of the disk is free, so that nothing would be moved")
        for part in ("out", "home", "work", "bin"):
            (folder / part).mkdir()
        (folder / "bin/ashlar").symlink_to(binary)
        text, chosen, left_out, ports = script(document, folder / "out")
        if not chosen:
            return f"none of {left_out} commands is run here"
        port = ports.get("9000") or free_port()
        environment = {"PATH": f"{folder}/bin:{ROOT}/.venv/s3/bin:{os.environ['PATH']}", "HOME": f"{folder}/home", "LANG": "C.UTF-8", "OUT": f"{folder}/out",
                       "ASHLAR_LISTEN": f"127.0.0.1:{port}", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "NO_COLOR": "1"}
        try:
            done = subprocess.run(["bash", "-c", text], cwd=folder / "work", env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            at = max((int(path.stem) for path in (folder / "out").glob("*.out")), default=0)
            raise AssertionError(f"not done after {SECONDS_MAX} s, at: {chosen.get(at)}") from None
        for number, command in chosen.items():
            code = folder / f"out/{number}.code"
            if not code.exists():
                between = (folder / "out/between").read_text(encoding="utf-8", errors="replace") if (folder / "out/between").exists() else ""
                raise AssertionError(f"it ended before: {command}\n{done.stderr[-600:]}{between[-600:]}")
            try:
                judge(command, int(code.read_text(encoding="utf-8")), (folder / f"out/{number}.out").read_text(encoding="utf-8", errors="replace"))
            except AssertionError as error:
                raise AssertionError(f"{command}\n{error}") from None
        # The shell asked the server to stop at its end, and waited for it.
        expect(done.returncode, 0, f"status of the shell, and of the server that it stopped\n{done.stderr[-600:]}")
        beside = f", {left_out} not" if left_out else ""
        return f"{len(chosen)} commands run{beside}"
