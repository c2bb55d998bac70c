"""Where data comes from: one file a source; importing it registers it."""

from heldout.data.sources import (
    breast_cancer,
    digits,
    food_reviews,
    images,
    japanese_vowels,
    mlbench,
    mnist1d,
    mnist5k,
    pd_speech,
    series,
    table,
    text,
    ucr,
)
from heldout.data.sources._registry import load_source, source, source_names
from heldout.data.sources._user_files import user_files_hash

__all__ = [
    "breast_cancer",
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
    "table",
    "text",
    "ucr",
    "user_files_hash",
]
