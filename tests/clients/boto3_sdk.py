"""boto3: one case for each promise that its users rely on. The cases are in `boto3_cases`, by noun."""

import importlib

from boto3_cases.context import Context

NOUNS = ["objects", "conditions", "metadata", "keys", "checksums", "multipart", "multipart_checksums", "copies", "listing",
         "versions", "deletes", "locks", "settings", "encryption", "deliveries", "presigned", "errors", "addressing"]


def run(session):
    """Runs every case; each noun has a bucket of its own."""
    # Not every server that is compared with has IAM, and none a command of ours.
    for noun in NOUNS + ["identities", "rates"] * session.target.ours:
        module = importlib.import_module(f"boto3_cases.{noun}")
        context = Context(session, noun)
        with session.case(f"{noun}: create_bucket"):
            context.create()
        for case in module.CASES:
            with session.case(f"{noun}: {case.__name__.replace('_', ' ')}"):
                case(context)
        with session.case(f"{noun}: the bucket can be emptied and deleted"):
            context.remove()
