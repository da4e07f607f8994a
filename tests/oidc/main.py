"""Roles assumed with tokens that a real OpenID Connect provider has signed: by `aws sts assume-role-with-web-identity`, and by aws-cli and
boto3 on their own, from AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE. Provider and server are real processes, which speak TLS to each
other."""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from processes import Server, free_port  # noqa: E402
from report import Report, expect  # noqa: E402
from tls import make_certificate  # noqa: E402

REPOSITORY = HERE.parents[1]
ACCOUNT = "750814517293"
CLIENT_ID = "sts.amazonaws.com"
REDIRECT = "https://app.example.com/back"
#: The provider gives its keys no names, so that a token with another signature may be signed with a new key: whether it is, is not known
#: where the provider was asked less than ten seconds ago.
UNPROVED = ("InvalidIdentityToken", "IDPCommunicationError")


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="tests/oidc/run", description=__doc__)
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/debug/ashlar", help="the program to test")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    return parser.parse_args()


class Provider:
    """The provider, which whoever says its name logs in at."""

    def __init__(self, folder):
        self.certificate = make_certificate(folder / "tls")
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        python = REPOSITORY / ".venv/oidc/bin/python"
        command = [python, HERE / "provider.py", self.port, self.certificate.chain, self.certificate.key]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.server = Server("provider", command, environment, folder / "provider.log")
        self.trust = ssl.create_default_context(cafile=str(self.certificate.ca))

    def start(self):
        """Starts it, with a new key."""
        self.server.start()
        self.server.wait_until(self.answers)

    def answers(self):
        """Whether it is there."""
        try:
            return self.call("GET", "/.well-known/openid-configuration").status == 200
        except OSError:
            return False

    def call(self, method, path, form=None):
        """One request; its answer, read."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.trust, timeout=10)
        body = urllib.parse.urlencode(form) if form else None
        connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"} if form else {})
        answer = connection.getresponse()
        answer.text = answer.read()
        connection.close()
        return answer

    def token(self, subject, client_id=CLIENT_ID):
        """An ID token of somebody who logs in: the authorization code flow, as a browser and an application go it."""
        asked = {"client_id": client_id, "redirect_uri": REDIRECT, "response_type": "code", "scope": "openid email", "nonce": os.urandom(8).hex()}
        answer = self.call("POST", f"/oauth2/authorize?{urllib.parse.urlencode(asked)}", {"sub": subject})
        place = urllib.parse.urlsplit(answer.getheader("location"))
        code = urllib.parse.parse_qs(place.query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": client_id, "client_secret": "any"}
        return json.loads(self.call("POST", "/oauth2/token", form).text)["id_token"]


class Drill:
    """A server, and the provider that its roles trust."""

    def __init__(self, provider, target, folder, report):
        self.provider, self.target, self.folder, self.report = provider, target, folder, report
        self.token_file = folder / "token.jwt"

    def role_arn(self, name):
        """The ARN of a role."""
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def environment(self, **more):
        """What aws-cli and SDKs are given, without any key."""
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}
        return plain | {"AWS_ENDPOINT_URL": self.target.endpoint, "AWS_REGION": self.target.region, "AWS_DEFAULT_REGION": self.target.region} | more

    def aws(self, *words, fails=None, **more):
        """Runs aws-cli; its answer, or, of a command that has to fail with this code, or one of these, nothing."""
        aws = REPOSITORY / ".venv/s3/bin/aws"
        done = subprocess.run([aws, *words], env=self.environment(**more), capture_output=True, text=True, timeout=60, check=False)
        if fails is not None:
            codes = (fails,) if isinstance(fails, str) else fails
            expect((done.returncode != 0, any(f"({code})" in done.stderr for code in codes)), (True, True), done.stderr or done.stdout)
            return None
        expect(done.returncode, 0, f"{words}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def as_root(self, *words):
        """The same by the root user."""
        return self.aws(*words, AWS_ACCESS_KEY_ID=self.target.access_key, AWS_SECRET_ACCESS_KEY=self.target.secret_key)

    def assume(self, role, token, *words, fails=None):
        """What a token gets of a role, by hand."""
        call = ["sts", "assume-role-with-web-identity", "--role-arn", self.role_arn(role), "--role-session-name", "drill"]
        return self.aws(*call, "--web-identity-token", token, *words, fails=fails)

    def run(self):
        """Every case."""
        name = self.provider.name
        with self.report.case("aws-cli makes a provider and a role that trusts it"):
            made = self.as_root("iam", "create-open-id-connect-provider", "--url", f"https://{name}", "--client-id-list", CLIENT_ID)
            arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"
            expect(made["OpenIDConnectProviderArn"], arn, "the ARN")
            shown = self.as_root("iam", "get-open-id-connect-provider", "--open-id-connect-provider-arn", arn)
            expect((shown["Url"], shown["ClientIDList"]), (name, [CLIENT_ID]), "the provider")
            trust = {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"Federated": arn},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {"StringEquals": {f"{name}:aud": CLIENT_ID}, "StringLike": {f"{name}:sub": "team-*"}},
                },
            }
            self.as_root("iam", "create-role", "--role-name", "team", "--assume-role-policy-document", json.dumps(trust))
            own = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*Object", "Resource": f"arn:aws:s3:::album/${{{name}:sub}}/*"}}
            self.as_root("iam", "put-role-policy", "--role-name", "team", "--policy-name", "own", "--policy-document", json.dumps(own))
            self.as_root("s3", "mb", "s3://album")
        with self.report.case("aws-cli assumes the role with a token, by hand"):
            token = self.provider.token("team-ann")
            got = self.assume("team", token, "--duration-seconds", "900")
            expect((got["SubjectFromWebIdentityToken"], got["Audience"], got["Provider"]), ("team-ann", CLIENT_ID, f"https://{name}"), "who it is")
            expect(got["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/team/drill", "the session")
            self.assume("team", self.provider.token("other"), fails="AccessDenied")
            self.assume("team", self.provider.token("team-ann", client_id="another"), fails="InvalidIdentityToken")
            self.assume("team", f"{token}AAAA", fails=UNPROVED)
        with self.report.case("aws-cli does so on its own, from a file"):
            self.token_file.write_text(token)
            file = {"AWS_ROLE_ARN": self.role_arn("team"), "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.token_file), "AWS_ROLE_SESSION_NAME": "cli"}
            who = self.aws("sts", "get-caller-identity", **file)
            expect(who["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/team/cli", "who it is")
            hello = self.folder / "hello.txt"
            hello.write_text("Hello")
            self.aws("s3", "cp", str(hello), "s3://album/team-ann/hello.txt", **file)
            self.aws("s3api", "get-object", "--bucket", "album", "--key", "team-bob/hello.txt", str(hello), fails="AccessDenied", **file)
        with self.report.case("boto3 does so on its own, and reads the file again"):
            self.boto3()
        with self.report.case("the provider changes its key, and is away"):
            self.provider.server.kill()
            self.provider.start()
            deadline = time.monotonic() + 25
            new = self.provider.token("team-ann")
            # Kept keys are asked for again once ten seconds have passed.
            while True:
                try:
                    self.assume("team", new)
                    break
                except AssertionError:
                    if time.monotonic() > deadline:
                        raise
            self.assume("team", token, fails=UNPROVED)
            self.provider.server.kill()
            self.assume("team", new)
            log = self.target.servers[0].log.read_text(errors="replace")
            expect([secret for secret in (token, new) if secret in log], [], "tokens in the log")

    def boto3(self):
        """A client with nothing but the variables that Kubernetes' webhooks for it set."""
        program = f"""
import boto3, pathlib, sys
from botocore.config import Config
file = pathlib.Path({str(self.token_file)!r})
config = Config(s3={{"addressing_style": "path"}})
s3 = boto3.Session().client("s3", config=config)
s3.put_object(Bucket="album", Key="team-ann/boto3", Body=b"by a token")
assert s3.get_object(Bucket="album", Key="team-ann/boto3")["Body"].read() == b"by a token"
print(boto3.Session().client("sts").get_caller_identity()["Arn"])
file.write_text(sys.argv[1])
bob = boto3.Session().client("s3", config=config)
bob.put_object(Bucket="album", Key="team-bob/boto3", Body=b"of another")
"""
        file = {"AWS_ROLE_ARN": self.role_arn("team"), "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.token_file), "AWS_ROLE_SESSION_NAME": "boto3"}
        words = [sys.executable, "-c", program, self.provider.token("team-bob")]
        done = subprocess.run(words, env=self.environment(**file), capture_output=True, text=True, timeout=60, check=False)
        expect((done.returncode, done.stdout.strip()), (0, f"arn:aws:sts::{ACCOUNT}:assumed-role/team/boto3"), done.stderr)


def main():
    """Runs it, and answers the exit code."""
    options = arguments()
    from targets import Embedded

    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-oidc-"))
    report = Report()
    provider = Provider(folder)
    try:
        report.section("oidc-provider-mock")
        provider.start()
        settings = {"ASHLAR_OIDC_PRIVATE_HOSTS": "127.0.0.1", "ASHLAR_OIDC_CA": str(provider.certificate.ca)}
        target = Embedded(folder / "server", False, options.binary, settings=settings)
        with target:
            Drill(provider, target, folder, report).run()
            target.stop()
    finally:
        if provider.server.process is not None and provider.server.process.poll() is None:
            provider.server.kill()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.close("oidc")


if __name__ == "__main__":
    sys.exit(main())
