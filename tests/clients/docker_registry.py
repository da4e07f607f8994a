"""Docker's registry with its S3 driver: images pushed and pulled by skopeo, blobs uploaded in chunks, garbage collected."""

import gzip
import hashlib
import http.client
import json
import os
import secrets
import urllib.parse

from boto3_cases.context import Context
from processes import Server, command, free_port
from report import expect

REGISTRY = "/usr/bin/docker-registry"
SKOPEO = "/usr/bin/skopeo"
MIB = 2**20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """A registry on a free port, whose blobs are in a bucket."""

    def __init__(self, session, bucket, redirect):
        self.session = session
        self.port = free_port()
        # Parts of the least size that S3 allows, and blobs moved into place by copies of such parts.
        self.config = session.path(f"registry-{redirect}.yml")
        self.config.write_text(json.dumps({
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "s3": {
                    "accesskey": session.target.access_key, "secretkey": session.target.secret_key, "region": session.target.region,
                    "regionendpoint": session.target.endpoint, "bucket": bucket, "objectacl": "bucket-owner-full-control", "rootdirectory": "/deep/root", "secure": session.target.tls,
                    "v4auth": True, "chunksize": 5 * MIB, "multipartcopychunksize": 5 * MIB, "multipartcopythresholdsize": 6 * MIB,
                    "multipartcopymaxconcurrency": 4,
                },
                "delete": {"enabled": True},
                "redirect": {"disable": not redirect},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": f"127.0.0.1:{self.port}", "secret": "only for this test"},
        }))
        self.environment = session.environment()
        # Its SDK refuses AWS_CA_BUNDLE for the transport that the registry gives it. SSL_CERT_FILE is enough.
        self.environment.pop("AWS_CA_BUNDLE", None)
        self.server = Server("registry", [REGISTRY, "serve", self.config], self.environment, session.path("registry.log"))

    def __enter__(self):
        self.server.start()
        try:
            self.server.wait_until(self.answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # It has no orderly end.
        self.server.kill()

    def answers(self):
        """Whether it takes requests."""
        try:
            return self.request("GET", "/v2/")[0] == 200
        except OSError:
            return False

    def request(self, method, path, body=None, **headers):
        """One request: the status, the headers and the body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def upload(self, name, pieces, digest):
        """Uploads a blob in chunks of a PATCH each, and returns the status of the PUT that ends it."""
        status, headers, _ = self.request("POST", f"/v2/{name}/blobs/uploads/", Content_Length="0")
        expect(status, 202, "status of POST")
        at = 0
        for piece in pieces:
            status, headers, body = self.request("PATCH", relative(headers["Location"]), piece, Content_Type="application/octet-stream",
                                                 Content_Range=f"{at}-{at + len(piece) - 1}")
            expect(status, 202, f"status of PATCH, {body}")
            at += len(piece)
            expect(headers["Range"], f"0-{at - 1}", "bytes that the registry has")
            # What an interrupted client asks before it goes on.
            status, headers, _ = self.request("GET", relative(headers["Location"]))
            expect((status, headers["Range"]), (204, f"0-{at - 1}"), "state of the upload")
        location = relative(headers["Location"])
        return self.request("PUT", f"{location}{'&' if '?' in location else '?'}digest={urllib.parse.quote(digest)}", Content_Length="0")[0]

    def blob(self, name, digest):
        """A blob, which the registry sends itself."""
        status, _, body = self.request("GET", f"/v2/{name}/blobs/{digest}")
        expect(status, 200, "status")
        return body


def relative(location):
    """A location's path and query."""
    parts = urllib.parse.urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def digest_of(body):
    """The name of a blob."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def make_image(folder, sizes):
    """Makes an image of layers of random bytes in the layout of the Open Container Initiative; returns its digests."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(body, kind):
        digest = digest_of(body)
        (blobs / digest.split(":")[1]).write_bytes(body)
        return {"mediaType": kind, "digest": digest, "size": len(body)}

    # Compressed, or skopeo would do it on the way and make other blobs of them.
    contents = [secrets.token_bytes(size) for size in sizes]
    layers = [add(gzip.compress(content, 1), "application/vnd.oci.image.layer.v1.tar+gzip") for content in contents]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(content) for content in contents]}}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
                "config": add(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")}
    entry = add(json.dumps(manifest).encode(), MANIFEST) | {"annotations": {"org.opencontainers.image.ref.name": "tag"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return blobs_of(folder)


def blobs_of(folder):
    """The blobs of an image in a folder, each with what is in it by its own hash."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "blobs" / "sha256").iterdir())}


def run(session):
    """A registry that sends clients to S3 for blobs, and one that does not, over the same bucket."""
    bucket = Context(session, "registry")
    bucket.create()

    def skopeo(*words, **more):
        return session.run(SKOPEO, "--insecure-policy", *words, **more)

    def push(registry, folder, name):
        skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{folder}:tag", f"docker://127.0.0.1:{registry.port}/{name}")

    def pull(registry, name, folder):
        skopeo("copy", "--preserve-digests", "--src-tls-verify=false", f"docker://127.0.0.1:{registry.port}/{name}", f"oci:{folder}:tag")
        return blobs_of(folder)

    image = session.path("image")
    wanted = make_image(image, [23 * MIB + 5, 7 * MIB, 100, 5 * MIB])
    with Registry(session, bucket.bucket, redirect=True) as registry:
        with session.case("an image of 35 MiB is pushed"):
            push(registry, image, "team/app:one")
        with session.case("it is pulled, with blobs from presigned URLs of the bucket: the blobs are equal"):
            largest = max(wanted, key=lambda name: (image / "blobs/sha256" / name).stat().st_size)
            status, headers, _ = registry.request("GET", f"/v2/team/app/blobs/sha256:{largest}")
            assert status == 307 and headers["Location"].startswith(f"{session.target.endpoint}/{bucket.bucket}/"), (status, dict(headers))
            expect(pull(registry, "team/app:one", session.path("pulled")), wanted, "blobs")
    with Registry(session, bucket.bucket, redirect=False) as registry:
        with session.case("another registry over the same bucket sends it itself: the blobs are equal"):
            expect(pull(registry, "team/app:one", session.path("pulled2")), wanted, "blobs")
        with session.case("tags and the catalogue"):
            push(registry, image, "team/app:two")
            push(registry, image, "other:one")
            tags = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://127.0.0.1:{registry.port}/team/app"))["Tags"]
            expect(tags, ["one", "two"], "tags")
            expect(json.loads(registry.request("GET", "/v2/_catalog")[2])["repositories"], ["other", "team/app"], "repositories")
        chunks(session, registry)
    collect(session, bucket, skopeo)
    with session.case("after a garbage collection the other image is whole"):
        with Registry(session, bucket.bucket, redirect=False) as registry:
            expect(pull(registry, "other:one", session.path("pulled3")), wanted, "blobs")
    with session.case("the bucket can be emptied and deleted"):
        bucket.remove()


def chunks(session, registry):
    """Uploads in chunks, as an interrupted `docker push` goes on."""
    body = os.urandom(19 * MIB + 3)
    for name, sizes in (("of 1, 6 and 12 MiB", [MIB, 6 * MIB]), ("smaller than a part", [3 * MIB] * 6), ("of a few bytes", [7] * 5)):
        with session.case(f"a blob in chunks {name} comes back"):
            pieces, at = [], 0
            for size in [*sizes, len(body)]:
                pieces.append(body[at:at + size])
                at += size
            # Another blob each time, for one that is there already is not uploaded to its place again.
            pieces[0] = os.urandom(len(pieces[0]))
            whole = b"".join(pieces)
            expect(registry.upload("chunked", pieces, digest_of(whole)), 201, "status of PUT")
            expect(hashlib.sha256(registry.blob("chunked", digest_of(whole))).hexdigest(), hashlib.sha256(whole).hexdigest(), "SHA-256")
    with session.case("a range of a blob"):
        status, headers, part = registry.request("GET", f"/v2/chunked/blobs/{digest_of(whole)}", Range="bytes=7000000-7000999")
        expect((status, headers["Content-Range"]), (206, f"bytes 7000000-7000999/{len(whole)}"))
        assert part == whole[7000000:7001000], "other bytes"
    with session.case("a blob that is not what its digest says is refused"):
        expect(registry.upload("chunked", [body], digest_of(b"other")), 400, "status of PUT")
        expect(registry.request("HEAD", f"/v2/chunked/blobs/{digest_of(b'other')}")[0], 404, "status of HEAD")
    with session.case("a blob is mounted from another repository without an upload"):
        mount = f"/v2/mounted/blobs/uploads/?mount={digest_of(whole)}&from=chunked"
        expect(registry.request("POST", mount, Content_Length="0")[0], 201, "status")
        assert registry.blob("mounted", digest_of(whole)) == whole, "other bytes"
    with session.case("an upload that is cancelled is gone"):
        _, headers, _ = registry.request("POST", "/v2/chunked/blobs/uploads/", Content_Length="0")
        location = relative(headers["Location"])
        expect(registry.request("DELETE", location)[0], 204, "status of DELETE")
        expect(registry.request("GET", location)[0], 404, "status afterwards")


def collect(session, bucket, skopeo):
    """Garbage collection, which lists everything, and deletes folder by folder."""
    def blob_count():
        pages = bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket, Prefix="deep/root/docker/registry/v2/blobs/")
        return sum(entry["Key"].endswith("/data") for page in pages for entry in page.get("Contents", []))

    with session.case("garbage-collect removes what no manifest names"):
        image = session.path("doomed")
        doomed = make_image(image, [6 * MIB, 1000])
        with Registry(session, bucket.bucket, redirect=False) as registry:
            before = blob_count()
            skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{image}:tag", f"docker://127.0.0.1:{registry.port}/doomed:one")
            expect(blob_count(), before + len(doomed), "blobs after a push")
            skopeo("delete", "--tls-verify=false", f"docker://127.0.0.1:{registry.port}/doomed:one")
        command([REGISTRY, "garbage-collect", registry.config], registry.environment)
        # The image that is left has six blobs: four layers, the configuration and the manifest.
        expect(blob_count(), 6, "blobs afterwards")
