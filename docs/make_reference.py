"""Writes the tables of docs/reference/configuration.md from the schema, the files of conf/ and their comments.

python docs/make_reference.py
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml
from omegaconf import OmegaConf

from heldout.config.checks import RULES
from heldout.config.data import Check
from heldout.config.store import GROUPS, PREFIX, STAGES

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "reference" / "configuration.md"
MARK = "<!-- written by docs/make_reference.py; what stands below is changed in src/heldout/config and conf/ -->\n"

TYPES = {Any: "value", int: "whole number", float: "number", bool: "`true` or `false`", str: "text"}
# what PyYAML writes behind a value that stands alone
END_OF_DOCUMENT = "\n...\n"
PLURALS = {Any: "items", int: "whole numbers", float: "numbers", str: "texts"}

# where the name says enough for the code, but not for a page
MEANINGS = {
    "DataConfig.name": "name in reports, in MLflow and of folders",
    "SplitConfig.seed": "the same seed and examples give the same split",
    "FileData.path": "a table: csv (`.csv`, `.tsv`, `.txt`) or parquet file; series: also a .ts file",
    "FileData.encoding": "csv only",
    "ClassifyConfig.label_smoothing": "share of the target that is spread over all classes",
    "OptimizerConfig.weight_decay": "with Adam and SGD an L2 penalty, with AdamW apart from the gradient",
    "AdamConfig.betas": "decay of the running means of the gradient and of its square",
    "SGDConfig.momentum": "share of the last step that is added to the next",
    "SGDConfig.nesterov": "take the gradient ahead of the step",
    "TrainerConfig.max_epochs": "most epochs of a fit",
    "TrainerConfig.batch_size": "examples of a step",
    "TrainerConfig.mode": "whether a low or a high value of `monitor` is better",
    "TrainerConfig.accelerator": "`auto` takes a GPU where there is one",
    "TrainerConfig.devices": "number of devices",
    "QualityConfig.min_examples_per_class": "for `too_few_examples`",
    "LogisticConfig.max_iter": "most iterations of the solver",
    "KNNConfig.neighbors": "neighbours that vote",
    "RandomForestConfig.trees": "number of trees",
    "HistGradientBoostingConfig.learning_rate": "what each round adds is shrunk by this",
    "TransferConfig.name": "as reports may show it",
    "CompareConfig.out": "folder of the comparison",
    "ExplainConfig.methods": "`integrated_gradients`: gradients along the path from the mean of train to the example; "
    "`occlusion`: the fall of the logit when a part is hidden; `attention_rollout`: the flow of attention through a "
    "transformer",
    "ExplainConfig.examples": "number of examples",
}

# what is said before the keys of a group
INTRODUCTIONS = {
    "data": "For a data set of your own see [Bring your own table](../how-to/bring-your-own-table.md).",
    "quality": "The policy of `validate`. A check of level `fail` ends the pipeline, `warn` is reported, `off` is not "
    "computed. `at_most` is the largest value that passes: `quality.missing_values.at_most=0.8`.",
    "model": "Networks first, then baselines. `family`, which every file has, is the name that reports show.",
    "optimizer": "For networks. The learning rate is read from the model's file, since a good value depends on the "
    "family; one that is set here comes before it.",
    "schedule": "A factor on the learning rate, step by step.",
    "transfer": "See [Begin with trained weights](../how-to/transfer-learning.md).",
    "tracking": "See [Use an MLflow server, or none](../how-to/mlflow-server.md).",
    "sweep": "Of `-m hydra/sweeper=ray_tune`: see [Search for settings](../how-to/sweeps.md).",
    "cluster": "Where the trials of a sweep run.",
    "study": "Of `python pipelines/study.py`: see [Answer a question with a study](../how-to/studies.md).",
    "analysis": "Reasons for the values stand beside them in `conf/analysis/default.yaml`; the rules they belong to "
    "are in [How the verdict on a model is reached](../explanation/verdicts.md).",
}


@dataclass(frozen=True)
class Key:
    """A row of a table: a key below its group, and what is said of it."""

    name: str
    kind: str
    default: str
    meaning: str


def render() -> str:
    """What belongs below the mark."""
    parts = ["## Stages\n\nThe top level of each stage's config. A key that is a group is set as `group=option`.\n"]
    parts += [_stage(name, schema) for name, schema in STAGES.items()]
    parts += [_group(group, schemas) for group, schemas in GROUPS.items()]
    return "\n".join(parts)


def keys_of(schema: type, values: Any, parent: str = "") -> Iterator[Key]:
    """The keys of a schema, nested ones dotted, with the defaults that `values` holds."""
    hints = get_type_hints(schema)
    for field in fields(schema):
        kind = hints[field.name]
        value = values._get_node(field.name)
        if field.name in GROUPS and is_dataclass(kind):
            yield Key(parent + field.name, f"[group](#{field.name})", "", "")
        elif is_dataclass(kind) and kind is not Check:
            yield from keys_of(kind, value, f"{parent}{field.name}.")
        else:
            meaning = _meaning(schema, field.name, kind)
            yield Key(parent + field.name, _kind(kind, field.name), _default(value, kind), meaning)


def _stage(name: str, schema: type) -> str:
    content = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    chosen: dict[str, str] = {}
    for item in content.pop("defaults"):
        # a group without a default has null there
        chosen |= {key: of for key, of in item.items() if of is not None} if isinstance(item, dict) else {}
    content.pop("hydra", None)
    values = OmegaConf.merge(OmegaConf.structured(schema), content)
    rows = [
        replace(key, default=f"`{chosen[key.name]}`") if key.name in chosen else key for key in keys_of(schema, values)
    ]
    return f"### `{name}`\n\n{_first_line(schema)}\n\n{_table(rows)}"


def _group(group: str, schemas: dict[str, type]) -> str:
    options = {}
    for path in sorted((CONF / group).glob("*.yaml")):
        comments = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            comments.append(line.removeprefix("#").strip())
        options[path.stem] = " ".join(comments).partition(" Any csv")[0].partition(" python pipelines/study.py")[0]
    text = f"## `{group}`\n\n"
    if group in INTRODUCTIONS:
        text += f"{INTRODUCTIONS[group]}\n\n"
    if len(options) > 1 and not any(options.values()):
        text += f"Options: {', '.join(f'`{name}`' for name in options)}.\n\n"
    elif len(options) > 1:
        text += "| option | |\n|---|---|\n"
        text += "".join(f"| `{name}` | {_cell(said)} |\n" for name, said in options.items()) + "\n"
    said: set[str] = set()
    for name, schema in schemas.items():
        rows = [key for key in keys_of(schema, _values(group, name, schema)) if _is_new(key, schema, schemas, said)]
        # the name of the option itself
        rows = [key for key in rows if key.default != f"`{name}`"]
        if len(schemas) > 1:
            first = "" if schema.__doc__ is None or schema.__doc__.startswith(schema.__name__) else _first_line(schema)
            text += f"**`{name}`** {first}".rstrip() + "\n\n"
        text += _table(rows) + "\n" if rows else ""
    return text.rstrip("\n") + "\n"


def _is_new(key: Key, schema: type, schemas: dict[str, type], said: set[str]) -> bool:
    """Whether a key is not told of already with a schema that this one extends, with the same default."""
    line = f"{key.name} {key.kind} {key.default} {key.meaning}"
    extends = any(other is not schema and issubclass(schema, other) for other in schemas.values())
    known = extends and line in said
    said.add(line)
    return not known


def _values(group: str, name: str, schema: type) -> Any:
    """The schema's values, with those of the file that shows its defaults."""
    values = OmegaConf.structured(schema)
    candidates = (CONF / group / f"{stem}.yaml" for stem in (name, "default"))
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        return values
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert f"{PREFIX}{name}" in content.pop("defaults"), file
    return OmegaConf.merge(values, content)


