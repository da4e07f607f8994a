"""What the clients do: a list of operations on each key, made from a seed."""

import dataclasses
import random

KIB = 2**10
MIB = 2**20


@dataclasses.dataclass
class Operation:
    """One thing to do to a key, repeated until it is acknowledged."""

    key: str
    kind: str  # "put", "multipart" or "delete"
    size: int = 0


def make_plan(seed, objects, clients):
    """Operations for each client. A key belongs to one client, so that its history is a line and not a race; over the clients
    there are `objects` keys, of which a quarter are overwritten and some deleted."""
    chance = random.Random(seed)
    plans = [[] for _ in range(clients)]
    for number in range(objects):
        key = f"{chance.choice(['', 'a/', 'a/b/', 'ü '])}{number:05}"
        plan = plans[number % clients]
        plan.append(store(chance, key))
        later = chance.random()
        if later < 0.25:
            plan.append(store(chance, key))
        if later < 0.05:
            plan.append(Operation(key, "delete"))
        elif 0.9 < later:
            plan.append(Operation(key, "delete"))
            if later > 0.96:
                plan.append(store(chance, key))
    for plan in plans:
        shuffle_keeping_order_of_keys(chance, plan)
    return plans


def store(chance, key):
    """A write of a random size from 0 bytes to 3 MiB, small ones being more common, or a multipart upload."""
    kind = chance.random()
    if kind < 0.03:
        return Operation(key, "multipart", 5 * MIB + chance.randrange(MIB))
    if kind < 0.08:
        return Operation(key, "put", 0)
    if kind < 0.65:
        return Operation(key, "put", chance.randrange(1, 64 * KIB))
    if kind < 0.93:
        return Operation(key, "put", chance.randrange(64 * KIB, 512 * KIB))
    return Operation(key, "put", chance.randrange(512 * KIB, 3 * MIB + 1))


def shuffle_keeping_order_of_keys(chance, plan):
    """Mixes operations on different keys; those on one key stay in their order."""
    queues = {}
    for operation in plan:
        queues.setdefault(operation.key, []).append(operation)
    keys = [operation.key for operation in plan]
    chance.shuffle(keys)
    plan[:] = [queues[key].pop(0) for key in keys]
