"""One run: what its record says of it, what is measured and what is concluded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heldout.analysis.curves import Curves
from heldout.analysis.measures import Measures
from heldout.analysis.verdict import Verdict
from heldout.inside import Inside, read_inside
from heldout.pictures import read_pictures
from heldout.record import Record

_PROVENANCE = (
    "key",
    "started",
    "hashes",
    "lineage",
    "mlflow",
    "counts",
    "test_openings",
    "data_test_openings",
    "target",
)


@dataclass(frozen=True)
class Run:
    """One run as the comparison keeps it; `measures` is None when the run did not finish.

    provenance: path of the record, its hashes, lineage, MLflow ids, counts and openings of the test set.
    """

    data: str
    name: str
    family: str
    kind: str
    seed: int
    status: str
    error: str | None
    task: str
    classes: int
    parameters: int | None
    fit_seconds: float | None
    measures: Measures | None
    verdict: Verdict
    curves: Curves
    # of a network that was looked into
    inside: Inside | None
    # of a model that draws, by the name of their file, as base64
    pictures: dict[str, str]
    provenance: dict[str, Any]

    @classmethod
    def of(cls, record: Record, name: str, measures: Measures | None, verdict: Verdict) -> Run:
        """Put together what `record` says and what was found; `name` is that of its configuration."""
        info = record.info
        return cls(
            data=info["data"],
            name=name,
            family=info["family"],
            kind=info["kind"],
            seed=info["seed"],
            status=info["status"],
            error=info.get("error"),
            task=record.task,
            classes=len(info.get("classes", [])),
            parameters=info.get("parameters"),
            fit_seconds=info.get("fit_seconds"),
            measures=measures,
            verdict=verdict,
            curves=Curves.of(record.history, record.scoring),
            inside=read_inside(record.path),
            pictures=read_pictures(record.path),
            provenance={"record": record.path.as_posix()} | {key: info[key] for key in _PROVENANCE if key in info},
        )
