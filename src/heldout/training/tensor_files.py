"""Files of tensors that others wrote: .safetensors, and what torch.save leaves."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from heldout.data.errors import shown
from heldout.models.errors import UnreadableModelFile

SAFE = ".safetensors"
# of a checkpoint, as Lightning and most examples of torch write it: the entry with the tensors
STATE = "state_dict"
# how a zip file begins, and a pickle, which torch.save wrote before it wrote zip files
TORCH = (b"PK", b"\x80")
EXPECTED = "Expected what torch.save(network.state_dict(), FILE) writes, or a .safetensors file"


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, of a checkpoint those of its `state_dict`; nothing in it is run.

    Raises:
        UnreadableModelFile: it is of another kind, damaged, or holds something else; the message says which.
    """
    _check_beginning(file)
    try:
        loaded = load_file(file) if file.suffix == SAFE else torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnreadableModelFile(
            f"{file}: is damaged, or holds more than tensors, as torch.save(network, FILE) leaves it; only tensors are "
            f"read, since the rest could run code. {EXPECTED}."
        ) from error
    # what is damaged makes the readers fail in a dozen ways
    except Exception as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise UnreadableModelFile(
            f"{file}: not a readable file of weights ({why}); install or download it again"
        ) from error
    found = loaded.get(STATE, loaded) if isinstance(loaded, dict) else loaded
    tensors = _only_tensors(found)
    if not tensors:
        raise UnreadableModelFile(f"{file}: holds {_described(found)}, no tensors by name. {EXPECTED}.")
    return tensors


def _check_beginning(file: Path) -> None:
    """That a file is none of those that a download leaves in place of weights."""
    with file.open("rb") as opened:
        beginning = opened.read(64)
    if beginning.startswith(b"version https://git-lfs"):
        raise UnreadableModelFile(f"{file}: a pointer of git-lfs, not the file itself; `git lfs pull` fetches that")
    if beginning.lstrip().startswith(b"<"):
        raise UnreadableModelFile(f"{file}: a web page, not the file that it offers; download that")
    if file.suffix != SAFE and not beginning.startswith(TORCH):
        raise UnreadableModelFile(f"{file}: not a file that torch.save wrote. {EXPECTED}.")


def _only_tensors(found: Any) -> dict[str, Tensor]:
    if not isinstance(found, dict):
        return {}
    return {name: one for name, one in found.items() if isinstance(name, str) and isinstance(one, Tensor)}


def _described(found: Any) -> str:
    if not isinstance(found, dict):
        return f"a {type(found).__name__}"
    inner = [name for name, one in found.items() if _only_tensors(one)]
    return f"a dict of {shown(found) or 'nothing'}" + (f" with tensors in {shown(inner)}" if inner else "")
