"""AWS SDK for Rust: a program of its own, built with the workspace."""

import os
import re

from report import expect
from sessions import REPOSITORY

PROGRAM = REPOSITORY / "target/debug/test-aws-sdk"


def run(session):
    """Runs the program; each line that it prints is one case."""
    bucket = session.bucket_name("rustsdk")
    with session.case("the program is built"):
        assert os.access(PROGRAM, os.X_OK), f"{PROGRAM} is not there; build it with `cargo build -p test-aws-sdk`"
    printed = session.run(PROGRAM, bucket, code=None, seconds=300)
    cases = re.findall(r"^(ok|FAIL) (.*)$", printed, re.MULTILINE)
    for outcome, name in cases:
        with session.case(name):
            expect(outcome, "ok", "outcome")
    with session.case("the program says that it is done"):
        assert cases and printed.rstrip().endswith("done"), printed[-2000:]
