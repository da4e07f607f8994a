"""PyIceberg: tables in a catalog on SQLite, with metadata and data on the server."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "iceberg_tables.py")
