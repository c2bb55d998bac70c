"""What the runs of a data set were made from: once where they agree, by run where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from heldout.analysis.run import Run

# label and path of what most runs share
_SHARED = {
    "git commit": ("lineage", "git_commit"),
    "uncommitted changes": ("lineage", "git_dirty"),
    "data hash": ("hashes", "data"),
    "DVC hash of the data": ("lineage", "data_dvc_md5"),
    "code hash": ("hashes", "code"),
    "Python": ("lineage", "python"),
    "platform": ("lineage", "platform"),
}
_BY_RUN = {
    "started": ("started",),
    "config hash": ("hashes", "config"),
    "model hash": ("hashes", "model"),
    "test openings": ("test_openings",),
    "MLflow run": ("mlflow", "run_id"),
}


def shared(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Label and distinct values, in order of first appearance, of what belongs to the data set as a whole."""
    found = [(label, _distinct(_at(run.provenance, path) for run in runs)) for label, path in _SHARED.items()]
    openings = [run.provenance["data_test_openings"] for run in runs if "data_test_openings" in run.provenance]
    if openings:
        # each record has the count of its day
        found.append(("openings of this test set, by any run", [str(max(openings))]))
    return [(label, values) for label, values in found if values]


def by_run(runs: Sequence[Run]) -> tuple[list[str], list[tuple[Run, list[str]]]]:
    """Column labels, and for each run its cells, of what differs from run to run; columns nobody has are left out."""
    present = {
        label: path for label, path in _BY_RUN.items() if any(_at(run.provenance, path) is not None for run in runs)
    }
    rows = [(run, [_text(_at(run.provenance, path)) for path in present.values()]) for run in runs]
    return list(present), rows


def _at(provenance: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(provenance, dict):
            return None
        provenance = provenance.get(key)
    return provenance


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(_text(value) for value in values if value is not None))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
