"""Ratings as examples: who rated what."""

from __future__ import annotations

from typing import Any

import numpy as np

from heldout.data.card import Column
from heldout.data.errors import DataError, TargetUnusable, shown
from heldout.data.raw import RawData


class PairRepeated(DataError):
    """A user has rated an item twice."""


def ratings(
    users: np.ndarray, items: np.ndarray, values: np.ndarray, scale: list[float] | None, **about: Any
) -> RawData:
    """An example a rating, from names of users and items, text [n], and numbers float64 [n]; named after the pair.

    Raises:
        PairRepeated: a pair occurs twice.
        TargetUnusable: a rating lies outside of the scale.
    """
    ids = np.char.add(np.char.add(users, "/"), items)
    found, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        repeated = found[counts > 1]
        raise PairRepeated(
            f"{len(repeated)} pairs of a user and an item are rated more than once: {shown(repeated)}; expected one "
            "rating a pair, or validation would hold what train has seen. Keep the last of them, or their mean."
        )
    if scale is not None:
        outside = np.flatnonzero((values < scale[0]) | (values > scale[1]))
        if len(outside):
            first = outside[0]
            raise TargetUnusable(
                f"{len(outside)} ratings lie outside of data.scale={scale}, first {values[first]:g} of '{ids[first]}'; "
                "expected ratings within. Mend them, or the scale."
            )
    columns, codes = zip(*(_coded(name, of) for name, of in (("user", users), ("item", items))), strict=True)
    return RawData(
        ids=ids,
        inputs={"categorical": np.stack(codes, axis=1)},
        target=values,
        classes=[],
        columns=list(columns),
        ratings=True,
        **about,
    )


def _coded(name: str, values: np.ndarray) -> tuple[Column, np.ndarray]:
    """A column with its categories, and codes int32 [n] from 1."""
    categories, codes = np.unique(values, return_inverse=True)
    return Column(name=name, kind="categorical", categories=categories.tolist()), codes.astype(np.int32) + 1
