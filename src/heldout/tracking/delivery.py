"""Operations on a run, as plain values that fit in a line of JSON, and how MLflow is told of them.

Every operation may be delivered more than once with the effect of once: an answer can get lost, and a spool can be
sent again after a crash.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from heldout.tracking.spool import Destination, Operation

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

# limits of MLflow 3 on one request
METRICS_PER_REQUEST = 1000
ENTRIES_PER_REQUEST = 100

MODEL_HASH_TAG = "hash.model"
# what MLflow answers when repeating the request cannot help
REFUSALS = frozenset(
    {
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_LIMIT_EXCEEDED",
    }
)
# HTTP statuses of 4xx that may pass: no rights yet, not routed, timeout, too early, too many
PASSING_STATUSES = frozenset({401, 403, 404, 407, 408, 421, 425, 429})

# key, value, milliseconds since the epoch, step
Point = tuple[str, float, int, int]
T = TypeVar("T")


def metrics(points: Sequence[Point]) -> Operation:
    return {"op": "metrics", "points": [list(point) for point in points]}


def tags(values: Mapping[str, str]) -> Operation:
    return {"op": "tags", "values": dict(values)}


def no_tag(key: str) -> Operation:
    return {"op": "no tag", "key": key}


def params(values: Mapping[str, str]) -> Operation:
    return {"op": "params", "values": dict(values)}


def artifact(file: str, folder: str | None) -> Operation:
    """`file`: below the spool's folder for files; `folder`: where it belongs among the run's artifacts."""
    return {"op": "artifact", "file": file, "folder": folder}


def datasets(inputs: Sequence[Mapping[str, str]]) -> Operation:
    return {"op": "datasets", "inputs": [dict(item) for item in inputs]}


def model(folder: str, name: str, hash_: str) -> Operation:
    """`folder`: an MLflow model below the spool's folder for files; `hash_`: of the weights."""
    return {"op": "model", "folder": folder, "name": name, "hash": hash_}


def status(name: str, end_time: int | None) -> Operation:
    """`end_time`: milliseconds since the epoch, None while running."""
    return {"op": "status", "status": name, "end_time": end_time}


class Delivery:
    """Tells MLflow of one operation at a time.

    Args:
        client: of the store the run is in.
        destination: the run.
        files: folder of the files that operations speak of; a file is deleted once it is delivered.
    """

    def __init__(self, client: MlflowClient, destination: Destination, files: Path) -> None:
        self._client = client
        self._run_id = destination.run_id
        self._experiment_id = destination.experiment_id
        self._files = files
        self._handlers: dict[str, Callable[[Operation], None]] = {
            "metrics": self._metrics,
            "tags": self._tags,
            "no tag": self._no_tag,
            "params": self._params,
            "artifact": self._artifact,
            "datasets": self._datasets,
            "model": self._model,
            "status": self._status,
        }

    def __call__(self, operation: Operation) -> None:
        """Delivers; raises what MLflow or the file system raise."""
        self._handlers[operation["op"]](operation)

    def _metrics(self, operation: Operation) -> None:
        from mlflow.entities import Metric

        for points in _chunks(operation["points"], METRICS_PER_REQUEST):
            entities = [Metric(key, value, timestamp, step) for key, value, timestamp, step in points]
            self._client.log_batch(self._run_id, metrics=entities)

    def _tags(self, operation: Operation) -> None:
        from mlflow.entities import RunTag

        for items in _chunks(operation["values"].items(), ENTRIES_PER_REQUEST):
            self._client.log_batch(self._run_id, tags=[RunTag(key, value) for key, value in items])

    def _no_tag(self, operation: Operation) -> None:
        # MLflow refuses to delete what is not there
        if operation["key"] in self._client.get_run(self._run_id).data.tags:
            self._client.delete_tag(self._run_id, operation["key"])

    def _params(self, operation: Operation) -> None:
        from mlflow.entities import Param

        for items in _chunks(operation["values"].items(), ENTRIES_PER_REQUEST):
            self._client.log_batch(self._run_id, params=[Param(key, value) for key, value in items])

    def _artifact(self, operation: Operation) -> None:
        file = self._files / operation["file"]
        if not file.exists():
            return  # delivered by a process that was killed before it could note it
        self._client.log_artifact(self._run_id, str(file), operation["folder"])
        shutil.rmtree(file.parent, ignore_errors=True)

    def _datasets(self, operation: Operation) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = []
        for item in operation["inputs"]:
            entity = Dataset(**{key: value for key, value in item.items() if key != "context"})
            inputs.append(DatasetInput(entity, [InputTag("mlflow.data.context", item["context"])]))
        self._client.log_inputs(self._run_id, datasets=inputs)

    def _model(self, operation: Operation) -> None:
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        folder = self._files / operation["folder"]
        if not folder.exists():
            return  # as for an artifact
        logged = self._find_model(operation["hash"]) or self._client.create_logged_model(
            experiment_id=self._experiment_id,
            name=operation["name"],
            source_run_id=self._run_id,
            tags={MODEL_HASH_TAG: operation["hash"]},
        )
        if logged.status.name != "READY":
            description = Model.load(str(folder))
            description.model_id = description.model_uuid = logged.model_id
            description.artifact_path = logged.artifact_location
            description.save(str(folder / "MLmodel"))
            self._client.log_model_artifacts(logged.model_id, str(folder))
            self._client.finalize_logged_model(logged.model_id, "READY")
        outputs = self._client.get_run(self._run_id).outputs
        known = {output.model_id for output in outputs.model_outputs} if outputs else set()
        if logged.model_id not in known:
            self._client.log_outputs(self._run_id, [LoggedModelOutput(logged.model_id, step=0)])
        shutil.rmtree(folder.parent, ignore_errors=True)

    def _find_model(self, hash_: str) -> LoggedModel | None:
        found = self._client.search_logged_models(
            [self._experiment_id],
            filter_string=f"source_run_id = '{self._run_id}' AND tags.`{MODEL_HASH_TAG}` = '{hash_}'",
            max_results=1,
        )
        return found[0] if found else None

    def _status(self, operation: Operation) -> None:
        if operation["end_time"] is None:
            self._client.update_run(self._run_id, status=operation["status"])
        else:
            self._client.set_terminated(self._run_id, operation["status"], operation["end_time"])


def is_refusal(error: Exception, from_server: bool) -> bool:
    """Whether the store understood and said no, so that trying again is of no use.

    Args:
        error: what delivering an operation raised.
        from_server: whether the store is reached by HTTP, where only an answer in MLflow's own form counts: a proxy in
            front of a server that is away answers too.
    """
    from mlflow.exceptions import MlflowException, RestException
    from requests import HTTPError, RequestException

    if isinstance(error, HTTPError) and error.response is not None:
        code = error.response.status_code
        return 400 <= code < 500 and code not in PASSING_STATUSES
    if isinstance(error, RequestException):
        return False
    if isinstance(error, MlflowException):
        understood = isinstance(error, RestException) or not from_server
        return understood and error.error_code in REFUSALS
    return isinstance(error, FileNotFoundError | TypeError | KeyError | ValueError | AttributeError)


def _chunks(items: Iterable[T], size: int) -> Iterable[list[T]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
