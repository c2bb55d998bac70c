"""Images that a trained network draws, and what its critic says of images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from heldout.models.gan import GAN, WHITE
from heldout.models.seeded import Draw, normals


def drawer(network: nn.Module, batch_size: int) -> Draw:
    """The images of a network by their seeds: the same seed gives the same image, whatever stands beside it."""
    assert isinstance(network, GAN)

    @torch.inference_mode()
    def draw(seeds: np.ndarray) -> np.ndarray:
        device = next(network.parameters()).device
        parts = []
        for some in np.array_split(seeds, max(1, -(-len(seeds) // batch_size))):
            drawn = network.draw(torch.from_numpy(normals(some, network.latent)).to(device))
            parts.append(drawn.round().clamp(0, WHITE).to(torch.uint8).cpu().numpy())
        return np.concatenate(parts)

    return draw


def critic(network: nn.Module, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    """The scores that a network's critic gives to images uint8 [n, channels, height, width], float64 [n]."""
    assert isinstance(network, GAN)

    @torch.inference_mode()
    def criticise(images: np.ndarray) -> np.ndarray:
        network.eval()
        device = next(network.parameters()).device
        parts = [
            network.critic(torch.from_numpy(some.copy()).to(device)).squeeze(1).double().cpu().numpy()
            for some in np.array_split(images, max(1, -(-len(images) // batch_size)))
        ]
        return np.concatenate(parts)

    return criticise
