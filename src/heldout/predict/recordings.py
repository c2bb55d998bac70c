"""Recordings to predict: a folder, a list of files, or a single one, made into features as for the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from heldout.config.data import AudioData
from heldout.data.columns import column_text
from heldout.data.errors import FileUnreadable, shown
from heldout.data.mel import log_mel
from heldout.data.sources._listing import files_below, first_of
from heldout.data.sources._ts import stack
from heldout.data.sources.audio import SUFFIXES, read_sound, require_soundfile
from heldout.predict.errors import DoesNotFit


def recordings_in(folder: Path) -> list[Path]:
    """All recordings below a folder.

    Raises:
        FileUnreadable: there is none.
    """
    files = files_below(folder, SUFFIXES)
    if not files:
        raise FileUnreadable(f"path={folder} holds no file that ends in {', '.join(SUFFIXES)}; expected recordings.")
    return files


def listed_recordings(path: Path, table: pa.Table, column: str) -> list[Path]:
    """The files that a table names, relative to its own folder.

    Raises:
        DoesNotFit: it has no such column, or a row names no file.
    """
    if column not in table.column_names:
        raise DoesNotFit(
            f"path={path}: there is no column '{column}' (data.file of the training); it has "
            f"{shown(table.column_names)}. Expected the file of a recording in each row of it."
        )
    names = column_text(table[column], column).to_pylist()
    if None in names:
        raise DoesNotFit(f"path={path}: row {names.index(None) + 1} names no file in the column '{column}'.")
    return [path.parent / name for name in names]


def mel_inputs(path: Path, files: list[Path], data: AudioData) -> dict[str, np.ndarray]:
    """The inputs of models, `x` and where they differ `length`, by the settings of the training.

    Raises:
        PackageMissing: soundfile is not installed.
        FileUnreadable: recordings cannot be used as they are; the message names them.
    """
    require_soundfile()
    features: list[np.ndarray] = []
    failed: list[str] = []
    for file in files:
        try:
            features.append(log_mel(read_sound(file, data), data.mel))
        except FileUnreadable as error:
            # without how prepare would be told to take it
            failed.append(str(error).partition(";")[0])
    if failed:
        raise FileUnreadable(
            f"path={path}: {len(failed)} of {len(files)} recordings cannot be used:\n{first_of(failed)}\nMend or "
            "remove them; the model reads what its training read."
        )
    return stack(path, features, [str(file) for file in files])
