"""Runs: begun, resumed and reopened in a tracking store."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from heldout import pod
from heldout.config.tracking import TrackingConfig
from heldout.tracking.delivery import is_refusal
from heldout.tracking.errors import ExperimentError, LoginRefused, RunRefused, TrackingAway, TrackingUnavailable
from heldout.tracking.params import MAX_TAG_LENGTH, clean_name, shorten
from heldout.tracking.store import artifact_location, hide_password, is_server, open_store, resolve_uri
from heldout.tracking.tracker import RunTracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.exceptions import MlflowException

log = logging.getLogger(__name__)

T = TypeVar("T")

# where runs keep what could not be sent, a folder a run
SPOOL_ROOT = Path(".heldout/spool")
# how a run is found whose creation was asked for, but whose id was lost with the answer
CREATION_TAG = "mlflow.heldout.creation"
PARENT_TAG = "mlflow.parentRunId"
# MLflow's own
LOGIN_VARIABLES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
LOGIN_ERRORS = ("UNAUTHENTICATED", "PERMISSION_DENIED")
LONGEST_RETRY_PAUSE = 8.0
# between attempts to reach a server that was there before
AWAY_PAUSE = 2.0
# runs asked for at once
PAGE = 1000


@dataclass(frozen=True)
class Child:
    """A run as its parent knows it; `status` in MLflow's words."""

    run_id: str
    status: str
    tags: dict[str, str]


def connect(config: TrackingConfig, directory: Path | None = None, patient: bool = False) -> Tracking:
    """Opens the tracking store that `config` names, and the experiment in it.

    Args:
        directory: where a local store and unsent data lie; the working folder by default.
        patient: whether a server that does not answer is asked again for `start_seconds`, as where it was there a
            moment ago; else its address is more likely wrong, which is better said at once.

    Raises:
        TrackingAddressError: the address is a folder.
        TrackingAway, LoginRefused, TrackingUnavailable: the store does not answer, does not let us in, cannot be used.
        ExperimentError: the experiment was deleted.
    """
    directory = (directory or Path()).resolve()
    uri = resolve_uri(config.uri, directory)
    give_up = time.monotonic() + (config.start_seconds if patient else 0.0)
    while True:
        try:
            client = open_store(uri, config.request_seconds)
            experiment_id = _experiment_id(client, uri, config.experiment)
            return Tracking(config, client, uri, experiment_id, directory / SPOOL_ROOT)
        except TrackingAway:
            if time.monotonic() > give_up:
                raise
            time.sleep(AWAY_PAUSE)


