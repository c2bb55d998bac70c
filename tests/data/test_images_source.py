"""Images of the user's: how they are found and read, and what is refused or left out by name."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heldout.config.data import Differing, ImageData, SplitConfig, SplitMethod, Unreadable
from heldout.data import scratch
from heldout.data.errors import (
    ColumnMissing,
    ColumnUnusable,
    FileUnreadable,
    PackageMissing,
    SplitImpossible,
)
from heldout.data.prepare import prepare
from heldout.data.sources import images, load_source, user_files_hash
from heldout.data.store import read_split


def picture(path: Path, value: int = 0, mode: str = "RGB", size: tuple[int, int] = (8, 6)) -> Path:
    """A picture with one bright pixel in a corner; size as Pillow has it, width first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", size, value)
    image.putpixel((0, 0), 255)
    image.convert(mode).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(20):
        picture(tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i:02d}-s{i // 4}.png", value=10 * i)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no image")
    return tmp_path / "pets"


@pytest.fixture
def config(folder: Path) -> ImageData:
    return ImageData(name="pets", path=str(folder), size=[6, 8])


def test_a_folder_is_a_class_and_the_path_the_id(config):
    raw = load_source(config)
    assert raw.classes == ["cat", "dog"]
    assert raw.inputs["x"].shape == (20, 3, 6, 8)
    row = raw.ids.tolist().index("dog/03-s0.png")
    assert raw.target[row] == "dog"
    assert raw.inputs["x"][row, :, 0, 0].tolist() == [255, 255, 255]
    assert raw.inputs["x"][row, :, 5, 7].tolist() == [30, 30, 30]


def test_images_are_scaled_and_may_be_grey(config, folder):
    for file in folder.rglob("*.png"):
        picture(file, mode="L", size=(16, 12))
    config.channels = 1
    assert load_source(config).inputs["x"].shape == (20, 1, 6, 8)


def test_jpeg_and_suffixes_in_capitals_are_read(config, folder):
    picture(folder / "cat" / "more.JPG", value=100)
    raw = load_source(config)
    assert int(raw.inputs["x"][raw.ids.tolist().index("cat/more.JPG"), 1, 5, 7]) == pytest.approx(100, abs=3)


def test_a_picture_is_turned_as_its_camera_says(config, folder):
    image = Image.open(picture(folder / "cat" / "turned.jpg", value=0, size=(8, 6)))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(folder / "cat" / "turned.jpg", exif=exif, quality=95)
    raw = load_source(config)
    x = raw.inputs["x"][raw.ids.tolist().index("cat/turned.jpg"), 0]
    assert x[5, 7] > 150 > x[0, 0]


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_without_a_size_pictures_that_are_turned_have_that_which_they_show(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(8):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (30 * i, 0, 0)).save(path, exif=exif)
    shape = (3, 8, 6) if orientation in (6, 8) else (3, 6, 8)
    assert load_source(ImageData(name="p", path=str(tmp_path / "photos"), size=None)).inputs["x"].shape[1:] == shape


def test_a_damaged_file_is_refused_by_name_or_left_out(config, folder, caplog):
    good = (folder / "cat" / "00-s0.png").read_bytes()
    (folder / "cat" / "half.png").write_bytes(good[: len(good) // 2])
    (folder / "dog" / "text.png").write_text("no image")
    with pytest.raises(FileUnreadable, match=r"(?s)2 of 22 files.*half\.png.*text\.png.*data\.unreadable=skip"):
        load_source(config)
    config.unreadable = Unreadable.skip
    with caplog.at_level(logging.WARNING):
        assert len(load_source(config)) == 20
    assert "half.png" in caplog.text
    assert "text.png" in caplog.text


def test_without_a_size_the_first_picture_may_be_damaged_and_left_out(config, folder):
    good = (folder / "cat" / "00-s0.png").read_bytes()
    (folder / "cat" / "00-a.png").write_bytes(good[:50])
    config.size, config.unreadable = None, Unreadable.skip
    assert len(load_source(config)) == 20


def test_nothing_is_left_when_every_file_is_damaged(config, folder):
    for file in folder.rglob("*.png"):
        file.write_text("no image")
    config.unreadable = Unreadable.skip
    with pytest.raises(FileUnreadable, match=r"20 of 20 files"):
        load_source(config)


@pytest.mark.parametrize(
    ("mode", "corner"), [("L", [0, 0, 0]), ("RGBA", [0, 0, 0]), ("LA", [0, 0, 0]), ("CMYK", [0, 0, 0])]
)
def test_other_channels_are_refused_or_converted(config, folder, mode, corner):
    file = picture(folder / "cat" / ("odd.jpg" if mode == "CMYK" else "odd.png"), mode=mode)
    with pytest.raises(FileUnreadable, match=rf"{file.name}: pixels of kind {mode}.*data.other_channels=convert"):
        load_source(config)
    config.other_channels = Differing.convert
    raw = load_source(config)
    assert raw.inputs["x"][raw.ids.tolist().index(f"cat/{file.name}"), :, 5, 7] == pytest.approx(corner, abs=2)


def test_what_is_transparent_becomes_white(config, folder):
    Image.new("RGBA", (8, 6), (9, 9, 9, 0)).save(folder / "cat" / "glass.png")
    config.other_channels = Differing.convert
    raw = load_source(config)
    assert (raw.inputs["x"][raw.ids.tolist().index("cat/glass.png")] == 255).all()


def test_without_a_size_all_must_have_the_same(config, folder):
    config.size = None
    assert load_source(config).inputs["x"].shape == (20, 3, 6, 8)
    picture(folder / "dog" / "large.png", size=(9, 6))
    with pytest.raises(FileUnreadable, match=r"large\.png: 6 x 9 pixels, the first image has 6 x 8"):
        load_source(config)


def test_a_csv_lists_files_with_classes_and_splits(config, folder):
    rows = ["file,label,part"]
    for i, file in enumerate(sorted(folder.rglob("*.png"))):
        rows.append(f"{file.relative_to(folder)},{'uv'[i % 2]},{('train', 'validation', 'test')[i // 2 % 3]}")
    (folder / "list.csv").write_text("\n".join(rows))
    config.path = str(folder / "list.csv")
    config.split = SplitConfig(method=SplitMethod.given, column="part")
    raw = load_source(config)
    assert raw.classes == ["u", "v"]
    assert raw.ids[0] == "cat/00-s0.png"
    assert raw.split[:3].tolist() == ["train", "train", "validation"]


def test_a_listed_file_that_is_not_there_is_named(config, folder):
    (folder / "list.csv").write_text("file,label\ncat/00-s0.png,a\ncat/nowhere.png,b\n")
    config.path = str(folder / "list.csv")
    with pytest.raises(FileUnreadable, match=r"nowhere\.png: no readable image"):
        load_source(config)
    config.file = "picture"
    with pytest.raises(ColumnMissing, match=r"data.file: there is no column 'picture'"):
        load_source(config)


def test_groups_come_from_the_path_and_stay_together(config, tmp_path):
    config.split = SplitConfig(method=SplitMethod.grouped, validation=0.2, test=0.2)
    with pytest.raises(SplitImpossible, match=r"needs data.group_pattern"):
        load_source(config)
    config.group_pattern = r"-s(\d)"
    prepare(config, tmp_path / "out")
    groups = {s: {i[-5] for i in read_split(tmp_path / "out", s).ids} for s in ("train", "validation")}
    assert not groups["train"] & groups["validation"]
    config.group_pattern = r"-x(\d)"
    with pytest.raises(SplitImpossible, match=r"finds nothing in 'cat/00-s0.png'"):
        load_source(config)


def test_folders_may_give_the_split(config, tmp_path):
    for split in ("train", "validation", "test"):
        for i in range(4):
            picture(tmp_path / "parts" / split / "ab"[i % 2] / f"{i}.png", value=i)
    config.path = str(tmp_path / "parts")
    config.split = SplitConfig(method=SplitMethod.given)
    assert prepare(config, tmp_path / "out").counts == {"train": 4, "validation": 4, "test": 4}
    picture(tmp_path / "parts" / "valid" / "a" / "0.png")
    with pytest.raises(ColumnUnusable, match="holds the folders 'valid'; expected only train, validation, test"):
        load_source(config)


def test_files_outside_of_class_folders_are_refused(config, folder):
    picture(folder / "stray.png")
    with pytest.raises(FileUnreadable, match=r"'stray\.png' outside of such folders; expected a folder for each class"):
        load_source(config)


def test_an_empty_folder_is_refused(config, tmp_path):
    (tmp_path / "void" / "a").mkdir(parents=True)
    config.path = str(tmp_path / "void")
    with pytest.raises(FileUnreadable, match=r"no file that ends in \.png, \.jpg, \.jpeg"):
        load_source(config)


def test_without_pillow_the_extra_is_named(config, monkeypatch):
    monkeypatch.setattr(images, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[images\]'"):
        load_source(config)


def test_a_changed_image_is_other_data(config, folder):
    before = user_files_hash(config)
    assert user_files_hash(config) == before
    picture(folder / "cat" / "00-s0.png", value=77)
    assert user_files_hash(config) != before


def test_more_than_memory_is_prepared_to_the_same_bytes(config, tmp_path, monkeypatch):
    card = prepare(config, tmp_path / "memory")
    monkeypatch.setattr(scratch, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(scratch, "BLOCK", 500)
    assert isinstance(load_source(config).inputs["x"], np.memmap)
    assert prepare(config, tmp_path / "file") == card
