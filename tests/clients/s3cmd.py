"""s3cmd: signature version 4 without an AWS SDK, MD5 everywhere."""

from files import hash_file, hash_tree, make_tree, write_random
from report import expect
from sessions import VENV

FILES = 40


def run(session):
    """put, get, list, sync, copy, delete."""
    target = session.target
    bucket = session.bucket_name("s3cmd")
    url = f"s3://{bucket}"
    host = target.endpoint.split("//")[1]
    config = session.path("s3cfg")
    config.write_text(
        f"[default]\naccess_key = {target.access_key}\nsecret_key = {target.secret_key}\nbucket_location = {target.region}\n"
        f"host_base = {host}\nhost_bucket = {host}\nuse_https = {target.tls}\nca_certs_file = {target.ca or ''}\n"
        "signature_v2 = False\nmultipart_chunk_size_mb = 5\n"
    )

    def s3cmd(*words, **more):
        return session.run(VENV / "s3cmd", "-c", config, "--no-progress", *words, **more)

    with session.case("mb"):
        s3cmd("mb", url)
    with session.case("put and get of 12 MiB, in parts"):
        wanted = write_random(session.path("file"), 12 * 2**20 + 5)
        s3cmd("put", session.path("file"), f"{url}/file with space+plus")
        s3cmd("get", f"{url}/file with space+plus", session.path("file.down"))
        expect(hash_file(session.path("file.down")), wanted, "SHA-256")
    with session.case("sync there and back"):
        make_tree(session.path("tree"), FILES, seed=5)
        s3cmd("sync", f"{session.path('tree')}/", f"{url}/tree/")
        s3cmd("sync", f"{url}/tree/", f"{session.path('back')}/")
        expect(hash_tree(session.path("back")), hash_tree(session.path("tree")), "tree")
    with session.case("ls and du"):
        assert "DIR" in s3cmd("ls", f"{url}/") and len(s3cmd("ls", "-r", f"{url}/tree/").splitlines()) == FILES
        total = sum(path.stat().st_size for path in session.path("tree").rglob("*") if path.is_file())
        expect(s3cmd("du", f"{url}/tree/").split()[0], str(total), "bytes")
    with session.case("cp and mv on the server"):
        s3cmd("cp", f"{url}/file with space+plus", f"{url}/copy")
        s3cmd("mv", f"{url}/copy", f"{url}/moved")
        s3cmd("get", f"{url}/moved", session.path("moved.down"))
        expect(hash_file(session.path("moved.down")), wanted, "SHA-256")
    with session.case("del --recursive, rb"):
        s3cmd("del", "--recursive", "--force", url)
        expect(s3cmd("ls", "-r", url).strip(), "", "listing")
        s3cmd("rb", url)
