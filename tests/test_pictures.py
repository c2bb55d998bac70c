"""Pictures as other programs read them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from heldout.pictures import GAP, LEAST_SIDE, png, sheet


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_is_read_as_it_was(channels: int) -> None:
    """Seed 0."""
    page = np.random.default_rng(0).integers(0, 256, (5, 9, channels), dtype=np.uint8)
    read = np.asarray(Image.open(io.BytesIO(png(page))))
    np.testing.assert_array_equal(read.reshape(page.shape), page)


def test_a_sheet_shows_each_image_enlarged_in_its_place() -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(8, axis=2).repeat(8, axis=3) * 40
    page = np.asarray(Image.open(io.BytesIO(sheet(images, 3))))
    assert page.shape == (2 * LEAST_SIDE + GAP, 3 * LEAST_SIDE + 2 * GAP)
    step = LEAST_SIDE + GAP
    assert [page[row * step, column * step] for row in (0, 1) for column in (0, 1, 2)] == [0, 40, 80, 120, 160, 255]
