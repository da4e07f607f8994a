"""What a client's test is given: where the server is, how to run programs against it, and where to put files."""

import os
import pathlib
import secrets

from processes import command

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
VENV = REPOSITORY / ".venv" / "s3" / "bin"


class Session:
    """One client's run against one target."""

    def __init__(self, target, report, folder, options):
        self.target = target
        self.report = report
        self.folder = pathlib.Path(folder)
        self.options = options
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)

    def case(self, name):
        """One counted case."""
        return self.report.case(name)

    def bucket_name(self, hint):
        """A bucket name that no other run uses."""
        return f"{hint}-{secrets.token_hex(4)}"

    def path(self, name):
        """A path in this run's own folder."""
        return self.folder / name

    def environment(self, **more):
        """Variables for a client program: the target's address and credentials, an empty home, and trust in the test's own
        authority alone. Nothing of the user's own settings is let through."""
        variables = {
            "PATH": f"{VENV}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.target.access_key,
            "AWS_SECRET_ACCESS_KEY": self.target.secret_key,
            "AWS_REGION": self.target.region,
            "AWS_DEFAULT_REGION": self.target.region,
            "AWS_ENDPOINT_URL": self.target.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
        if "TMPDIR" in os.environ:
            variables["TMPDIR"] = os.environ["TMPDIR"]
        if self.target.ca:
            for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
                variables[name] = str(self.target.ca)
        return variables | more

    def run(self, *words, seconds=180, code=0, cwd=None, **variables):
        """Runs a client program and returns what it printed."""
        return command(words, self.environment(**variables), seconds, code, cwd)

    def curl(self, url, *words):
        """Fetches a URL with curl and returns its body as bytes on disk, read back."""
        body = self.path("curl.body")
        body.unlink(missing_ok=True)
        self.run("/usr/bin/curl", "--silent", "--show-error", "--fail", "--max-time", "60", "--output", body, *words, url)
        return body.read_bytes()
