"""Images of the user's, png or jpg: a folder for each class, or a csv or parquet file that lists them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from heldout.config.data import DataConfig, Differing, ImageData
from heldout.data import scratch
from heldout.data.errors import DataError, FileUnreadable, PackageMissing
from heldout.data.hashing import hash_file, hash_json
from heldout.data.raw import RawData
from heldout.data.sources._listing import list_files, read_each
from heldout.data.sources._registry import source

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
# by the channels that are asked for
MODES = {1: "L", 3: "RGB"}
# Pillow's names for pixels that are read as one of these without loss
ALIKE = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}

# Exif: the tag that says how the camera was held, and its values for images that lie on their side
ORIENTATION = 0x0112
LYING = (5, 6, 7, 8)


@source("images")
def load(config: DataConfig) -> RawData:
    """All images, scaled to one size; more than memory holds are kept in a file.

    Raises:
        PackageMissing: Pillow is not installed.
        FileUnreadable: images are damaged, or of other channels or size than asked for; the message names them.
    """
    if not isinstance(config, ImageData):
        raise DataError("data.source=images needs path; expected a data file that begins with 'images'.")
    if find_spec("PIL") is None:
        raise PackageMissing("images need Pillow; expected the extra `images`: pip install 'heldout[images]'.")
    listing = list_files(config, SUFFIXES)
    height, width = config.size or _size_of(listing.files[0])
    x = scratch.empty((len(listing.files), config.channels, height, width), np.uint8)

    def read(file: Path) -> np.ndarray:
        return read_image(file, config, (height, width))

    rows = read_each(listing, config, read, x.__setitem__)
    listing = listing.take(rows)
    return RawData(
        inputs={"x": x[: len(rows)]},
        **listing.about(),
        file_hash=hash_json([hash_file(file) for file in listing.files]),
        license="not stated",
        description=f"{len(rows)} images of {Path(config.path).name}, {height} x {width} pixels.",
    )


def read_image(file: Path, config: ImageData, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a file, uint8 [channels, height, width], turned as its camera says.

    Raises:
        FileUnreadable: damaged, of other channels, or of another size where none is asked for.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileUnreadable(f"  {file}: no readable image ({error})") from None
    image = _with_channels(file, image, config)
    height, width = size
    if config.size is None and image.size != (width, height):
        raise FileUnreadable(
            f"  {file}: {image.height} x {image.width} pixels, the first image has {height} x {width}; expected one "
            "size, or data.size to scale to"
        )
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(height, width, config.channels).transpose(2, 0, 1)


def _with_channels(file: Path, image: Image, config: ImageData) -> Image:
    wanted = MODES[config.channels]
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if not transparent and ALIKE.get(image.mode) == wanted:
        return image.convert(wanted)
    if config.other_channels is Differing.refuse:
        raise FileUnreadable(
            f"  {file}: pixels of kind {image.mode}{' with transparency' if transparent else ''}, expected {wanted} "
            f"(data.channels={config.channels}); data.other_channels=convert converts"
        )
    if transparent:
        from PIL.Image import alpha_composite, new

        image = image.convert("RGBA")
        image = alpha_composite(new("RGBA", image.size, "white"), image)
    return image.convert(wanted)


def _size_of(file: Path) -> tuple[int, int]:
    """Height and width of an image, turned as its camera says."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            size = image.height, image.width
            # not its own getexif: that of png decodes the pixels, and fails where they are damaged
            lies = Image.Image.getexif(image).get(ORIENTATION) in LYING
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileUnreadable(f"{file}: no readable image ({error}); with data.size null the first must be.") from None
    return size[::-1] if lies else size
