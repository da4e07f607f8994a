"""s5cmd: many requests at once, batch deletes."""

from files import hash_file, hash_tree, make_tree, write_random
from report import expect
from sessions import VENV

FILES = 300


def run(session):
    """put, get, list, delete."""
    bucket = session.bucket_name("s5cmd")
    url = f"s3://{bucket}"
    tree, back = session.path("tree"), session.path("back")

    def s5cmd(*words, **more):
        return session.run(VENV / "s5cmd", "--endpoint-url", session.target.endpoint, "--retry-count", "0", *words, **more)

    with session.case("mb"):
        s5cmd("mb", url)
    with session.case(f"cp of {FILES} files up, 64 at a time"):
        make_tree(tree, FILES, seed=6)
        s5cmd("--numworkers", "64", "cp", f"{tree}/", f"{url}/tree/")
    with session.case("cp of them down: names and hashes are equal"):
        s5cmd("--numworkers", "64", "cp", f"{url}/tree/*", f"{back}/")
        expect(hash_tree(back), hash_tree(tree), "tree")
    with session.case("ls and du count them"):
        expect(len(s5cmd("ls", f"{url}/tree/*").splitlines()), FILES, "lines")
        assert f"in {FILES} objects" in s5cmd("du", f"{url}/tree/*")
    with session.case("cp of 22 MiB in parts, there and back"):
        wanted = write_random(session.path("large"), 22 * 2**20)
        s5cmd("cp", "--part-size", "5", "--concurrency", "4", session.path("large"), f"{url}/large")
        s5cmd("cp", "--part-size", "5", "--concurrency", "4", f"{url}/large", session.path("large.down"))
        expect(hash_file(session.path("large.down")), wanted, "SHA-256")
    with session.case("mv on the server"):
        s5cmd("mv", f"{url}/large", f"{url}/moved")
        s5cmd("cp", f"{url}/moved", session.path("moved.down"))
        expect(hash_file(session.path("moved.down")), wanted, "SHA-256")
    with session.case("rm by wildcard, rb"):
        s5cmd("rm", f"{url}/*")
        assert "no object found" in s5cmd("ls", f"{url}/*", code=None)
        s5cmd("rb", url)
