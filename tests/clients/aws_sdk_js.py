"""AWS SDK for JavaScript, version 3: Node.js programs and its `lib-storage`, which uploads streams in parts."""

from javascript_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "aws_sdk.mjs", session.bucket_name("jssdk"))
