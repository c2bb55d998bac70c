"""Reads back from the tracking store what `verify` compares."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from heldout.config.tracking import TrackingConfig
from heldout.record import CONFIG_FILE
from heldout.tracking.errors import UnknownRun
from heldout.tracking.store import hide_password, open_store, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

HASH_PREFIX = "hash."
DATA_PATH_TAG = "data.path"


@contextlib.contextmanager
def fetched_run(run_id: str, uri: str | None) -> Iterator[tuple[dict[str, str], str | None, Path]]:
    """The hashes of a run by name, where its data were, and a folder with its config and model.

    Raises:
        UnknownRun: the store has no such run.
        TrackingUnavailable: the store does not answer.
    """
    address = resolve_uri(uri, Path.cwd())
    client = open_store(address, TrackingConfig().request_seconds)
    run = _get(client, run_id, address)
    tags = run.data.tags
    hashes = {name.removeprefix(HASH_PREFIX): value for name, value in tags.items() if name.startswith(HASH_PREFIX)}
    with tempfile.TemporaryDirectory() as folder:
        if any(item.path == CONFIG_FILE for item in client.list_artifacts(run_id)):
            client.download_artifacts(run_id, CONFIG_FILE, folder)
        _download_model(run, address, folder)
        yield hashes, tags.get(DATA_PATH_TAG), Path(folder)


def _get(client: MlflowClient, run_id: str, uri: str) -> Run:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        raise UnknownRun(
            f"'{run_id}' is no folder with a record and no run of {hide_password(uri)}; expected either."
        ) from error


def _download_model(run: Run, uri: str, folder: str) -> None:
    from mlflow.artifacts import download_artifacts

    for output in run.outputs.model_outputs if run.outputs else ():
        download_artifacts(f"models:/{output.model_id}", dst_path=folder, tracking_uri=uri)
