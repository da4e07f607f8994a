"""aws-cli 2.9 as Debian ships it: an older SDK that sends no checksums of its own."""

from files import hash_file, hash_tree, make_tree, write_random
from report import expect

AWS = "/usr/bin/aws"
FILES = 60


def run(session):
    """The daily commands."""
    bucket = session.bucket_name("awsdebian")
    url = f"s3://{bucket}"

    def aws(*words, **more):
        # This version does not know AWS_ENDPOINT_URL.
        return session.run(AWS, "--endpoint-url", session.target.endpoint, *words, **more)

    with session.case("mb"):
        aws("s3", "mb", url)
    with session.case("cp of 20 MiB up and down"):
        wanted = write_random(session.path("file"), 20 * 2**20)
        aws("s3", "cp", "--no-progress", session.path("file"), f"{url}/file")
        aws("s3", "cp", "--no-progress", f"{url}/file", session.path("file.down"))
        expect(hash_file(session.path("file.down")), wanted, "SHA-256")
    with session.case("sync there and back"):
        make_tree(session.path("tree"), FILES, seed=2)
        aws("s3", "sync", "--only-show-errors", session.path("tree"), f"{url}/tree")
        aws("s3", "sync", "--only-show-errors", f"{url}/tree", session.path("back"))
        expect(hash_tree(session.path("back")), hash_tree(session.path("tree")), "tree")
    with session.case("presign: curl opens it"):
        session.curl(aws("s3", "presign", f"{url}/file").strip())
        expect(hash_file(session.path("curl.body")), wanted, "SHA-256")
    with session.case("rm --recursive, rb"):
        aws("s3", "rm", "--recursive", "--only-show-errors", url)
        aws("s3", "rb", url)
        assert bucket not in aws("s3", "ls")
