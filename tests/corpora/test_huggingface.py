"""Hugging Face `datasets`: parquet, audiofolder and saved folders where the package is there, else its absence."""

from __future__ import annotations

import importlib
import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speech_analogy.corpora import CorpusReading, import_corpus, read_corpus
from speech_analogy.corpora import huggingface as reader
from speech_analogy.corpora.audio import load_audio
from speech_analogy.errors import ConfigError, DataError
from tests.corpora.sounds import write_tone

try:
    datasets: Any = importlib.import_module("datasets")
except ImportError:
    datasets = None
needs_datasets = pytest.mark.skipif(datasets is None, reason="needs the package `datasets`")


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if datasets is not None:
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(reader, "import_module", absent)
    with pytest.raises(DataError, match="the package `datasets` is not installed; pip install datasets"):
        read_corpus("huggingface", tmp_path)


def write_parquet(folder: Path) -> Path:
    """Two splits of bytes in parquet, as corpora on the hub have it."""
    for split, names in {"train": ["a", "b"], "test": ["c"]}.items():
        audio = [{"bytes": write_tone(folder / f"{name}.flac").read_bytes(), "path": f"{name}.flac"} for name in names]
        columns = {"audio": audio, "sentence": [f"say {name}" for name in names], "speaker_id": [7] * len(names)}
        extra = {"domain": ["d"] * len(names), "age": [30] * len(names)}
        (folder / "data").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(columns | extra).to_parquet(folder / "data" / f"{split}-00000.parquet")
    return folder / "data"


def read(path: Path, tmp_path: Path, **options: object) -> CorpusReading:
    return read_corpus("huggingface", path, progress=False, decode_to=tmp_path / "unpacked", **options)


@needs_datasets
def test_parquet(tmp_path: Path) -> None:
    path = write_parquet(tmp_path)
    reading = read(path, tmp_path)
    assert reading.problems == []
    assert {cut.id: (cut.supervisions[0].text, cut.custom["split"]) for cut in reading.cuts} == {
        "train-000000": ("say a", "train"), "train-000001": ("say b", "train"), "test-000000": ("say c", "test"),
    }  # fmt: skip
    cut = reading.cuts["test-000000"]
    assert (cut.supervisions[0].speaker, cut.custom["domain"], cut.custom["age"], cut.duration) == ("7", "d", 30, 0.5)
    assert Path(cut.recording.sources[0].source) == (tmp_path / "unpacked/test-000000.flac").resolve()
    assert [cut.id for cut in read(path, tmp_path, split="test").cuts] == ["test-000000"]
    out = tmp_path / "out/cuts.jsonl.gz"
    import_corpus("huggingface", path, out, options={"progress": False})
    assert len(list((tmp_path / "out/cuts_audio").iterdir())) == 3


@needs_datasets
def test_a_row_without_a_speaker_has_an_unknown_one(tmp_path: Path) -> None:
    audio = [{"bytes": write_tone(tmp_path / f"{name}.flac").read_bytes(), "path": f"{name}.flac"} for name in "ab"]
    columns = {"audio": audio, "sentence": ["one", "two"], "speaker_id": ["ann", None]}
    (tmp_path / "data").mkdir()
    datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "data" / "train-00000.parquet")
    found = [cut.supervisions[0].speaker for cut in read(tmp_path / "data", tmp_path).cuts]
    assert found == ["ann", "unknown"]


@needs_datasets
def test_saved_folder(tmp_path: Path) -> None:
    audio = [{"bytes": write_tone(tmp_path / "a.wav").read_bytes(), "path": None}]
    datasets.Dataset.from_dict({"audio": audio, "text": ["hello"]}).save_to_disk(tmp_path / "saved")
    (cut,) = read(tmp_path / "saved", tmp_path).cuts
    assert (cut.supervisions[0].text, cut.custom["domain"], cut.duration) == ("hello", "saved", 0.5)
    assert cut.recording.sources[0].source.endswith(".wav")  # known by its first bytes


@needs_datasets
@pytest.mark.skipif(importlib.util.find_spec("torchcodec") is not None, reason="needs the absence of torchcodec")
def test_the_reason_behind_a_general_phrase_is_given(tmp_path: Path) -> None:
    write_tone(tmp_path / "folder/a.wav")
    (tmp_path / "folder/metadata.csv").write_text("file_name,text\na.wav,hello\n")
    with pytest.raises(DataError, match=r"cannot load it: .*torchcodec.*; a plain folder .* the kind `folder`"):
        read(tmp_path / "folder", tmp_path)


@needs_datasets
def test_without_a_hub_a_name_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://localhost:1")
    started = time.monotonic()
    with pytest.raises(DataError, match="some/corpus: no such folder, and no hub answers at localhost"):
        read(Path("some/corpus"), tmp_path)
    assert time.monotonic() - started < 10


@needs_datasets
def test_faults(tmp_path: Path) -> None:
    path = write_parquet(tmp_path)
    with pytest.raises(ConfigError, match=r"split: the dataset has no such split \(found 'dev'\); splits are: "):
        read(path, tmp_path, split="dev")
    with pytest.raises(ConfigError, match="text_column: the dataset has no column words; columns are: audio, sentence"):
        read(path, tmp_path, text_column="words")
    with pytest.raises(ConfigError, match=r"decode_to: .* must be unpacked"):
        read_corpus("huggingface", path, progress=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: `datasets` cannot load it"):
        read(tmp_path / "empty", tmp_path)


@needs_datasets
def test_audio_and_text_of_a_row_never_part(tmp_path: Path) -> None:
    """Ids that two splits share or one has twice, that differ by `/` and `-` or by case alone, or that are null."""
    (tmp_path / "data").mkdir()
    for split, ids in {"train": ["x", "a/b", "a-b", "A-B", None, None], "test": ["x", "x", "a/b"]}.items():
        pitches = [300 + 50 * number + (400 if split == "test" else 0) for number in range(len(ids))]
        audio = []
        for pitch in pitches:
            path = write_tone(tmp_path / f"{split}-{pitch}.flac", hertz=pitch)
            audio.append({"bytes": path.read_bytes(), "path": path.name})
        texts = [f"hertz {pitch}" for pitch in pitches]
        rows = {"audio": audio, "text": texts, "id": ids, "language": [None] * len(ids)}
        datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "data" / f"{split}-00000.parquet")
    reading = read(tmp_path / "data", tmp_path)
    cuts = list(reading.cuts)
    assert reading.problems == []
    assert len({cut.id for cut in cuts}) == len(cuts) == 9
    assert "None" not in {cut.id for cut in cuts} | {cut.supervisions[0].language for cut in cuts}
    for cut in cuts:
        spectrum = np.abs(np.fft.rfft(load_audio(cut)))
        hertz = np.argmax(spectrum) / cut.duration
        assert cut.supervisions[0].text == f"hertz {round(hertz / 50) * 50}"
