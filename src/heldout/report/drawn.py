"""What the page shows of models that draw images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heldout.analysis.families import Family
from heldout.analysis.run import Run
from heldout.pictures import BY_EPOCH, DRAWN, NEAREST

# what a picture shows, by its file
CAPTIONS = {
    DRAWN: "drawn at the kept epoch",
    NEAREST: "above, those of them that lie closest to train; below, the images of train that they lie closest to",
    BY_EPOCH: "from the same codes, a row an epoch from the first on",
}
# measure, and what stands above its column
COLUMNS = {
    "copied": "copied from train",
    "closer": "closer to train than validation",
    "precision": "precision",
    "recall": "recall",
    "recall_of_real": "recall of as many real images",
    "critic": "critic prefers validation",
}


@dataclass(frozen=True)
class Drawn:
    """A family with the pictures of one of its runs: caption and base64."""

    family: Family
    seed: int
    pictures: list[tuple[str, str]]


def drawn_by(families: Sequence[Family], runs: Sequence[Run]) -> list[Drawn]:
    """The ranked families, each with the pictures of its first run that left some."""
    found = []
    for family in families:
        of_family = [run for run in runs if run.name == family.name and run.measures is not None]
        if family.rank is None or not of_family:
            continue
        shown = next((run for run in of_family if run.pictures), of_family[0])
        pictures = [(said, shown.pictures[name]) for name, said in CAPTIONS.items() if name in shown.pictures]
        found.append(Drawn(family, shown.seed, pictures))
    return found
