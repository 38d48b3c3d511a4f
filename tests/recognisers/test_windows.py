"""Windows: the default settings are the old window under its old name, and what is recorded of others is understood."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lhotse import CutSet
from pydantic import BaseModel

from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.recognisers.clip_transcriber import ClipTranscriber
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from speech_analogy.recognisers.windows import (
    SAMPLING_RATE_HZ,
    TrimmedWindow,
    Window,
    pad,
    padding_of,
    trimmed_settings,
    window_kind,
    window_of_record,
    window_record,
    window_seconds,
)
from speech_analogy.training.batching import batch_window_s, make_batch
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions

LONG = TrimmedWindow(slack_s=2.0, minimum_s=5.0, step_s=1.0, padding="noise")


class Holder(BaseModel):
    """Something with a window among its options."""

    window: Window = "trimmed"


def test_defaults_are_the_window_as_it_was() -> None:
    """duration + 0.5 s, up to a whole 0.5 s, at least 1.5 s, at most 30 s; worked out by hand."""
    for duration, expected in ((0.2, 1.5), (1.0, 1.5), (1.01, 2.0), (2.5, 3.0), (29.4, 30.0), (30.0, 30.0)):
        assert window_seconds(duration, "trimmed") == window_seconds(duration, TrimmedWindow()) == expected


def test_settings_lay_the_window() -> None:
    for duration, expected in ((1.0, 5.0), (3.0, 5.0), (3.01, 6.0), (27.5, 30.0), (29.5, 30.0)):
        assert window_seconds(duration, LONG) == expected
    assert trimmed_settings("full") is None
    assert (window_kind(LONG), window_kind("full")) == ("trimmed", "full")


def test_options_take_settings_and_dump_what_they_dumped() -> None:
    assert Holder().model_dump() == {"window": "trimmed"}
    assert Holder.model_validate({"window": {"slack_s": 0.5}}).model_dump(mode="json") == {"window": "trimmed"}
    assert Holder(window="full").model_dump() == {"window": "full"}
    assert Holder.model_validate({"window": {"slack_s": 2.0}}).window == TrimmedWindow(slack_s=2.0)
    assert FinetuneOptions.parse({"window": "trimmed"}).model_dump()["window"] == "trimmed"


@pytest.mark.parametrize(
    ("value", "said"), [("trimed", "must be trimmed, full"), ({"slak_s": 1}, "slack_s"), ({"padding": "x"}, "padding")]
)
def test_a_mistake_is_one_line(value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as found:
        FinetuneOptions.parse({"window": value})
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("window", ["full", "trimmed", LONG, TrimmedWindow(padding="repeat")])
def test_what_is_told_is_understood(window: Window) -> None:
    assert window_of_record(json.loads(json.dumps(window_record(window)))) == window


def test_records_tell_what_differs() -> None:
    assert window_record(TrimmedWindow()) == "trimmed"
    assert window_record(TrimmedWindow(slack_s=2.0)) == {"slack_s": 2.0}
    assert window_of_record(None) == "full"


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.sampled_from(["silence", "noise", "repeat"]))
def test_padding_never_touches_the_speech(spoken: int, samples: int, padding: str) -> None:
    wave = np.random.default_rng(spoken).uniform(-0.3, 0.3, spoken).astype(np.float32)
    padded = pad(wave, samples, padding)
    assert (padded.shape, padded.dtype) == ((samples,), np.float32)
    assert np.array_equal(padded[:spoken], wave[:samples])
    assert np.array_equal(padded, pad(wave, samples, padding))
    if padding == "silence":
        assert not padded[spoken:].any()


def test_noise_is_as_loud_as_the_pauses() -> None:
    """Half of the frames are loud: the floor is that of the quiet half, within the error of an estimate."""
    generator = np.random.default_rng(0)
    quiet, loud = (level * generator.standard_normal(SAMPLING_RATE_HZ) for level in (0.01, 0.3))
    wave = np.concatenate([quiet, loud]).astype(np.float32)
    added = pad(wave, 4 * SAMPLING_RATE_HZ, "noise")[len(wave) :]
    assert float(np.sqrt(np.mean(added**2))) == pytest.approx(0.01, rel=0.15)


def test_the_end_is_repeated_back_and_forth() -> None:
    wave = np.arange(1, 5, dtype=np.float32)
    assert pad(wave, 10, "repeat").tolist() == [1, 2, 3, 4, 3, 2, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def tuned(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model, said to have been tuned in `LONG` windows."""
    folder = tmp_path_factory.mktemp("tuned") / "model"
    shutil.copytree(small_whisper, folder)
    (folder / "provenance.json").write_text(json.dumps({"window": window_record(LONG)}))
    return folder


def test_decoding_takes_the_settings_from_the_model(tuned: Path, noises: CutSet) -> None:
    few = CutSet.from_cuts(list(noises)[:4])
    assert native_window(tuned) == LONG
    found = transcribe(few, tuned, progress=False)
    assert found.window == LONG
    texts = [row.text for row in found.transcripts]
    one_pass = [row.text if row.one_pass is None else row.one_pass for row in found.transcripts]
    recogniser = WhisperRecogniser(tuned)
    expected = []
    for cut in few:
        features = recogniser.features([cut.load_audio()[0]], window_seconds(cut.duration, LONG), padding_of(LONG))
        expected += recogniser.decode(features, [cut.duration])
    assert one_pass == expected
    transcriber = ClipTranscriber(str(tuned))
    assert [transcriber(cut.load_audio()[0], SAMPLING_RATE_HZ) for cut in few] == texts
    assert evaluate(few, tuned, progress=False).system.window == "trimmed"


def test_training_takes_the_settings_and_records_them(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    few = list(noises)[:4]
    batch = make_batch(few, WhisperRecogniser(small_whisper), LONG)
    assert batch.window_s == batch_window_s(few, LONG) == 5.0
    default = make_batch(few, WhisperRecogniser(small_whisper), TrimmedWindow(slack_s=4.5, padding="silence"))
    assert not torch.equal(batch.features[:, :, -1], default.features[:, :, -1])
    for window, expected in ((LONG, window_record(LONG)), (TrimmedWindow(), "trimmed")):
        options = FinetuneOptions(epochs=1, batch_size=4, window=window, precision="fp32")
        folder = tmp_path / window_kind(window) / str(len(window_record(window)))
        out = finetune(CutSet.from_cuts(few), small_whisper, folder, options, progress=False).folder
        assert json.loads((out / "provenance.json").read_text())["window"] == expected
        assert native_window(out) == (LONG if window == LONG else "trimmed")
