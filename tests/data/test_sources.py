"""The shipped sources hold what their publishers say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from heldout.config.data import DataConfig, Modality
from heldout.data.errors import FileUnreadable
from heldout.data.raw import RawData
from heldout.data.sources import load_source, source, source_names
from heldout.data.sources._packages import package_file
from heldout.data.sources.breast_cancer import COLUMNS
from heldout.data.sources.japanese_vowels import read_ts

MODALITIES = {
    "digits": Modality.image,
    "mnist1d": Modality.series,
    "mnist5k": Modality.image,
    "breast_cancer": Modality.table,
    "japanese_vowels": Modality.series,
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, RawData]:
    return {
        name: load_source(DataConfig(name=name, source=name, modality=modality))
        for name, modality in MODALITIES.items()
    }


def test_all_sources_are_registered():
    assert set(source_names()) == {*MODALITIES, "table"}


@pytest.mark.parametrize("name", MODALITIES)
def test_every_source_states_its_origin(loaded, name):
    raw = loaded[name]
    assert raw.license
    assert raw.citation
    assert raw.description
    dtypes = {name: array.dtype.name for name, array in raw.inputs.items()}
    allowed = {
        Modality.image: {"x": "uint8"},
        Modality.series: {"x": "float32", "length": "int32"},
        Modality.table: {"numeric": "float32", "categorical": "int32"},
    }
    assert dtypes.items() <= allowed[MODALITIES[name]].items()


def test_digits_are_those_of_scikit_learn(loaded):
    from sklearn.datasets import load_digits

    bunch = load_digits()
    raw = loaded["digits"]
    assert raw.inputs["x"].shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(np.rint(raw.inputs["x"][:, 0] / 255 * 16), bunch.images)
    assert raw.inputs["x"].max() == 255
    np.testing.assert_array_equal(raw.class_indices(), bunch.target)


def test_breast_cancer_is_that_of_scikit_learn(loaded):
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    raw = loaded["breast_cancer"]
    assert list(bunch.feature_names) == list(COLUMNS) == [column["name"] for column in raw.columns]
    assert list(bunch.target_names) == raw.classes
    np.testing.assert_array_equal(raw.inputs["numeric"], bunch.data.astype(np.float32))
    np.testing.assert_array_equal(raw.class_indices(), bunch.target)


def test_mnist5k_has_500_images_of_each_digit(loaded):
    raw = loaded["mnist5k"]
    assert raw.inputs["x"].shape == (5000, 1, 28, 28)
    assert (raw.inputs["x"].min(), raw.inputs["x"].max()) == (0, 255)
    assert set(Counter(raw.target.tolist()).values()) == {500}
    # the strokes of a zero leave the centre free, those of a one go through it
    centre = raw.inputs["x"][:, 0, 12:16, 12:16].mean(axis=(1, 2))
    assert centre[raw.target == "0"].mean() < 20 < 150 < centre[raw.target == "1"].mean()


def test_mnist1d_is_the_published_split(loaded):
    raw = loaded["mnist1d"]
    assert raw.inputs["x"].shape == (5000, 1, 40)
    assert Counter(raw.split.tolist()) == {"train": 4000, "test": 1000}
    assert set(Counter(raw.target.tolist()).values()) == {500}
    # the generator standardises over all values
    assert raw.inputs["x"].mean() == pytest.approx(0, abs=1e-4)
    assert raw.inputs["x"].std() == pytest.approx(1, abs=1e-4)


def test_mnist1d_is_the_same_each_time_and_leaves_the_global_seed_alone(loaded):
    np.random.seed(5)
    again = load_source(DataConfig(name="mnist1d", source="mnist1d", modality=Modality.series))
    drawn = np.random.rand()
    np.random.seed(5)
    assert drawn == np.random.rand()
    np.testing.assert_array_equal(again.inputs["x"], loaded["mnist1d"].inputs["x"])


def test_japanese_vowels_are_those_of_the_archive(loaded):
    raw = loaded["japanese_vowels"]
    x, length = raw.inputs["x"], raw.inputs["length"]
    train = raw.split == "train"
    assert x.shape == (640, 12, 29)
    assert (length.min(), length.max()) == (7, 29)
    assert Counter(raw.target[train].tolist()) == {str(speaker): 30 for speaker in range(1, 10)}
    assert (~train).sum() == 370
    assert raw.classes == [str(speaker) for speaker in range(1, 10)]
    # first values of the published training file
    np.testing.assert_allclose(x[0, 0, :3], [1.860936, 1.891651, 1.939205], rtol=1e-6)
    assert length[0] == 20
    padding = np.arange(29) >= length[:, None]
    assert (x.transpose(0, 2, 1)[padding] == 0).all()
    assert (np.abs(x.transpose(0, 2, 1)[~padding]).max(axis=1) > 0).all()


def test_a_ts_file_without_data_is_refused(tmp_path):
    (tmp_path / "x.ts").write_text("@problemName x\n1,2:a\n")
    with pytest.raises(FileUnreadable, match="no line '@data'"):
        read_ts(tmp_path / "x.ts")


@pytest.mark.parametrize(
    ("package", "message"), [("no_such_package", "is not installed"), ("numpy", "lacks it in the installed version")]
)
def test_a_package_without_the_data_is_named(package, message):
    with pytest.raises(FileUnreadable, match=message):
        package_file(package, "data.csv")


def test_a_name_can_be_registered_once():
    with pytest.raises(ValueError, match="'digits' is registered already"):
        source("digits")(lambda config: None)
