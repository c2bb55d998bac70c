"""Sources by name."""

from __future__ import annotations

from collections.abc import Callable

from heldout.config.data import DataConfig, Modality, TaskKind
from heldout.data.errors import DataError, UnknownSource, shown
from heldout.data.raw import RawData

Load = Callable[[DataConfig], RawData]

_SOURCES: dict[str, Load] = {}


def source(name: str) -> Callable[[Load], Load]:
    """Registers a function under the name that `data.source` gives."""

    def register(load: Load) -> Load:
        if name in _SOURCES:
            raise ValueError(f"source '{name}' is registered already, by {_SOURCES[name].__module__}")
        _SOURCES[name] = load
        return load

    return register


def source_names() -> list[str]:
    return sorted(_SOURCES)


def load_source(config: DataConfig) -> RawData:
    """All examples of the source that the config names, checked.

    Raises:
        UnknownSource: no source has this name.
        DataError: the source cannot be read, or what it holds is no data set.
    """
    if config.source not in _SOURCES:
        raise UnknownSource(f"data.source={config.source}: expected one of {shown(source_names(), most=50)}.")
    raw = _SOURCES[config.source](config)
    if config.task is TaskKind.language and raw.texts is not None:
        raw = raw.to_be_continued()
    if config.task is TaskKind.generation and config.modality is Modality.image:
        raw = raw.to_be_drawn()
    if raw.task != config.task.name:
        raise DataError(
            f"data.task={config.task.name} with data.source={config.source}: the source gives "
            f"{'classes' if raw.classes else 'numbers'}; expected data.task={raw.task}."
        )
    raw.check()
    return raw
