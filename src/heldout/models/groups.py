"""The parameters of a network in groups by depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def depth_groups(network: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters by part, from the first to the last, which is the classifier.

    Parts are the children of the network, those of lists of layers one by one; parameters of the network itself belong
    to the first. A child that holds all parameters is itself taken for the network.
    """
    from torch import nn

    holders = [child for child in network.children() if any(True for _ in child.parameters())]
    if len(holders) == 1 and not list(network.parameters(recurse=False)):
        return depth_groups(holders[0])

    parts: list[nn.Module] = []
    for child in network.children():
        parts += child.children() if isinstance(child, nn.ModuleList | nn.Sequential) else [child]
    groups = [list(part.parameters()) for part in parts]
    own = list(network.parameters(recurse=False))
    kept = [group for group in groups if group]
    kept[0] = own + kept[0]
    return kept
