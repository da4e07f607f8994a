"""pyarrow: files, folders and partitioned Parquet data sets through the AWS SDK for C++."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "pyarrow_fs.py")