def _meaning(schema: type, name: str, kind: Any) -> str:
    owners = [one for one in schema.__mro__ if name in inspect.get_annotations(one)]
    said = (said_of(owner, name) for owner in owners)
    text = next((one for one in said if one), "")
    choices = _enum(kind)
    if choices is not None:
        told = "; ".join(f"`{value}`: {said}" for value, said in _members(choices).items() if said)
        text = "; ".join(part for part in (text or _first_line(choices).rstrip("."), told) if part)
    return text


def said_of(schema: type, name: str) -> str:
    """What this file and the schema itself say of a key that this very class declares."""
    parts = (MEANINGS.get(f"{schema.__name__}.{name}", ""), comment_above(schema, name))
    return "; ".join(part for part in parts if part)


def comment_above(schema: type, name: str) -> str:
    """The comment above a field in the source of its class, as one line."""
    lines = inspect.getsource(schema).splitlines()
    at = next(i for i, line in enumerate(lines) if re.match(rf"    {name}\s*:", line))
    comment: list[str] = []
    while lines[at - 1].strip().startswith("#"):
        at -= 1
        comment.insert(0, lines[at].strip().removeprefix("#").strip())
    return " ".join(comment)


def _members(enum: type[Enum]) -> dict[str, str]:
    found = re.findall(r"^    (\w+) = \"\w+\"(?:  # (.+))?$", inspect.getsource(enum), flags=re.MULTILINE)
    return dict(found)


def _enum(kind: Any) -> type[Enum] | None:
    return kind if isinstance(kind, type) and issubclass(kind, Enum) else None


def _kind(kind: Any, name: str) -> str:
    if kind is Check:
        return "`level` and `at_most`"
    expected = f", {RULES[name][1]}" if name in RULES and "list" not in RULES[name][1] else ""
    return _kind_name(kind) + expected


def _kind_name(kind: Any) -> str:
    enum, origin, arguments = _enum(kind), get_origin(kind), get_args(kind)
    if enum is not None:
        return " ".join(f"`{member.name}`" for member in enum)
    if origin in (Union, types.UnionType):
        return " or ".join("`null`" if one is types.NoneType else _kind_name(one) for one in arguments)
    if origin is list:
        return f"list of {PLURALS.get(arguments[0]) or _kind_name(arguments[0])}"
    if origin is dict:
        return f"{_kind_name(arguments[1])} by name"
    return TYPES[kind]


def _default(node: Any, kind: Any) -> str:
    if node is None or node._is_missing():
        return "required" if not is_dataclass(kind) else ""
    if node._is_interpolation():
        return "`" + re.sub(r"^\$\{(?:oc\.select:)?([\w.]+)(?:,null)?\}$", r"\1", str(node._value())) + "`"
    if kind is Check:
        return f"`{node.level.name}`, `{node.at_most:g}`"
    value = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node._value()
    if isinstance(value, Enum):
        value = value.name
    text = yaml.safe_dump(value, default_flow_style=True, width=200)
    return f"`{text.removesuffix(END_OF_DOCUMENT).strip()}`"


def _first_line(schema: type) -> str:
    return (inspect.getdoc(schema) or "").splitlines()[0]


def _table(keys: list[Key]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key.name}` | {_cell(key.kind)} | {_cell(key.default)} | {_cell(key.meaning)} |" for key in keys]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(f"{head}{mark}\n{render()}", encoding="utf-8")


if __name__ == "__main__":
    main()
