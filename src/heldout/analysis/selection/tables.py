"""The files that a finished sweep leaves, read and checked; docs/reference/sweep-files.md describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heldout.analysis.selection.winner import Refit, choose_winner
from heldout.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = 1
SWEEP_FILE = "sweep.json"
TRIALS_FILE = "trials.parquet"
REPORTS_FILE = "reports.parquet"
PARAMETER = "param."
STATUSES = ("finished", "pruned", "failed")
MODES = ("max", "min")

_NUMBER, _TEXT = "number", "text"
TRIAL_COLUMNS = {
    "trial": "integer",
    "status": _TEXT,
    "objective": _NUMBER,
    "epochs": "integer",
    "started": _NUMBER,
    "ended": _NUMBER,
    "error": _TEXT,
}
# what sweeps of other programs may lack
OPTIONAL_COLUMNS = {"run_id": _TEXT, "record": _TEXT}
REPORT_COLUMNS = {"trial": "integer", "step": "integer", "seconds": _NUMBER, "objective": _NUMBER}
# what sweep.json must hold, and of which type
REQUIRED: dict[str, type] = {
    "format": int,
    "name": str,
    "objective": dict,
    "searcher": str,
    "scheduler": str,
    "trials_wanted": int,
    "refits": list,
}


class SweepFilesError(UserError):
    """Files of a sweep that are missing, damaged or of another format."""


@dataclass(frozen=True)
class Sweep:
    """A finished sweep, read back.

    trials: a row a trial, by trial number; reports: a row a report, by trial and step; info: sweep.json.
    """

    folder: Path
    trials: pd.DataFrame
    reports: pd.DataFrame
    info: dict[str, Any]

    @property
    def metric(self) -> str:
        """Name of the objective."""
        return str(self.info["objective"]["metric"])

    @property
    def mode(self) -> str:
        """`max` or `min`: which objective is better."""
        return str(self.info["objective"]["mode"])

    @property
    def parameters(self) -> list[str]:
        """Keys of the searched settings, as in the table of trials but without their prefix."""
        return [name.removeprefix(PARAMETER) for name in self.trials.columns if name.startswith(PARAMETER)]

    @property
    def fits(self) -> int:
        """Fits of one trial, of which its objective is the mean."""
        return int(self.info.get("fits", 1))

    @property
    def folds(self) -> int | None:
        """Folds of cross-validation on which trials are scored; None when they have the validation split."""
        folds = self.info.get("folds")
        return None if folds is None else int(folds)

    @cached_property
    def refits(self) -> list[Refit]:
        """The refits on fresh seeds, by trial and seed."""
        found = [Refit(r["trial"], r["seed"], r["objective"], r["record"]) for r in self.info["refits"]]
        return sorted(found, key=lambda refit: (refit.trial, refit.seed))

    @property
    def winner(self) -> int | None:
        """The trial that was kept: the one named in sweep.json, else the choice from the refits, if any finished."""
        if self.info.get("winner"):
            return int(self.info["winner"]["trial"])
        return choose_winner(self.refits, self.mode) if any(refit.finished for refit in self.refits) else None


def read_sweep(folder: Path | str) -> Sweep:
    """Read the folder of a sweep; raises SweepFilesError that names the file, what is wrong and what was expected."""
    folder = Path(folder)
    info = _read_info(folder / SWEEP_FILE)
    trials = _read_table(folder / TRIALS_FILE, TRIAL_COLUMNS, OPTIONAL_COLUMNS).sort_values("trial", ignore_index=True)
    reports = _read_table(folder / REPORTS_FILE, REPORT_COLUMNS).sort_values(["trial", "step"], ignore_index=True)
    _check_trials(trials, folder / TRIALS_FILE)
    _check_refits(info["refits"], info.get("winner"), set(trials["trial"]), folder / SWEEP_FILE)
    return Sweep(folder, trials, reports, info)


def _read_info(file: Path) -> dict[str, Any]:
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SweepFilesError(
            f"{file.parent} holds no {file.name}; expected the folder of a finished sweep. Give the sweep's folder, or "
            "the sweep's own command again to finish it"
        ) from None
    except (OSError, ValueError) as error:
        raise SweepFilesError(f"{file} cannot be read: {error}. Give the sweep's command again to write it") from error
    if not isinstance(info, dict):
        raise SweepFilesError(f"{file} holds a {type(info).__name__}; expected a JSON object")
    for field, kind in REQUIRED.items():
        _check_field(info, field, (kind,), file)
    if info["format"] != FORMAT:
        raise SweepFilesError(f"{file} has format {info['format']}; this version reads format {FORMAT}")
    for field, kinds in {"fits": (int,), "folds": (int, type(None)), "winner": (dict, type(None))}.items():
        if field in info:
            _check_field(info, field, kinds, file)
    objective = info["objective"]
    if not isinstance(objective.get("metric"), str) or objective.get("mode") not in MODES:
        raise SweepFilesError(
            f"{file}: field 'objective' is {objective}; expected a metric and a mode of {' or '.join(MODES)}"
        )
    return info


def _check_refits(refits: Sequence[Any], winner: Any, trials: set[int], file: Path) -> None:
    seen = set()
    for refit in refits:
        if not isinstance(refit, dict):
            raise SweepFilesError(
                f"{file}: a refit is {refit!r}; expected an object with trial, seed, objective, record"
            )
        _check_field(refit, "trial", (int,), file)
        _check_field(refit, "seed", (int,), file)
        _check_field(refit, "objective", (int, float, type(None)), file)
        _check_field(refit, "record", (str, type(None)), file)
        key = refit["trial"], refit["seed"]
        if key in seen:
            raise SweepFilesError(f"{file}: trial {key[0]} was refitted twice on seed {key[1]}; expected fresh seeds")
        seen.add(key)
        if refit["trial"] not in trials:
            raise SweepFilesError(f"{file}: a refit is of trial {refit['trial']}, which {TRIALS_FILE} does not have")
    if winner is not None and winner.get("trial") not in trials:
        raise SweepFilesError(f"{file}: field 'winner' is {winner!r}; expected null, or an object with a known trial")


def _check_field(of: Mapping[str, Any], field: str, kinds: tuple[type, ...], file: Path) -> None:
    if field not in of:
        raise SweepFilesError(f"{file} lacks the field {field!r}; docs/reference/sweep-files.md lists what is required")
    if not isinstance(of[field], kinds) or isinstance(of[field], bool):
        expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise SweepFilesError(f"{file}: field {field!r} is {of[field]!r}; expected {expected}")


def _check_trials(trials: pd.DataFrame, file: Path) -> None:
    if trials["trial"].duplicated().any():
        twice = trials.loc[trials["trial"].duplicated(), "trial"].iloc[0]
        raise SweepFilesError(f"{file} has trial {twice} twice; expected one row a trial")
    unknown = sorted(set(trials["status"]) - set(STATUSES))
    if unknown:
        raise SweepFilesError(f"{file} has the status {unknown[0]!r}; expected one of {', '.join(STATUSES)}")


def _read_table(file: Path, columns: Mapping[str, str], optional: Mapping[str, str] | None = None) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
    except FileNotFoundError:
        raise SweepFilesError(
            f"{file} is missing; a finished sweep has one. Give the sweep's command again to write it"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise SweepFilesError(f"{file} is no readable Parquet file: {error}") from error
    for name, kind in {**columns, **(optional or {})}.items():
        if name not in table.column_names and name in columns:
            raise SweepFilesError(f"{file} lacks the column {name!r}; it has {', '.join(table.column_names)}")
        given = table.schema.field(name).type if name in table.column_names else None
        if given is not None and not _is(kind, given):
            raise SweepFilesError(f"{file}: column {name!r} is of type {given}; expected {kind}")
    frame: pd.DataFrame = table.to_pandas()
    for name in (optional or {}).keys() - set(frame.columns):
        frame[name] = None
    return frame


def _is(kind: str, given: pa.DataType) -> bool:
    import pyarrow.types as types

    # a column of nulls alone has no type of its own
    if kind == "integer":
        return bool(types.is_integer(given))
    if kind == _TEXT:
        return bool(types.is_string(given) or types.is_large_string(given) or types.is_null(given))
    return bool(types.is_floating(given) or types.is_integer(given) or types.is_null(given))
