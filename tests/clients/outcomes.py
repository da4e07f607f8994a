"""What is kept of runs: for each client and kind of server the last outcome, from which `docs/compatibility.md` is made."""

import datetime
import fcntl
import json
import pathlib

from catalog import CLIENTS

RESULTS = pathlib.Path(__file__).resolve().parent / "results.json"


def record(name, server, tls, counts):
    """Keeps how many cases of a client passed, failed and were not run, in place of its last outcome on that kind of server. One that
    had nothing to run with has no outcome."""
    passed, failed, not_run = counts
    if passed + failed == 0:
        return
    outcome = {"server": server, "over": "HTTPS" if tls else "HTTP", "version": CLIENTS[name].version(), "passed": passed, "failed": failed,
               "not_run": not_run, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    # Runs on several kinds of servers may go on at once.
    with RESULTS.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        kept = with_outcome(json.loads(file.read() or "[]"), name, outcome)
        file.truncate(0)
        file.write(kept)


def with_outcome(clients, name, outcome):
    """The text of the file with another outcome."""
    kept = {one["client"]: one for one in clients}
    others = [one for one in kept.get(name, {"runs": []})["runs"] if (one["server"], one["over"]) != (outcome["server"], outcome["over"])]
    kept[name] = {"client": name, "runs": sorted([*others, outcome], key=lambda one: (one["server"], one["over"]))}
    # In the order of the catalogue, with what is said there today, and without what is no longer in it.
    return "[" + ",\n".join(shown(client, kept[client]["runs"]) for client in CLIENTS if client in kept) + "]\n"


def shown(client, runs):
    """A client and its outcomes, with a line for each of them."""
    lines = ",\n ".join(json.dumps(one) for one in runs)
    return f'{{"client": {json.dumps(client)}, "does": {json.dumps(CLIENTS[client].does, ensure_ascii=False)}, "runs": [\n {lines}]}}'
