"""Runs the programs in `javascript/` by Node.js; each line that they print is one case."""

import pathlib
import re
import shutil

from printed import cases_of
from report import NotRun

FOLDER = pathlib.Path(__file__).resolve().parent / "javascript"
OLDEST_NODE = 20


def run_program(session, name, *words):
    """One program, with words after it."""
    node = shutil.which("node")
    if not node or int(re.search(r"\d+", session.run(node, "--version"))[0]) < OLDEST_NODE:
        with session.case(f"Node.js {OLDEST_NODE} is installed"):
            raise NotRun(f"there is no Node.js {OLDEST_NODE} or newer on the PATH")
        return
    printed = session.run(node, FOLDER / name, *words, code=None, seconds=300)
    cases_of(session, printed)
