"""A certificate authority and a server certificate for one test run."""

import dataclasses
import pathlib
import subprocess

# The certificate's names. Buckets are reached as host names below DOMAIN, which tests resolve themselves.
DOMAIN = "s3.ashlar.test"
NAMES = f"IP:127.0.0.1,DNS:localhost,DNS:{DOMAIN},DNS:*.{DOMAIN}"


@dataclasses.dataclass
class Certificate:
    """Paths of PEM files."""

    ca: pathlib.Path
    chain: pathlib.Path
    key: pathlib.Path


def make_certificate(folder):
    """Makes an authority and a certificate signed by it in `folder`, valid for two days."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    extensions = folder / "extensions"
    extensions.write_text(
        f"basicConstraints=critical,CA:FALSE\nsubjectAltName={NAMES}\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
    )
    ca_key, request = folder / "ca.key", folder / "server.csr"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", made.ca, "-days", "2", "-subj", "/CN=Ashlar test authority",
            "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-new", *curve, "-keyout", made.key, "-out", request, "-subj", "/CN=127.0.0.1")
    openssl("x509", "-req", "-in", request, "-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial", "-out", made.chain,
            "-days", "2", "-extfile", extensions)
    return made


def openssl(*words):
    """Runs openssl; what it prints is shown only when it fails."""
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {words[0]} failed: {done.stderr}")
