#!/usr/bin/env python3
"""Lists what requests of S3 can say: every operation of AWS's model as botocore ships it, with its request headers, its query parameters
and the elements of its body. `tests/s3/tests/model.rs` holds the server to the list.

    python3 tests/s3/model/list.py .venv/s3/lib/python3*/site-packages > tests/s3/model/fields.txt

The folder is one that botocore is installed in; `tests/clients/run` makes the one that is named here.
"""

import gzip
import json
import pathlib
import sys

HEAD = """\
# What requests of S3 can say, from AWS's model in botocore {version}. Made by list.py, do not edit.
# An operation, and under it each header, query parameter and element of a body.
"""


def body(shapes, shape, path, above):
    """The paths of the elements of a body, without those that an element has of its own kind."""
    for name, member in shapes[shape].get("members", {}).items():
        if "location" in member or member.get("xmlAttribute") or shapes[member["shape"]].get("xmlAttribute"):
            continue
        inner, at = member["shape"], f"{path}/{member.get('locationName', name)}"
        kind = shapes[inner]
        if kind["type"] == "list":
            item = kind["member"]
            if not (member.get("flattened") or kind.get("flattened")):
                yield at
                at = f"{at}/{item.get('locationName', 'member')}"
            inner = item["shape"]
        yield at
        if shapes[inner]["type"] == "structure" and inner not in above:
            yield from body(shapes, inner, at, [*above, inner])


def fields(shapes, operation):
    """The fields of an operation's requests, each with its kind."""
    if "input" not in operation:
        return
    shape = operation["input"]["shape"]
    for member in shapes[shape]["members"].values():
        kind = {"header": "header", "headers": "header", "querystring": "query"}.get(member.get("location"))
        if kind:
            # Several headers have only their beginning in common.
            more = "*" if member["location"] == "headers" else ""
            name = member["locationName"]
            yield kind, (name.lower() if kind == "header" else name) + more
    payload = shapes[shape].get("payload")
    if payload:
        member = shapes[shape]["members"][payload]
        if shapes[member["shape"]]["type"] == "structure":
            root = member.get("locationName", payload)
            yield from (("body", path) for path in body(shapes, member["shape"], root, [member["shape"]]))
    else:
        root = operation["input"].get("locationName", shape)
        yield from (("body", path) for path in body(shapes, shape, root, [shape]))


def main():
    """Prints the list."""
    folder = pathlib.Path(sys.argv[1])
    version = next(folder.glob("botocore-*.dist-info")).name.removeprefix("botocore-").removesuffix(".dist-info")
    model = json.loads(gzip.decompress((folder / "botocore/data/s3/2006-03-01/service-2.json.gz").read_bytes()))
    print(HEAD.format(version=version), end="")
    for name, operation in sorted(model["operations"].items()):
        print(name)
        for kind, field in sorted(set(fields(model["shapes"], operation))):
            print(f"  {kind} {field}")


main()
