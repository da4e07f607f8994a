"""delta-rs: tables whose commits are conditional puts, written by several processes at once."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "delta_tables.py")