class Tracking:
    """An open store. Made by `connect`."""

    def __init__(
        self, config: TrackingConfig, client: MlflowClient, uri: str, experiment_id: str, spool_root: Path
    ) -> None:
        self._config = config
        self._client = client
        self._uri = uri
        self._spool_root = spool_root
        self.experiment = config.experiment
        self.experiment_id = experiment_id

    @property
    def uri(self) -> str:
        """Address of the store, without password."""
        return hide_password(self._uri)

    @property
    def how_to_open(self) -> str:
        """A command or an address that shows the runs."""
        if is_server(self._uri):
            return f"{self.uri.rstrip('/')}/#/experiments/{self.experiment_id}"
        return f"mlflow ui --backend-store-uri {self.uri}"

    def start_run(
        self,
        name: str,
        parent: RunTracker | str | None = None,
        resume_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        system_metrics: bool = True,
        token: str | None = None,
    ) -> RunTracker:
        """Begins a run, or goes on with one.

        `MLFLOW_RUN_ID` in the environment plays no part.

        Args:
            parent: the run, or its id, under which this one is shown.
            resume_run_id: a run to go on with: it is RUNNING again, and what was already logged of a metric at a step
                is not logged a second time, so that a resumed training may simply log its history again.
            params: nested values, such as the resolved config.
            system_metrics: whether CPU, memory and GPU are sampled.
            token: names the run for whoever asks again: where a run of this token is, it is gone on with.

        Raises:
            TrackingUnavailable: the store does not answer for `start_seconds`.
            RunRefused: there is no run `resume_run_id`.
        """
        all_tags = {**_origin(name), **pod.tags(), **self._config.tags, **(tags or {})}
        if parent is not None:
            all_tags[PARENT_TAG] = parent if isinstance(parent, str) else parent.run_id
        all_tags = {clean_name(key): shorten(str(value), MAX_TAG_LENGTH) for key, value in all_tags.items()}
        if resume_run_id is None and token is not None and (found := self._created(token)):
            resume_run_id = found.info.run_id
        if resume_run_id is None:
            tracker = self._tracker(self._create(name, all_tags, token or uuid.uuid4().hex))
        else:
            tracker = self._resume(resume_run_id)
            tracker.set_tags(all_tags)
        if parent is None:
            pod.introduce(tracker.run_id, tracker.url or self.how_to_open)
        if params:
            tracker.log_params(params)
        if system_metrics:
            tracker.sample_system()
        return tracker

    def children(self, parent_run_id: str) -> list[Child]:
        """The runs directly below one.

        Raises:
            TrackingUnavailable: as `start_run`.
        """
        query = f"tags.`{PARENT_TAG}` = '{parent_run_id}'"
        found: list[Child] = []
        token: str | None = None
        while True:
            page = self._call(
                partial(self._client.search_runs, [self.experiment_id], query, max_results=PAGE, page_token=token),
                f"children of run {parent_run_id}",
            )
            found += [Child(run.info.run_id, run.info.status, dict(run.data.tags)) for run in page]
            token = page.token
            if not token:
                return found

    def download_last(self, kind: str, file: str, folder: Path) -> bool:
        """Downloads an artifact of the newest run of `heldout.kind` that finished; False where there is none.

        Raises:
            TrackingUnavailable: as `start_run`.
        """
        query = f"tags.`heldout.kind` = '{kind}' AND attributes.status = 'FINISHED'"
        newest = ["attributes.start_time DESC"]
        found = self._call(
            lambda: self._client.search_runs([self.experiment_id], query, order_by=newest, max_results=1),
            f"the last run of kind '{kind}'",
        )
        if not found:
            return False
        run_id = found[0].info.run_id
        files = self._call(lambda: self._client.list_artifacts(run_id), f"artifacts of run {run_id}")
        if file not in [item.path for item in files]:
            return False
        self._call(lambda: self._client.download_artifacts(run_id, file, str(folder)), f"{file} of run {run_id}")
        return True

    def reopen(self, run_id: str, keeps_status: bool = True) -> RunTracker:
        """Adds to a run that has ended, without a change of its status or times.

        Raises:
            TrackingUnavailable, RunRefused: as `start_run`.
        """
        run = self._call(lambda: self._client.get_run(run_id), f"run {run_id}")
        return self._tracker(run, keeps_status)

    def find(self, run_id: str, keeps_status: bool = True) -> RunTracker | None:
        """As `reopen`; None, with a warning, where this store has no such run: a record may come from elsewhere.

        Args:
            keeps_status: false for a run that nobody has ended; `finish` then does.
        """
        try:
            return self.reopen(run_id, keeps_status)
        except RunRefused:
            log.warning("run %s is not in %s; what follows is not added to it", run_id, self.uri)
            return None

    def _tracker(self, run: Run, keeps_status: bool = False, known: set[tuple[str, int]] | None = None) -> RunTracker:
        return RunTracker(self._client, run, self._uri, self._config, self._spool_root, keeps_status, known or set())

    def _resume(self, run_id: str) -> RunTracker:
        run = self._call(lambda: self._client.get_run(run_id), f"run {run_id}")
        known: set[tuple[str, int]] = set()
        for key in run.data.metrics:
            history = self._call(partial(self._client.get_metric_history, run_id, key), f"run {run_id}")
            known.update((key, point.step) for point in history)
        tracker = self._tracker(run, known=known)
        tracker.mark_running()
        return tracker

    def _created(self, token: str) -> Run | None:
        query = f"tags.`{CREATION_TAG}` = '{token}'"
        found = self._call(
            lambda: self._client.search_runs([self.experiment_id], query, max_results=1), f"search for run '{token}'"
        )
        return found[0] if found else None

    def _create(self, name: str, tags: Mapping[str, str], token: str) -> Run:
        attempts = 0

        def create() -> Run:
            nonlocal attempts
            attempts += 1
            if attempts > 1:
                query = f"tags.`{CREATION_TAG}` = '{token}'"
                if found := self._client.search_runs([self.experiment_id], query, max_results=1):
                    return found[0]
            return self._client.create_run(self.experiment_id, tags={**tags, CREATION_TAG: token}, run_name=name)

        return self._call(create, f"run '{name}'")

    def _call(self, function: Callable[[], T], what: str) -> T:
        """Calls, and again while the store does not answer."""
        give_up = time.monotonic() + self._config.start_seconds
        pause = 0.25
        while True:
            try:
                return function()
            # as in the outbox: whatever the layers below raise
            except Exception as error:
                if getattr(error, "error_code", None) in LOGIN_ERRORS:
                    raise _refused_login(self._uri, what, error) from error
                if is_refusal(error, is_server(self._uri)):
                    raise RunRefused(f"the tracking store at {self.uri} refuses {what}: {error}") from error
                if time.monotonic() + pause > give_up:
                    raise TrackingAway(
                        f"the tracking store at {self.uri} did not answer for {self._config.start_seconds:g} seconds "
                        f"({str(error)[:200]}). Start it again, or raise tracking.start_seconds."
                    ) from error
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_PAUSE)


def _origin(name: str) -> dict[str, str]:
    tags = {
        "mlflow.runName": name,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": Path(sys.argv[0]).name or "python",
    }
    with contextlib.suppress(KeyError, OSError):  # a container may run as a user without a name
        tags["mlflow.user"] = getpass.getuser()
    return tags


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return client.create_experiment(name, artifact_location(uri, name))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                # made by another process a moment ago
                found = client.get_experiment_by_name(name)
    except MlflowException as error:
        raise _no_access(uri, name, error) from error
    if found is None or found.lifecycle_stage != "active":
        raise ExperimentError(
            f"experiment '{name}' was deleted from {hide_password(uri)}. Restore it (mlflow experiments restore) or "
            "choose another name with tracking.experiment."
        )
    return str(found.experiment_id)


def _no_access(uri: str, experiment: str, error: MlflowException) -> TrackingUnavailable:
    if error.error_code in LOGIN_ERRORS:
        return _refused_login(uri, f"experiment '{experiment}'", error)
    kind = TrackingAway if is_server(uri) else TrackingUnavailable
    return kind(
        f"the tracking store at {hide_password(uri)} does not give access to experiment '{experiment}': {error}."
    )


def _refused_login(uri: str, what: str, error: Exception) -> LoginRefused:
    given = [name for name in LOGIN_VARIABLES if os.environ.get(name)]
    return LoginRefused(
        f"the MLflow server at {hide_password(uri)} does not let us in with {' and '.join(given) or 'no login'} "
        f"({str(error).splitlines()[0][:200]}). Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
        f"MLFLOW_TRACKING_TOKEN, to those of someone who may use {what}; on Kubernetes they come from the Secret "
        "heldout-mlflow."
    )
