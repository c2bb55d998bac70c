"""The shipped data groups prepare, and pass the shipped policy honestly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.data.prepare import prepare
from heldout.data.quality import check
from heldout.data.store import read_split

# what the policy warns of, and why that is known: the outer pixels of these images are never written on; one hand's
# movements, and days of one country's demand, are smooth and alike; names of menus are the same in both languages
KNOWN = {
    "digits": ["constant_features"],
    "mnist5k": ["constant_features"],
    "gunpoint": ["near_duplicates"],
    "italy_power_demand": ["near_duplicates"],
    "jupyterlab_fr": ["untranslated"],
}
COUNTS = {
    "digits": (1079, 359, 359),
    "mnist1d": (3200, 800, 1000),
    "mnist5k": (3000, 1000, 1000),
    "breast_cancer": (343, 113, 113),
    "japanese_vowels": (216, 54, 370),
    "gunpoint": (40, 10, 150),
    "italy_power_demand": (53, 14, 1029),
    "basic_motions": (32, 8, 40),
    "pd_speech": (150, 51, 51),
    "food_reviews": (3200, 800, 1000),
    "jupyterlab_fr": (2229, 473, 471),
    "spoken_digits": (480, 160, 160),
    "adding": (3000, 1000, 1000),
    "copying": (3000, 1000, 1000),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_shipped_data_set_prepares_and_passes(tmp_path, name):
    with hydra_session():
        config = to_stage(compose_stage("validate", [f"data={name}"]))
    card = prepare(config.data, tmp_path / name)
    assert (card.counts["train"], card.counts["validation"], card.counts["test"]) == COUNTS[name]
    assert card.name in (name, f"{name}-50"), "generated ones bear their length"
    report = check(tmp_path / name, config.quality)
    assert not report.failed
    assert [one.check for one in report.warnings] == KNOWN.get(name, [])


def test_the_documented_table_of_ones_own_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Follows docs/how-to/bring-your-own-table.md: its csv, its yaml, then prepare and validate."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-table.md"
    blocks: dict[str, str] = {}  # the first of each language
    for block in page.read_text().split("```")[1::2]:
        blocks.setdefault(*block.split("\n", 1))
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "patients.csv").write_text(more_rows(blocks["csv"]))
    conf = Path(__file__).parents[2] / "conf"
    (tmp_path / "conf").symlink_to(make_conf(tmp_path / "own", conf, blocks["yaml"]))
    monkeypatch.chdir(tmp_path)
    with hydra_session():
        config = to_stage(compose_stage("validate", ["data=my"]))
    card = prepare(config.data, tmp_path / "my")
    assert [column["name"] for column in card.numeric_columns] == ["age", "pressure"]
    assert [column["name"] for column in card.categorical_columns] == ["smoker", "ward"]
    assert card.classes == ["healthy", "ill"]
    assert not check(tmp_path / "my", config.quality).failed
    assert len(read_split(tmp_path / "my", "train")) == card.counts["train"]


def more_rows(example: str) -> str:
    """The header and rows of the page, repeated with other ids and values until a split is possible."""
    header, *rows = example.strip().split("\n")
    lines = [header]
    for i in range(200):
        patient, admitted, age, *rest = rows[i % len(rows)].split(",")
        age = str(int(age) + i) if age else ""
        lines.append(",".join([f"{patient}-{i}", admitted, age, *rest]))
    return "\n".join(lines) + "\n"


def make_conf(folder: Path, shipped: Path, own: str) -> Path:
    shutil.copytree(shipped, folder)
    (folder / "data" / "my.yaml").write_text(own)
    return folder
