"""Speech by espeak-ng, in a process of its own.

Its synthesiser draws noise, seeded by the time of day, and keeps a state from one utterance to the next: in a fresh
process with a seed of ours the same utterances in the same order give the same samples.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Sequence
from ctypes.util import find_library
from dataclasses import astuple, dataclass
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np

from heldout.data.errors import FileUnreadable, PackageMissing

# of speak_lib.h
# samples come through the callback, in the thread that asks: with one of its own each utterance waits 20 ms
_SYNCHRONOUS = 2
_RATE, _PITCH = 1, 3
_UTF8 = 1
_SEED = 1


@dataclass(frozen=True)
class Utterance:
    """What is said, by which voice (`en-us+m3`), with words a minute and pitch 0..100."""

    text: str
    voice: str
    speed: int
    pitch: int


def speak(utterances: Sequence[Utterance]) -> tuple[list[np.ndarray], int]:
    """Samples int16 of each utterance, and how many there are in a second.

    Raises:
        PackageMissing: espeak-ng is not installed.
        FileUnreadable: it does not know a voice.
    """
    _locate()
    request = json.dumps([astuple(one) for one in utterances])
    done = subprocess.run([sys.executable, "-m", __name__], input=request.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise FileUnreadable(f"espeak-ng cannot say what is asked for ({' '.join(reason)}); expected voices it has.")
    with np.load(BytesIO(done.stdout)) as found:
        return np.split(found["samples"], found["ends"][:-1]), int(found["rate"])


def _locate() -> tuple[str, str | None]:
    """The library, and its data where they lie beside it."""
    if find_spec("espeakng_loader") is not None:
        import espeakng_loader

        return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())
    library = find_library("espeak-ng")
    if library is None:
        raise PackageMissing(
            "speech is made by espeak-ng, which is not installed; expected the extra `audio` (pip install "
            "'heldout[audio]') or the Debian package (apt install espeak-ng)."
        )
    return library, None


class _Engine:
    """The library, once initialised in this process."""

    def __init__(self) -> None:
        path, data = _locate()
        self._library: Any = ctypes.CDLL(path)
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode() if data else None, 0)
        if self.rate <= 0:
            raise SystemExit(f"espeak-ng did not start: {self.rate}")
        self._parts: list[np.ndarray] = []
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        # held here, or the library would call what is gone
        self._callback = callback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def _seed(self) -> None:
        ctypes.CDLL(None).srand(_SEED)
        # from version 1.52 on it has a generator of its own
        if hasattr(self._library, "espeak_ng_SetRandSeed"):
            self._library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))

    def say(self, utterance: Utterance) -> np.ndarray:
        self._parts.clear()
        self._seed()
        if self._library.espeak_SetVoiceByName(utterance.voice.encode()):
            raise SystemExit(f"there is no voice '{utterance.voice}'")
        self._library.espeak_SetParameter(_RATE, utterance.speed, 0)
        self._library.espeak_SetParameter(_PITCH, utterance.pitch, 0)
        text = utterance.text.encode() + b"\0"
        self._library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._parts:
            raise SystemExit(f"nothing was said for {utterance.text!r}")
        return np.concatenate(self._parts)


def _main() -> None:
    engine = _Engine()
    said = [engine.say(Utterance(*one)) for one in json.load(sys.stdin)]
    np.savez(
        sys.stdout.buffer,
        samples=np.concatenate(said),
        ends=np.cumsum([len(one) for one in said]),
        rate=engine.rate,
    )


if __name__ == "__main__":
    _main()
