"""Runs several commands at once, of which each mostly waits. What one prints is shown when it has ended, so that nothing is mixed."""

import concurrent.futures
import shlex
import subprocess
import time


def run(commands, at_once):
    """Runs all; returns 0 when each did well, otherwise the code of the first that did not."""
    running = set()

    def perform(words):
        began = time.monotonic()
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            running.add(process)
            printed, _ = process.communicate()
            running.discard(process)
        print(f"\n$ {shlex.join(words)}\n{printed.rstrip()}\n({time.monotonic() - began:.0f} s)", flush=True)
        return process.returncode

    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        begun = [threads.submit(perform, [str(word) for word in words]) for words in commands]
        try:
            codes = [one.result() for one in begun]
        except BaseException:
            # Asked to end: so are they, that they take their services along.
            for one in begun:
                one.cancel()
            for process in list(running):
                process.terminate()
            raise
    return next((code for code in codes if code != 0), 0)
