"""Runs the programs in `data/`, whose libraries have an environment of their own; each line that they print is one case."""

import pathlib

from boto3_cases.context import Context
from printed import cases_of
from report import expect
from sessions import REPOSITORY

FOLDER = pathlib.Path(__file__).resolve().parent / "data"
LIBRARY = REPOSITORY / "tests" / "lib"
VENV = REPOSITORY / ".venv" / "data" / "bin"


def run_program(session, name, seconds=300):
    """One program with a bucket of its own, which must hold no unfinished upload afterwards."""
    bucket = begin(session, name.removesuffix(".py").replace("_", "-"))
    printed = session.run(VENV / "python", FOLDER / name, bucket.bucket, code=None, seconds=seconds, cwd=session.home,
                          PYTHONPATH=str(LIBRARY), PYTHONWARNINGS="ignore", AWS_ALLOW_HTTP="true")
    cases_of(session, printed)
    end(session, bucket)


def begin(session, hint):
    """Makes a bucket."""
    bucket = Context(session, hint)
    bucket.create()
    return bucket


def end(session, bucket):
    """Looks for what was left behind and removes the bucket."""
    with session.case("no upload is left unfinished"):
        expect(bucket.s3.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads", []), [], "uploads")
    with session.case("the bucket can be emptied and deleted"):
        bucket.remove()
