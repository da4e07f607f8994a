"""Runs several commands at once, of which each mostly waits. What one prints is shown when it has ended, so that nothing is mixed."""

import concurrent.futures
import os
import shlex
import subprocess
import time

from processes import PORTS, ports


def run(commands, at_once):
    """Runs all; returns 0 when each did well, otherwise the code of the first that did not."""
    running = set()
    range_of_all = ports()
    share = len(range_of_all) // len(commands)

    def perform(number, words):
        began = time.monotonic()
        mine = range_of_all[number * share:][:share]
        environment = os.environ | {PORTS: f"{mine.start}-{mine.stop}"}
        with subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            running.add(process)
            printed, _ = process.communicate()
            running.discard(process)
        print(f"\n$ {shlex.join(words)}\n{printed.rstrip()}\n({time.monotonic() - began:.0f} s)", flush=True)
        return process.returncode

    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        begun = [threads.submit(perform, number, [str(word) for word in words]) for number, words in enumerate(commands)]
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
