"""Pictures of drawn images: PNG files beside a record, which MLflow and the report show as they are."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# images drawn at the kept epoch
DRAWN = "drawn.png"
# those of them that lie closest to train, each above its nearest image of train
NEAREST = "nearest.png"
# a row an epoch, a column a code
BY_EPOCH = "by_epoch.png"
FILES = (DRAWN, NEAREST, BY_EPOCH)

# images in a row
COLUMNS = 12
# sides of an image on a picture are at least so many pixels, between them lie so many
LEAST_SIDE = 32
GAP = 4
GAP_COLOR = 255
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 3: 2}


def sheet(images: np.ndarray, columns: int) -> bytes:
    """A PNG with the images uint8 [n, channels, height, width], of 1 or 3 channels, in rows of so many."""
    import numpy as np

    n, channels, height, width = images.shape
    zoom = math.ceil(LEAST_SIDE / min(height, width))
    height, width = height * zoom, width * zoom
    rows = math.ceil(n / columns)
    page = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), GAP_COLOR, dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        large = image.repeat(zoom, axis=1).repeat(zoom, axis=2)
        page[top : top + height, left : left + width] = large.transpose(1, 2, 0)
    return png(page)


def png(page: np.ndarray) -> bytes:
    """A picture uint8 [height, width, 1 or 3 channels] in the format of PNG (ISO/IEC 15948)."""
    height, width, channels = page.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPES[channels], 0, 0, 0)
    # each line begins with the number of its filter; 0 is none
    lines = b"".join(b"\0" + line.tobytes() for line in page)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines, 9)) + _chunk(b"IEND", b"")


def read_pictures(folder: Path) -> dict[str, str]:
    """The pictures beside a record by the name of their file, as base64."""
    found = [folder / name for name in FILES if (folder / name).is_file()]
    return {path.name: base64.b64encode(path.read_bytes()).decode("ascii") for path in found}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
