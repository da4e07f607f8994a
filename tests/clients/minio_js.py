"""minio-js: an SDK for JavaScript that is not AWS's."""

from javascript_programs import run_program


def run(session):
    """Runs the program."""
    run_program(session, "minio.mjs", session.bucket_name("miniojs"), session.folder)
