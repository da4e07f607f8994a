"""Tests the documents: the book is complete, its links lead somewhere, the commands in it are the program's, and those that one machine
can run are run, line by line, against a server of their own in a temporary folder.

Usage: tests/docs/run [--short] [--binary PROGRAM] [DOCUMENT...]

  --short    the commands of four documents alone, calls of IAM and STS among them, within two minutes
  --binary   the program to run; target/debug/ashlar by default
  DOCUMENT   paths of documents, such as docs/getting-started.md: only their commands
"""

import argparse
import concurrent.futures
import pathlib
import sys

if "--help" in sys.argv[1:]:
    print(__doc__.strip())
    sys.exit(0)

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import book
import commands
from report import NotRun, Report

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    """Everything, or what was named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/debug/ashlar")
    parser.add_argument("documents", nargs="*")
    chosen = parser.parse_args()
    report = Report()
    if not chosen.documents:
        book.run(report, chosen.binary)
    report.section("commands")
    with report.case("each command that is not run is still there, with a reason"):
        commands.expect_reasons()
    documents = chosen.documents or (commands.SHORT if chosen.short else commands.DOCUMENTS)
    # Each has a server and a folder of its own.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = {document: pool.submit(commands.run, document, chosen.binary.resolve()) for document in documents}
        for document, done in running.items():
            with report.case(document):
                if not chosen.binary.exists():
                    raise NotRun(f"{chosen.binary} is not there")
                print(f"        {done.result()}", flush=True)
    sys.exit(report.close("docs"))


if __name__ == "__main__":
    main()
