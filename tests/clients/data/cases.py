"""What the programs are given: a bucket, the server's address, and lines that `data_programs.py` counts."""

import contextlib
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from report import describe

BUCKET = sys.argv[1]
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
HOST = ENDPOINT.split("//")[1]
TLS = ENDPOINT.startswith("https:")
CA = os.environ.get("SSL_CERT_FILE")
REGION = os.environ["AWS_REGION"]
ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]
MIB = 2**20


@contextlib.contextmanager
def case(name):
    """Runs the block as one case. A failure is printed, and the program goes on."""
    try:
        yield
    except Exception as error:
        print(f"FAIL {name}: {json.dumps(describe(error))}", flush=True)
    else:
        print(f"ok {name}", flush=True)


@contextlib.contextmanager
def refused(*kinds):
    """Fails unless the block ends in an error of one of these kinds."""
    try:
        yield
    except kinds:
        return
    raise AssertionError(f"was accepted, wanted {' or '.join(kind.__name__ for kind in kinds)}")


def in_processes(function, numbers):
    """Calls a function for each number, every call in a process of its own and all at once; returns what they returned."""
    with ProcessPoolExecutor(len(numbers), multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(function, numbers))


def done():
    """Says that the program came to its end."""
    print("done", flush=True)
