"""Weights of a network as a safetensors file: tensors by name, nothing that runs when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heldout.models.errors import UnreadableModelFile
from heldout.models.files import replaced

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHOWN = 3


def save_weights(module: nn.Module, path: Path) -> None:
    """Write all parameters and buffers of `module`; the file is there complete or not at all."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    with replaced(path) as temporary:
        save_file(tensors, temporary)


def find_weights(folder: Path) -> Path | None:
    """The file of `save_weights` that lies anywhere below a folder, the first by name; None where there is none."""
    return next(iter(sorted(folder.rglob("*.safetensors"))), None)


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill `module` with the tensors of a file of `save_weights`.

    Raises UnreadableModelFile when the file is absent or damaged, or when its names or shapes are not those of
    `module`; then `module` is unchanged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise UnreadableModelFile(f"{path}: no such file; expected the weights of a trained network") from None
    except (SafetensorError, OSError) as error:
        raise UnreadableModelFile(
            f"{path}: not a readable safetensors file ({error}); train again or restore it"
        ) from None
    differences = _differences(module.state_dict(), tensors)
    if differences:
        shown = "; ".join(differences[:_SHOWN])
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise UnreadableModelFile(
            f"{path}: these are weights of another network: {shown}{more}. "
            "Load them with the config and the card they were trained with"
        )
    module.load_state_dict(tensors)


def _differences(expected: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    found = [f"{name} is missing" for name in expected if name not in given]
    found += [f"{name} is not part of this one" for name in given if name not in expected]
    for name in expected.keys() & given.keys():
        if expected[name].shape != given[name].shape:
            found.append(f"{name} has shape {list(given[name].shape)}, expected {list(expected[name].shape)}")
    return sorted(found)
