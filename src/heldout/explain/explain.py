"""Explains some examples of a run, and says whether the explanations depend on what the network has learned."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from heldout.config.explain import ExplainConfig, Method
from heldout.data.card import Card
from heldout.data.errors import PackageMissing
from heldout.data.store import Split, read_split
from heldout.data.subset import fixed_subset
from heldout.explain.methods import Attributions, applies, attribute
from heldout.explain.run import NotExplainable, TrainedRun, data_of, load_run
from heldout.explain.sanity import mean_of, random_networks, rank_correlation
from heldout.models.target_scale import TargetScale
from heldout.record import write_text
from heldout.scoring import REGRESSION
from heldout.tracking import connect
from heldout.tracking.lineage import dvc_hash

logger = logging.getLogger(__name__)

FOLDER = "explain"
# for the records that belong to DVC: a file that it does not know of would make it run their stage again
OWN_ROOT = Path("explained")
RESULT_FILE = "explain.json"


@dataclass(frozen=True)
class Explained:
    """One example: its inputs as prepared, its class, the answer with its probability, and what that rests on.

    target, predicted: indices of classes; of a regression numbers, which have no probability. rank_correlation: of each
    random network's attributions with these; None where one of the two is constant.
    """

    id: str
    inputs: dict[str, np.ndarray]
    target: float
    predicted: float
    probability: float | None
    attributions: Attributions
    rank_correlations: list[float | None]

    @property
    def length(self) -> int | None:
        """Steps or tokens that are no padding."""
        return int(self.inputs["length"]) if "length" in self.inputs else None


@dataclass(frozen=True)
class Explanation:
    """What a method says; rank_correlation: the mean over examples and random networks."""

    method: Method
    examples: list[Explained]
    rank_correlation: float | None


def explain(config: ExplainConfig) -> Path:
    """Writes a page a method and `explain.json`; returns their folder. Adds both to the run in MLflow.

    Raises:
        PackageMissing: the extra `explain` is not installed.
        NotExplainable: the run has no network, or none that a method applies to.
        UserError: the run or its data cannot be read.
    """
    require_captum()
    run = load_run(config.run)
    methods = _methods(run, config)
    split = _examples(data_of(run, config.prepared), config)
    out = _place(config, run)
    explanations = [_explained(method, run, split, config) for method in methods]
    _write(out, run, explanations)
    _track(out, run, explanations, config)
    return out


def require_captum() -> None:
    """Raises PackageMissing without Captum."""
    if find_spec("captum") is None:
        raise PackageMissing(
            "attributions need the package captum; expected the extra `explain`: pip install 'heldout[explain]'."
        )


def _methods(run: TrainedRun, config: ExplainConfig) -> list[Method]:
    wanted = list(Method) if config.methods is None else config.methods
    possible = [method for method in wanted if applies(method, run.network)]
    if config.methods is not None and (missing := [method.name for method in wanted if method not in possible]):
        expected = ", ".join(method.name for method in Method if applies(method, run.network))
        raise NotExplainable(
            f"methods={missing} with {run.name}, a {type(run.network).__name__}: expected one of {expected}."
        )
    return possible


def _examples(folder: Path, config: ExplainConfig) -> Split:
    split = read_split(folder, config.split.name)
    rows = fixed_subset(len(split), config.examples)
    return Split(split.ids[rows], {name: values[rows] for name, values in split.inputs.items()}, split.target[rows])


def _place(config: ExplainConfig, run: TrainedRun) -> Path:
    if config.out is not None:
        return Path(config.out)
    if run.record is None:
        return OWN_ROOT / str(run.run_id)
    if any(dvc_hash(folder) is not None for folder in (run.record, *run.record.parents)):
        return OWN_ROOT / run.record
    return run.record / FOLDER


def _explained(method: Method, run: TrainedRun, split: Split, config: ExplainConfig) -> Explanation:
    """Of each example: the class or number that the trained network answers, by it and by random networks."""
    others = random_networks(run.build, config.seed)
    examples = [_one(method, run, others, split, row, config) for row in range(len(split))]
    mean = mean_of([value for example in examples for value in example.rank_correlations])
    return Explanation(method, examples, mean)


def _one(
    method: Method, run: TrainedRun, others: list[nn.Module], split: Split, row: int, config: ExplainConfig
) -> Explained:
    tensors = {name: torch.from_numpy(values[row : row + 1].copy()) for name, values in split.inputs.items()}
    with torch.inference_mode():
        outputs = run.network(tensors).float()
    predicted, probability, output, unit = _answer(outputs, run.card)
    found = attribute(method, run.network, tensors, output, config)
    inputs = {name: np.asarray(values[row]) for name, values in split.inputs.items()}
    length = int(inputs["length"]) if "length" in inputs else None
    return Explained(
        id=str(split.ids[row]),
        inputs=inputs,
        target=split.target[row].item(),
        predicted=predicted,
        probability=probability,
        # the flow of attention has no unit
        attributions=found if method is Method.attention_rollout else {name: unit * of for name, of in found.items()},
        rank_correlations=[
            rank_correlation(found, attribute(method, other, tensors, output, config), length) for other in others
        ],
    )


def _answer(outputs: Tensor, card: Card) -> tuple[float, float | None, int, float]:
    """Class and probability, or number and None; which of the outputs `[1, outputs]` says it, and what its unit is."""
    if card.task == REGRESSION:
        scale = TargetScale.of(card)
        return float(scale.restored(outputs.numpy())[0]), None, 0, scale.std
    probabilities = torch.softmax(outputs[0], dim=0)
    likeliest = int(probabilities.argmax())
    return likeliest, float(probabilities[likeliest]), likeliest, 1.0


def _write(out: Path, run: TrainedRun, explanations: list[Explanation]) -> None:
    from heldout.explain.figures import figure
    from heldout.report import figures

    for explanation in explanations:
        write_text(out / f"{explanation.method.name}.html", figures.page(figure(explanation, run.card, run.name)))
        logger.info(
            "%s  %s: rank correlation with random weights %s (0: depends on what was learned, 1: does not)",
            run.name,
            explanation.method.name,
            "undefined" if explanation.rank_correlation is None else f"{explanation.rank_correlation:.2f}",
        )
    content = {explanation.method.name: _plain(explanation, run.card) for explanation in explanations}
    write_text(out / RESULT_FILE, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _plain(explanation: Explanation, card: Card) -> dict[str, Any]:
    return {
        "rank_correlation": explanation.rank_correlation,
        "examples": [
            {
                "id": one.id,
                "target": said(one.target, card),
                "predicted": said(one.predicted, card),
                "probability": one.probability,
                "rank_correlations": one.rank_correlations,
                "attributions": {name: values.tolist() for name, values in one.attributions.items()},
            }
            for one in explanation.examples
        ],
    }


def said(answer: float, card: Card) -> str | float:
    """The name of a class; a number as it is."""
    return card.classes[int(answer)] if card.classes else answer


def _track(out: Path, run: TrainedRun, explanations: list[Explanation], config: ExplainConfig) -> None:
    tracker = None if run.run_id is None else connect(config.tracking).find(run.run_id)
    if tracker is None:
        return
    known = {e.method.name: e.rank_correlation for e in explanations if e.rank_correlation is not None}
    tracker.log_metrics({f"explain/{name}_rank_correlation": value for name, value in known.items()}, 0)
    for path in [out / RESULT_FILE, *(out / f"{e.method.name}.html" for e in explanations)]:
        tracker.log_artifact(path, FOLDER)
    tracker.finish()
