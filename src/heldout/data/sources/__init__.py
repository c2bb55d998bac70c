"""Where data comes from: one file a source; importing it registers it."""

from heldout.data.sources import (
    adding,
    audio,
    breast_cancer,
    copying,
    digits,
    food_reviews,
    images,
    japanese_vowels,
    mlbench,
    mnist1d,
    mnist5k,
    pd_speech,
    series,
    spoken_digits,
    table,
    text,
    ucr,
)
from heldout.data.sources._registry import load_source, source, source_names
from heldout.data.sources._user_files import user_files_hash

__all__ = [
    "adding",
    "audio",
    "breast_cancer",
    "copying",
    "digits",
    "food_reviews",
    "images",
    "japanese_vowels",
    "load_source",
    "mlbench",
    "mnist1d",
    "mnist5k",
    "pd_speech",
    "series",
    "source",
    "source_names",
    "spoken_digits",
    "table",
    "text",
    "ucr",
    "user_files_hash",
]
