"""CTranslate2 transcribes as torch does, from models converted once, in any window and any batch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lhotse import CutSet
from transformers import WhisperTokenizer

from speech_analogy.corpora.audio import load_audio
from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.recognisers import loading as backends
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.loading import backend_name, choose_backend, load_transcriber
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.whisper import ctranslate2_model
from speech_analogy.recognisers.whisper.ctranslate2_format import read_variables, to_hugging_face
from speech_analogy.recognisers.whisper.ctranslate2_model import CTranslate2Transcriber, convert, converted_path
from speech_analogy.recognisers.whisper.front_end import token_limit
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from tests.conftest import threads_of_a_new_thread

pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
AUTO = DecodingOptions(backend="auto")
FLOAT32 = DecodingOptions(backend="ctranslate2", compute="float32")
ENOUGH_S = 1e9


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ctranslate2"


@pytest.fixture(scope="module")
def tiny(tiny_en: str) -> WhisperRecogniser:
    return WhisperRecogniser(resolve_weights(tiny_en))


@pytest.fixture(scope="module")
def clips(prompts: CutSet) -> tuple[list[np.ndarray], list[float]]:
    """Four prompts of 1 to 3 s."""
    cuts = sorted((cut for cut in prompts if 1 < cut.duration < 3), key=lambda cut: cut.id)[:4]
    return [load_audio(cut) for cut in cuts], [cut.duration for cut in cuts]


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, int(16_000 * seconds)).astype(np.float32)


def test_converted_weights_are_the_folders(small_whisper: Path, cache: Path) -> None:
    """What CTranslate2's converter writes, read back by our own reader, is every tensor bit for bit."""
    file = convert(small_whisper) / "model.bin"
    found = to_hugging_face(read_variables(memoryview(file.read_bytes()), file), file)
    expected = WhisperRecogniser(small_whisper).model.state_dict()
    expected.pop("proj_out.weight")
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name


def test_a_folder_is_converted_once_and_a_changed_one_anew(small_whisper: Path, cache: Path, tmp_path: Path) -> None:
    first = convert(small_whisper)
    written = (first / "model.bin").stat().st_mtime_ns
    copy = tmp_path / "copy"
    shutil.copytree(small_whisper, copy)
    (copy / "provenance.json").write_text("{}")  # not what the model is made of
    assert convert(copy) == first
    assert (first / "model.bin").stat().st_mtime_ns == written
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(weights))
    assert converted_path(copy) != first
    assert [path.name for path in cache.iterdir()] == [first.name]


def test_cache_keeps_the_latest_used(
    small_whisper: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate2_model, "CONVERSIONS_KEPT", 2)
    folders = []
    for index in range(3):
        folder = tmp_path / str(index)
        shutil.copytree(small_whisper, folder)
        (folder / "tokenizer_config.json").write_text(
            (folder / "tokenizer_config.json").read_text() + "\n" * index, encoding="utf-8"
        )
        folders.append(folder)
    first, second = convert(folders[0]), convert(folders[1])
    os.utime(first, (0, 0))
    os.utime(second, (1, 1))
    convert(folders[0])  # used again
    third = convert(folders[2])
    assert sorted(cache.iterdir()) == sorted([first, third])


