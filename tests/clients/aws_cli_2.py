"""aws-cli, version 2 of today: what its version 1 does here, with the newest of AWS's SDKs under it."""

import aws_cli
from sessions import REPOSITORY

AWS = REPOSITORY / ".venv/aws-cli-2/bin/aws"


def run(session):
    """The same from `mb` to `rb`."""
    aws_cli.run(session, AWS)
