"""DuckDB: its `httpfs` extension, which globs, reads Parquet by ranges and writes with COPY."""

from data_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "duckdb_queries.py")
