"""Lance: versioned data sets with random access, whose manifests are conditional puts."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "lance_sets.py")
