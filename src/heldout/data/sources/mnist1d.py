"""MNIST-1D: procedural one-dimensional digits."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.raw import RawData
from heldout.data.sources._registry import source


@source("mnist1d")
def load(config: DataConfig) -> RawData:
    """4,000 + 1,000 series of 40 steps with the generator's published settings and its own test set."""
    # seconds, as it loads matplotlib; the generator is not copied here so that the data stays that of the paper
    from mnist1d.data import get_dataset_args, make_dataset

    state = np.random.get_state()  # the generator seeds numpy's global state, which is the caller's
    made = make_dataset(get_dataset_args())
    np.random.set_state(state)
    train, test = len(made["y"]), len(made["y_test"])
    x = np.concatenate([made["x"], made["x_test"]]).astype(np.float32)
    return RawData(
        ids=np.array([f"train-{row}" for row in range(train)] + [f"test-{row}" for row in range(test)]),
        inputs={"x": x[:, None, :]},
        target=np.concatenate([made["y"], made["y_test"]]).astype(int).astype(str),
        classes=[str(digit) for digit in range(10)],
        split=np.array(["train"] * train + ["test"] * test),
        license="Apache-2.0",
        citation="S. Greydanus and D. Kobak: Scaling Down Deep Learning with MNIST-1D. ICML 2024. arXiv:2011.14439",
        description="Templates of ten digits, padded, shifted, sheared and with correlated noise; seed 42.",
    )
