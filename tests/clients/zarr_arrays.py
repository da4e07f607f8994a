"""Zarr: chunked and sharded arrays, through obstore and through s3fs."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "zarr_arrays.py")
