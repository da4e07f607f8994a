"""Mountpoint's S3 client, as s3torchconnector has it: AWS's common runtime with checksums of its own, driven from Rust."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "mountpoint_client.py")
