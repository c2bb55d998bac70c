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
MODELS_SCHEME = "models:/"
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
        for output in run.outputs.model_outputs if run.outputs else ():
            _download(client, f"{MODELS_SCHEME}{output.model_id}", address, folder)
        yield hashes, tags.get(DATA_PATH_TAG), Path(folder)


@contextlib.contextmanager
def fetched_model(reference: str, uri: str | None) -> Iterator[tuple[Path, str | None]]:
    """A folder with a model of the registry, `models:/NAME/VERSION` or `models:/NAME@ALIAS`, and the id of its run.

    Raises:
        UnknownRun: the registry has no such model.
        TrackingUnavailable: the store does not answer.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    address = resolve_uri(uri, Path.cwd())
    client = open_store(address, TrackingConfig().request_seconds)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _download(client, reference, address, folder)
        except (MlflowException, OSError) as error:
            raise UnknownRun(
                f"'{reference}' is no model of {hide_password(address)} ({str(error).splitlines()[0][:200]}); expected "
                f"{MODELS_SCHEME}NAME/VERSION or {MODELS_SCHEME}NAME@ALIAS, as its page of models has them."
            ) from error
        described = next(iter(Path(folder).rglob("MLmodel")), None)
        yield Path(folder), None if described is None else Model.load(str(described)).run_id


def _get(client: MlflowClient, run_id: str, uri: str) -> Run:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        raise UnknownRun(
            f"'{run_id}' is no folder with a record and no run of {hide_password(uri)}; expected either."
        ) from error


def _download(client: MlflowClient, model: str, uri: str, folder: str) -> None:
    from mlflow.artifacts import download_artifacts

    download_artifacts(_location(client, model), dst_path=folder, tracking_uri=uri)


def _location(client: MlflowClient, model: str) -> str:
    """Where the files of a model lie, `models:/...`, by the store of the client.

    MLflow's own download of such a name asks the store of the environment, whichever it is given.
    """
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    found = get_model_name_and_version(client, model)  # type: ignore[no-untyped-call]
    if len(found) == 1:
        return str(client.get_logged_model(*found).artifact_location)
    place = str(client.get_model_version_download_uri(*found))
    return _location(client, place) if place.startswith(MODELS_SCHEME) else place
