"""Counts cases and prints one line for each."""

import contextlib
import sys
import time
import traceback


class NotRun(Exception):
    """The case does not apply here; the message says why. Counted apart, never as passed."""


class Report:
    """What passed and what failed in one run."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.not_run = []
        self.section_name = ""
        #: What was measured and counted, for whoever keeps it.
        self.figures = {}

    def section(self, name):
        """Starts a group of cases; `name` stands before each of them in the list of failures."""
        self.section_name = name
        print(f"\n{name}", flush=True)

    @contextlib.contextmanager
    def case(self, name):
        """Runs the block as one case. A failure is printed and counted, and the run goes on."""
        began = time.monotonic()
        try:
            yield
        except NotRun as reason:
            self.not_run.append(f"{self.section_name}: {name}")
            print(f"  --    {name}: not run, {reason}", flush=True)
        except Exception as error:
            self.failed.append(f"{self.section_name}: {name}")
            print(f"  FAIL  {name} ({time.monotonic() - began:.1f} s)", flush=True)
            for line in describe(error).splitlines():
                print(f"        {line}", flush=True)
        else:
            self.passed += 1
            print(f"  ok    {name} ({time.monotonic() - began:.1f} s)", flush=True)

    def counts(self):
        """How many cases passed, failed and were not run so far."""
        return self.passed, len(self.failed), len(self.not_run)

    def close(self, what):
        """Prints the failures and the closing line; returns the exit code."""
        print()
        for name in self.failed:
            print(f"failed: {name}")
        skipped = f", {len(self.not_run)} skipped" if self.not_run else ""
        print(f"{what}: {self.passed} passed, {len(self.failed)} failed{skipped}", flush=True)
        return 1 if self.failed else 0


def describe(error):
    """The error and the line of a test that raised it."""
    lines = [f"{type(error).__name__}: {error}"]
    frames = [frame for frame in traceback.extract_tb(sys.exc_info()[2]) if is_a_test(frame)]
    for frame in frames[-3:]:
        lines.append(f"{frame.filename.split('/tests/')[-1]}:{frame.lineno}  {frame.line}")
    return "\n".join(lines)


def is_a_test(frame):
    """Whether a frame belongs to a test and not to this file or a library."""
    return "/tests/" in frame.filename and not frame.filename.endswith("lib/report.py")


def expect(actual, wanted, what="value"):
    """Fails with both values when they differ."""
    if actual != wanted:
        raise AssertionError(f"{what}: got {short(actual)}, wanted {short(wanted)}")


def short(value):
    """A value short enough for one line."""
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-100:]} ({len(text)} characters)"
