"""One run: what is told of it, and how it ends."""

from __future__ import annotations

import json
import logging
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from heldout import pod
from heldout.config.tracking import TrackingConfig
from heldout.tracking import delivery
from heldout.tracking.delivery import Delivery, is_refusal
from heldout.tracking.outbox import Outbox
from heldout.tracking.params import MAX_TAG_LENGTH, clean_name, flatten, shorten
from heldout.tracking.spool import Destination, Operation, Spool
from heldout.tracking.store import hide_password, is_server, quiet
from heldout.tracking.system import PREFIX as SYSTEM_PREFIX
from heldout.tracking.system import SystemSampler

if TYPE_CHECKING:
    import numpy as np
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from heldout.data.card import Card

log = logging.getLogger(__name__)

Status = Literal["FINISHED", "FAILED", "KILLED"]

FIGURES_FOLDER = "figures"
ERROR_TAG = "error"
# by which MLflow's UI knows which artifacts are tables
TABLES_TAG = "mlflow.loggedArtifacts"


class RunTracker:
    """One run. Made by `Tracking.start_run`; ends with `finish`, or as a context manager.

    All methods but `finish` return at once: a thread tells the store. While the store is away, what is to be told
    waits on disk.
    """

    def __init__(
        self,
        client: MlflowClient,
        run: Run,
        uri: str,
        config: TrackingConfig,
        spool_root: Path,
        keeps_status: bool,
        known_points: set[tuple[str, int]],
    ) -> None:
        self._config = config
        self._uri = uri
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.parent_run_id: str | None = run.data.tags.get("mlflow.parentRunId")
        self._destination = Destination(hide_password(uri), self.experiment_id, self.run_id)
        self._spool = Spool(spool_root.resolve() / self.run_id, self._destination)
        self._spool.lock()
        self._keeps_status = keeps_status
        self._known_params: dict[str, str] = dict(run.data.params)
        # what a resumed run has already: metric and step
        self._known_points = known_points
        for _, operation in self._spool.pending():
            self._known_points.update((key, step) for key, _, _, step in operation.get("points", ()))
        self._names: dict[str, str] = {}
        self._sampler: SystemSampler | None = None
        self._ended = False
        self._outbox = Outbox(
            Delivery(client, self._destination, self._spool.files),
            lambda error: is_refusal(error, is_server(uri)),
            self._spool,
            config.flush_seconds,
        )

    @property
    def tracking_uri(self) -> str:
        """Address of the store, without password."""
        return self._destination.uri

    @property
    def url(self) -> str | None:
        """The run's page on a server; None for a local database."""
        if not is_server(self._uri):
            return None
        return f"{self.tracking_uri.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def log_metrics(self, values: Mapping[str, float], step: int, timestamp: int | None = None) -> None:
        """Adds a point to each metric; a slash in a name makes a group in the UI. Takes microseconds.

        Args:
            step: epoch or global step.
            timestamp: milliseconds since the epoch; now by default.
        """
        self._refuse_when_ended()
        self._put_metrics(values, step, timestamp)

    def _put_metrics(self, values: Mapping[str, float], step: int, timestamp: int | None = None) -> None:
        if timestamp is None:
            timestamp = time.time_ns() // 1_000_000
        for name, value in values.items():
            key = self._names.get(name) or self._names.setdefault(name, clean_name(name))
            if not self._known_points or (key, step) not in self._known_points:
                self._outbox.put_metric((key, float(value), timestamp, step))

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Adds parameters, nested ones under dotted names.

        MLflow lets no parameter change. One that has another value since the run was resumed becomes the tag
        `changed.<name>`.
        """
        flat = flatten(values)
        changed = {key: value for key, value in flat.items() if self._known_params.get(key, value) != value}
        new = {key: value for key, value in flat.items() if key not in self._known_params}
        self._known_params.update(new)
        if new:
            self._put(delivery.params(new))
        if changed:
            self.set_tags({f"changed.{key}": value for key, value in changed.items()})

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Sets tags; an earlier value of the same name is replaced."""
        cleaned = {clean_name(key): shorten(str(value), MAX_TAG_LENGTH) for key, value in values.items()}
        if cleaned:
            self._put(delivery.tags(cleaned))

    def log_artifact(self, path: Path, artifact_path: str | None = None) -> None:
        """Adds a copy of a file or folder as it is now.

        Args:
            artifact_path: folder among the run's artifacts; its top by default.
        """
        target = self._staging_folder() / path.name
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copy2(path, target)
        self._put_artifact(target, artifact_path)

    def log_text(self, text: str, file: str) -> None:
        """Adds a text file; `file` is its path among the run's artifacts."""
        folder, _, name = file.rpartition("/")
        target = self._staging_folder() / name
        target.write_text(text, encoding="utf-8")
        self._put_artifact(target, folder or None)

    def log_figure_html(self, name: str, html: str) -> None:
        """Adds a page that the UI shows among the artifacts, as figures/<name>.html."""
        self.log_text(html, f"{FIGURES_FOLDER}/{name}.html")

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Adds a table that the UI shows as one, as <name>.json; values are numbers, texts, lists or None."""
        file = f"{name}.json"
        self.log_text(json.dumps({"columns": list(columns), "data": [list(row) for row in rows]}), file)
        self.set_tags({TABLES_TAG: json.dumps([{"path": file, "type": "table"}])})

    def log_dataset(self, card: Card, directory: Path) -> None:
        """Names the prepared data set in `directory` as input of this run: train and validation."""
        from heldout.tracking.datasets import dataset_inputs

        self._put(delivery.datasets(dataset_inputs(card, directory)))

    def log_model(
        self, model_file: Path, config_file: Path, card: Card, example: Mapping[str, np.ndarray], name: str = "model"
    ) -> None:
        """Adds the fitted model as an MLflow model with signature and input example, without pickled code.

        Does nothing where `tracking.models` is off.

        Args:
            model_file: weights.safetensors of a network or model.skops of a baseline.
            config_file: the resolved config, as in the record.
            example: a few examples as prepared, by input name: [examples, ...].
        """
        if not self._config.models:
            return
        from heldout.data.hashing import hash_file
        from heldout.tracking.models import save_mlflow_model

        folder = self._staging_folder() / name
        with quiet():
            save_mlflow_model(folder, model_file, config_file, card, example)
        hash_ = hash_file(model_file)
        self.set_tags({delivery.MODEL_HASH_TAG: hash_})
        self._put(delivery.model(str(folder.relative_to(self._spool.files)), name, hash_))

    def finish(self, status: Status = "FINISHED", error: str | BaseException | None = None) -> bool:
        """Ends the run and waits, at most `close_seconds`, until the store knows everything.

        Args:
            error: what went wrong; becomes a tag.

        Returns:
            Whether the store knows everything. If not, the rest is on disk, and a warning says how to send it.
        """
        if self._ended:
            return self._spool.empty
        self._ended = True
        if self._sampler is not None:
            self._sampler.stop()
        ended: str = status
        if error is not None:
            text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
            ended = f"{status}: {text}"
            self._outbox.put(delivery.tags({ERROR_TAG: shorten(text, MAX_TAG_LENGTH)}))
        if not self._keeps_status:
            self._outbox.put(delivery.status(status, time.time_ns() // 1_000_000))
        complete = self._outbox.close(self._config.close_seconds)
        if complete:
            self._spool.remove()
        else:
            missing = (
                f"not everything of run {self.run_id} could be sent to {self.tracking_uri}; it is kept in "
                f"{self._spool.directory}. Send it with: heldout sync"
            )
            log.warning("%s", missing)
            ended = f"{ended}; {missing}"
        self._spool.unlock()
        pod.said_end(self.run_id, ended)
        return complete

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the run: FINISHED, FAILED after an exception, KILLED after an interruption."""
        if error is None:
            self.finish("FINISHED")
        elif isinstance(error, Exception):
            self.finish("FAILED", error)
        else:
            self.finish("KILLED", error)

    def mark_running(self) -> None:
        """Makes a run that ended RUNNING again, and takes the error that ended it back."""
        # queued behind what the spool still holds, which may end with the last end of the run
        self._put(delivery.status("RUNNING", None))
        self._put(delivery.no_tag(ERROR_TAG))

    def sample_system(self) -> None:
        """Begins to sample CPU, memory and GPU, where `tracking.system_metrics_seconds` asks for it."""
        interval = self._config.system_metrics_seconds
        if interval is None:
            return
        steps = [step for key, step in self._known_points if key.startswith(SYSTEM_PREFIX)]
        self._sampler = SystemSampler(self._put_metrics, interval, first_step=max(steps, default=-1) + 1)

    def _refuse_when_ended(self) -> None:
        if self._ended:
            raise RuntimeError(f"run {self.run_id} has ended; nothing can be added to it. Use Tracking.reopen")

    def _put(self, operation: Operation) -> None:
        self._refuse_when_ended()
        self._outbox.put(operation)

    def _staging_folder(self) -> Path:
        folder = self._spool.files / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def _put_artifact(self, target: Path, artifact_path: str | None) -> None:
        self._put(delivery.artifact(str(target.relative_to(self._spool.files)), artifact_path))
