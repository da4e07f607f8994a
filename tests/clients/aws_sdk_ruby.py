"""AWS SDK for Ruby, as Debian ships it: a program of its own, whose lines are the cases."""

import pathlib

from printed import cases_of

PROGRAM = pathlib.Path(__file__).resolve().parent / "ruby" / "aws_sdk.rb"


def run(session):
    """Runs the program."""
    cases_of(session, session.run("/usr/bin/ruby", PROGRAM, session.bucket_name("ruby"), code=None, seconds=300))
