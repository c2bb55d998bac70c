"""Whether a WAVE file is whole, which libsndfile does not ask: it reads what is there as a shorter recording."""

from __future__ import annotations

import struct
from pathlib import Path

# what writes to a pipe cannot know the size: ffmpeg says 2^32 - 1, arecord 2^31, SoX this, the least of them
ENDLESS = 0x7FFFF000


def missing_bytes(file: Path) -> int:
    """How many bytes of samples the header promises beyond those that are there; 0 for a file of another format."""
    with file.open("rb") as content:
        if content.read(4) != b"RIFF":
            return 0
        content.seek(12)
        while len(head := content.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"data":
                there = file.stat().st_size - content.tell()
                return 0 if size >= ENDLESS else max(0, size - there)
            # chunks begin at even places
            content.seek(size + size % 2, 1)
    return 0