def test_broken_folder_is_one_error_and_leaves_nothing(small_whisper: Path, cache: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(small_whisper, broken)
    (broken / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match="broken") as caught:
        convert(broken)
    assert "\n" not in str(caught.value)
    assert not list(cache.iterdir())


def test_float32_transcribes_as_torch_does(
    tiny: WhisperRecogniser, cache: Path, clips: tuple[list[np.ndarray], list[float]]
) -> None:
    waves, durations = clips
    theirs = load_transcriber(tiny.folder, FLOAT32)
    features = tiny.features(waves, 30.0)
    assert torch.equal(theirs.features(waves, 30.0), features)
    assert theirs.decode(features, durations) == tiny.decode(features, durations)


def _float32(folder: Path) -> CTranslate2Transcriber:
    found = load_transcriber(folder, FLOAT32)
    assert isinstance(found, CTranslate2Transcriber)
    return found


def test_trimmed_windows_give_torchs_tokens(small_whisper: Path, cache: Path) -> None:
    """Random weights never stop by themselves: the same tokens to the very cap, row by row."""
    ours, theirs = WhisperRecogniser(small_whisper), _float32(small_whisper)
    durations = [0.5, 1.5, 1.0]
    features = ours.features([_noise(seconds, seed) for seed, seconds in enumerate(durations)], 2.0)
    rows = theirs._rows(theirs._submit(features, durations, beams=1))
    with torch.inference_mode():
        assert rows == ours.greedy(features, ours.limits(durations))
    assert [len(row) for row in rows] == [token_limit(duration) for duration in durations]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_long_utterance_may_have_more_tokens_than_half_of_whispers_448(
    small_whisper: Path, cache: Path, beams: int
) -> None:
    theirs, durations = _float32(small_whisper), [0.5, 29.0]
    rows = theirs._rows(theirs._submit(theirs.features([_noise(0.5), _noise(1.5)], 30.0), durations, beams))
    assert [len(row) for row in rows] == [token_limit(0.5), token_limit(29.0)]
    assert token_limit(29.0) > 448 // 2


@pytest.mark.parametrize("compute", ["int8", "float32"])
def test_batch_equals_one_by_one(
    tiny: WhisperRecogniser, cache: Path, clips: tuple[list[np.ndarray], list[float]], compute: str
) -> None:
    waves, durations = clips
    theirs = load_transcriber(tiny.folder, DecodingOptions(backend="ctranslate2", compute=compute))  # type: ignore[arg-type]
    features = theirs.features(waves, 30.0)
    together = theirs.decode(features, durations)
    alone = [theirs.decode(features[i : i + 1], durations[i : i + 1])[0] for i in range(len(waves))]
    assert together == alone


def test_batches_come_back_in_order(small_whisper: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More batches than may wait, the costliest first; they differ in how many tokens they may have."""
    theirs = _float32(small_whisper)
    monkeypatch.setattr(theirs, "texts", lambda rows: [str(len(row)) for row in rows])
    durations = [float(12 - number) for number in range(12)]
    feed = [(theirs.features([_noise(1.0)], duration + 1), [duration]) for duration in durations]
    assert list(theirs.decode_all(feed)) == [[str(token_limit(duration))] for duration in durations]


def test_torch_keeps_its_threads(small_whisper: Path, cache: Path) -> None:
    """CTranslate2 sets OpenMP's number, which is torch's too: whoever trains after decoding would do so on one core."""

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        transcriber = _float32(small_whisper)
        assert (torch.get_num_threads(), threads_of_a_new_thread()) == (3, 3)
        transcriber.decode(torch.zeros(2, 80, 200), [2.0, 2.0])
        assert (torch.get_num_threads(), threads_of_a_new_thread()) == (3, 3)
    finally:
        torch.set_num_threads(before)


def test_weights_in_memory_are_the_ones_that_are_heard(small_whisper: Path, cache: Path) -> None:
    ours = WhisperRecogniser(small_whisper)
    before = ours.decode(ours.features([_noise(1.0)], 2.0), [1.0])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in ours.model.state_dict().items():
            if "layers" in name:
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    held = {name: tensor.clone() for name, tensor in ours.model.state_dict().items()}
    theirs = load_transcriber(ours, FLOAT32)
    assert all(torch.equal(tensor, held[name]) for name, tensor in ours.model.state_dict().items())
    features = ours.features([_noise(1.0)], 2.0)
    expected = ours.decode(features, [1.0])
    assert expected != before
    assert theirs.decode(features, [1.0]) == expected
    assert not cache.exists()  # nothing is kept of it


def test_converting_in_memory_loads_no_second_tokenizer(
    small_whisper: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = WhisperRecogniser(small_whisper)
    loads: list[object] = []
    load = WhisperTokenizer.from_pretrained.__func__
    monkeypatch.setattr(
        WhisperTokenizer,
        "from_pretrained",
        classmethod(lambda *names, **options: loads.append(names) or load(*names, **options)),
    )
    theirs = load_transcriber(ours, FLOAT32)
    assert theirs.tokenizer is ours.tokenizer
    assert not loads


@pytest.mark.parametrize(
    ("window_s", "on_cpu", "installed", "converted", "expected"),
    [
        (1.0, True, True, False, "torch"),
        (backends.CONVERSION_REPAID_S, True, True, False, "ctranslate2"),
        (1.0, True, True, True, "ctranslate2"),
        (ENOUGH_S, False, True, True, "torch"),
        (ENOUGH_S, True, False, True, "torch"),
    ],
)
def test_auto(window_s: float, on_cpu: bool, installed: bool, converted: bool, expected: str) -> None:
    assert choose_backend(window_s, on_cpu=on_cpu, installed=installed, converted=converted) == expected


def test_auto_takes_the_converted_model(small_whisper: Path, cache: Path) -> None:
    assert backend_name(load_transcriber(small_whisper, AUTO, window_s=1.0)) == "torch"
    convert(small_whisper)
    assert backend_name(load_transcriber(small_whisper, AUTO, window_s=1.0)) == "ctranslate2-int8"
    assert backend_name(load_transcriber(small_whisper)) == "torch"


def test_what_cannot_be_had_is_said(small_whisper: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="device"):
        load_transcriber(small_whisper, DecodingOptions(backend="ctranslate2", device="cuda"))
    monkeypatch.setattr(backends, "ctranslate2_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"backend.*pip install ctranslate2"):
        load_transcriber(small_whisper, DecodingOptions(backend="ctranslate2"))
    assert backend_name(load_transcriber(small_whisper, AUTO, window_s=ENOUGH_S)) == "torch"
