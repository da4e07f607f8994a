"""polars: lazy scans of many Parquet, CSV and NDJSON files with predicates, and writes in parts."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "polars_scans.py")
