"""obstore: the object_store crate under much of the data world; conditional puts, listings, parts."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "obstore_calls.py")
