"""`python -m heldout.tracking.backup save|restore FOLDER`: the artifacts of a tracking server, to a folder and back.

The other half, the database, is dumped and read by PostgreSQL's own programs in k8s/components/backup and
k8s/jobs/restore. Artifacts do not change once a run has written them: what is in the folder in the same size, and not
older, is not read again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from heldout.errors import UserError, complain
from heldout.tracking.server import BUCKET

OBJECTS = "artifacts"


class NoBackup(UserError):
    """There is nothing to restore from."""


def main(argv: Sequence[str] | None = None) -> int:
    """Saves or restores; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m heldout.tracking.backup")
    parser.add_argument("what", choices=("save", "restore"))
    parser.add_argument("folder", type=Path, help="of all backups")
    parser.add_argument("--keep", type=int, default=14, help="databases to keep, the newest")
    options = parser.parse_args(argv)
    bucket = urlsplit(os.environ.get(BUCKET, "")).netloc
    try:
        if options.what == "save":
            count = save(bucket, options.folder / OBJECTS)
            _finish(options.folder, options.keep)
        else:
            count = restore(options.folder / OBJECTS, bucket)
    except UserError as error:
        return complain(error)
    sys.stdout.write(f"{count} artifacts {'saved' if options.what == 'save' else 'restored'}\n")
    return 0


def save(bucket: str, folder: Path) -> int:
    """Brings `folder` up to the bucket; returns how many objects were new. Nothing is removed from the folder."""
    client, count = _client(), 0
    for key, size, modified in _objects(client, bucket):
        target = folder / key
        if target.is_file() and target.stat().st_size == size and target.stat().st_mtime >= modified:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        client.download_file(bucket, key, str(partial))
        partial.replace(target)
        count += 1
    return count


def restore(folder: Path, bucket: str) -> int:
    """Puts every file of `folder` into the bucket where it is not there in the same size; returns how many.

    Raises:
        NoBackup: the folder is not there.
    """
    if not folder.is_dir():
        raise NoBackup(f"{folder} holds no artifacts; expected the volume that the CronJob `backup` has written to.")
    client, count = _client(), 0
    there = {key: size for key, size, _ in _objects(client, bucket)}
    for path in sorted(folder.rglob("*")):
        key = path.relative_to(folder).as_posix()
        if path.is_file() and path.suffix != ".partial" and there.get(key) != path.stat().st_size:
            client.upload_file(str(path), bucket, key)
            count += 1
    return count


def _finish(folder: Path, keep: int) -> None:
    """A database counts once its artifacts are there too; of all, the newest are kept."""
    for partial in folder.glob("database-*.partial"):
        partial.replace(partial.with_suffix(""))
    for old in sorted(folder.glob("database-*"))[:-keep]:
        old.unlink()


def _objects(client: Any, bucket: str) -> Iterator[tuple[str, int, float]]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", ()):
            if not one["Key"].endswith("/"):
                yield one["Key"], one["Size"], one["LastModified"].timestamp()


def _client() -> Any:
    import boto3

    return boto3.client("s3")


if __name__ == "__main__":
    sys.exit(main())
