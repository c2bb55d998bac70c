"""Tables of mlbench: a small R file of the same make, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdata

from heldout.config.data import MlbenchData
from heldout.data.errors import FileUnreadable, PackageMissing
from heldout.data.sources import load_source, mlbench


def vehicles(n: int = 12) -> pd.DataFrame:
    kinds = pd.Categorical(["van", "bus", "saab"] * (n // 3), categories=["bus", "saab", "van"])
    return pd.DataFrame({"Comp": np.arange(n) * 1.5, "Circ": np.arange(n) + 40.0, "Class": kinds})


@pytest.fixture
def config(tmp_path: Path) -> MlbenchData:
    rdata.write_rda(str(tmp_path / "Vehicle.rda"), {"Vehicle": vehicles()})
    return MlbenchData(name="vehicle", item="Vehicle", folder=str(tmp_path))


def test_the_last_column_is_the_class(config):
    raw = load_source(config)
    assert raw.classes == ["bus", "saab", "van"]
    assert raw.target[:3].tolist() == ["van", "bus", "saab"]
    assert raw.inputs["numeric"][1].tolist() == [1.5, 41.0]
    assert [column["name"] for column in raw.columns] == ["Comp", "Circ"]
    assert raw.ids[0] == "row-1"


def test_without_the_debian_package_it_is_named(config):
    config.folder = "nowhere"
    with pytest.raises(PackageMissing, match=r"data.folder=nowhere.*Debian package r-cran-mlbench.*dpkg-deb -x"):
        load_source(config)


def test_without_the_reader_the_extra_is_named(config, monkeypatch):
    monkeypatch.setattr(mlbench, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[datasets\]'"):
        load_source(config)


def test_an_unknown_frame_is_refused(config):
    config.item = "Car"
    with pytest.raises(FileUnreadable, match=r"data.item=Car: .* has no Car.rda"):
        load_source(config)


def test_a_damaged_file_is_refused(config):
    path = Path(config.folder) / "Vehicle.rda"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FileUnreadable, match="not a readable R file"):
        load_source(config)


def test_texts_among_the_measures_are_refused(config):
    frame = vehicles().assign(Comp=pd.Categorical(["round", "flat"] * 6))
    rdata.write_rda(str(Path(config.folder) / "Vehicle.rda"), {"Vehicle": frame})
    with pytest.raises(FileUnreadable, match="a column holds no numbers"):
        load_source(config)
