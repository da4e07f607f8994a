"""Starts programs, waits for them and stops them; what a server must not log."""

import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import time

SIGTERM_GRACE_SECONDS = 40
#: Variable with the range of ports that a program may take, so that programs that run at once do not take each other's.
PORTS = "TEST_PORTS"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_BAD_LINE = re.compile(r"\bERROR\b|panicked at|stack backtrace|memory allocation of|fatal runtime error")


def ports():
    """The ports that this program may take, outside the range from which outgoing connections take theirs."""
    first, end = os.environ.get(PORTS, "20000-30000").split("-")
    return range(int(first), int(end))


_given = set()


def free_port():
    """A TCP port on 127.0.0.1 that nothing listens on and that was not given before."""
    for _ in range(1000):
        port = random.SystemRandom().choice(ports())
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise RuntimeError(f"no free port in {ports()}")


class Server:
    """A program that runs until it is stopped, with its log in a file."""

    def __init__(self, name, command, environment, log):
        self.name = name
        self.command = [str(word) for word in command]
        self.environment = environment
        self.log = log
        self.process = None

    def start(self):
        """Starts it. It is also told to stop when this program dies, so that nothing is left behind."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: an interrupt at the terminal is for the test, which then stops the server.
                start_new_session=True,
                preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
            )

    def wait_until(self, ready, seconds=60):
        """Waits until `ready()` is true; fails when the program ends first or time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with code {self.process.returncode}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} is not ready after {seconds} s\n{self.log_tail()}")
            time.sleep(0.02)

    def kill(self):
        """Ends it at once, as a power cut of the process would."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Asks it to stop and waits; fails when it has to be killed, died before, or ends with a code other than 0."""
        if self.process is None:
            return
        process, self.process = self.process, None
        ended_before = process.poll() is not None
        if not ended_before:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(SIGTERM_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"{self.name} did not stop within {SIGTERM_GRACE_SECONDS} s\n{self.log_tail()}") from None
        if ended_before or code != 0:
            when = "had ended before it was asked to" if ended_before else "was asked to stop and ended"
            raise RuntimeError(f"{self.name} {when}, with code {code}\n{self.log_tail()}")

    def bad_log_lines(self):
        """Lines that no healthy run writes. What a client does wrong is never logged as an error."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            lines = [_ANSI.sub("", line.rstrip()) for line in log]
        return [line for line in lines if _BAD_LINE.search(line)]

    def log_tail(self, lines=30):
        """The end of the log."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            tail = [_ANSI.sub("", line.rstrip()) for line in log][-lines:]
        return "\n".join([f"--- the last lines of {self.log}"] + tail + ["---"])


class CommandFailed(AssertionError):
    """A command ended with another code than wanted."""


def command(words, environment, seconds=180, code=0, cwd=None):
    """Runs a command to its end and returns its standard output; its standard error too when it may fail.

    `code` is the exit code wanted, or None for any.
    """
    words = [str(word) for word in words]
    shown = " ".join(os.path.basename(words[0]) if i == 0 else word for i, word in enumerate(words))
    try:
        done = subprocess.run(
            words,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        printed = text_of(error.stdout) + text_of(error.stderr)
        raise CommandFailed(f"{shown}: not done after {seconds} s\n{end_of(printed)}") from None
    printed = text_of(done.stdout) + text_of(done.stderr)
    if code is not None and done.returncode != code:
        raise CommandFailed(f"{shown}: ended with code {done.returncode}, wanted {code}\n{end_of(printed)}")
    return text_of(done.stdout) if code == 0 else printed


def text_of(printed):
    """Text of what a program printed, or of nothing."""
    return (printed or b"").decode("utf-8", "replace")


def end_of(text, lines=15):
    """The last lines of a text."""
    return "\n".join(text.strip().splitlines()[-lines:])
