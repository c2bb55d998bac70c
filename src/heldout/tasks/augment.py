"""Images of a batch, changed at random while training."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from heldout.config.training import ClassifyConfig
from heldout.data.shard import Share


class Augment:
    """Moves and mirrors each image of a training batch.

    What happens at a step depends on (seed, step) only: a resumed fit sees the images it would have seen. Batches stay
    on their device and in their type.
    """

    def __init__(self, config: ClassifyConfig, seed: int) -> None:
        self.crop_padding = config.crop_padding
        self.flip = config.flip
        self.seed = seed

    def __call__(self, inputs: dict[str, Tensor], step: int, share: Share | None = None) -> dict[str, Tensor]:
        """The inputs, with `x` `[batch, channels, height, width]` changed; as they are where nothing is asked for.

        A worker that has a share of the batch changes it as it would be changed in the whole.
        """
        if not (self.crop_padding or self.flip):
            return inputs
        x = inputs["x"]
        share = share or Share(0, len(x), len(x), len(x))
        mine = slice(share.start, share.start + share.size)
        rng = np.random.default_rng([self.seed, step])
        if self.flip:
            mirrored = torch.from_numpy(rng.random(share.batch)[mine] < 0.5).to(x.device)
            x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        if self.crop_padding:
            offsets = rng.integers(0, 2 * self.crop_padding + 1, (2, share.batch))[:, mine]
            x = _moved(x, self.crop_padding, torch.from_numpy(offsets).to(x.device))
        return {**inputs, "x": x}


def _moved(x: Tensor, padding: int, offsets: Tensor) -> Tensor:
    """The part of each padded image that begins at its offset, of the size of `x`; offsets `[2, batch]`."""
    height, width = x.shape[2:]
    padded = F.pad(x, (padding, padding, padding, padding))
    rows = offsets[0, :, None] + torch.arange(height, device=x.device)
    columns = offsets[1, :, None] + torch.arange(width, device=x.device)
    every = torch.arange(len(x), device=x.device)[:, None, None]
    # indices around the channels put them last
    return padded[every, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
