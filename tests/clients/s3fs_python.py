"""s3fs: what fsspec offers of a file system, through aiobotocore."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "s3fs_python.py")
