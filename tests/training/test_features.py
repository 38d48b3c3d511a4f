"""Features of training: made once, the same in any window, and another recording's never taken for this one's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet

from speech_analogy.corpora.audio import load_audio
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from speech_analogy.recognisers.windows import TrimmedWindow, Window
from speech_analogy.training.batching import batch_window_s, make_batch
from speech_analogy.training.features import FeatureStore


class Counting:
    """A recogniser that counts what it is asked for."""

    def __init__(self, recogniser: WhisperRecogniser) -> None:
        self.asked, self._recogniser = 0, recogniser

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recogniser, name)

    def features(self, waveforms: Any, *rest: Any) -> torch.Tensor:
        self.asked += len(waveforms)
        return self._recogniser.features(waveforms, *rest)


@pytest.fixture
def counting(small_whisper: Path) -> Any:
    return Counting(WhisperRecogniser(small_whisper))


@pytest.mark.parametrize("window", ["trimmed", "full", TrimmedWindow(slack_s=1.0, padding="noise")])
def test_they_are_the_recognisers(noises: CutSet, counting: Any, window: Window) -> None:
    """An utterance's features in its own window, made longer, are its features in the longer window."""
    cuts = list(noises)
    seconds = batch_window_s(cuts, window)
    waves = [load_audio(cut, 16_000) for cut in cuts]
    padding = window.padding if isinstance(window, TrimmedWindow) else "silence"
    expected = counting.features(waves, seconds, padding)
    found = FeatureStore(counting, window).batch(cuts, seconds)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


def test_made_once_in_memory(noises: CutSet, counting: Any) -> None:
    store, cuts = FeatureStore(counting, "trimmed"), list(noises)
    first = store.batch(cuts, 9.0)
    assert torch.equal(store.batch(cuts, 9.0), first)
    assert counting.asked == len(cuts)


def test_what_does_not_fit_is_made_again(noises: CutSet, counting: Any) -> None:
    store, cuts = FeatureStore(counting, "trimmed", kept_bytes=0), list(noises)[:3]
    assert torch.equal(store.batch(cuts, 9.0), store.batch(cuts, 9.0))
    assert counting.asked == 6


def test_made_once_on_disk_and_made_again_when_torn(noises: CutSet, counting: Any, tmp_path: Path) -> None:
    cuts = list(noises)[:3]
    first = FeatureStore(counting, "trimmed", tmp_path).batch(cuts, 9.0)
    assert torch.equal(FeatureStore(counting, "trimmed", tmp_path).batch(cuts, 9.0), first)
    assert counting.asked == 3
    file = sorted(tmp_path.rglob("*.npy"))[0]
    file.write_bytes(file.read_bytes()[:200])
    assert torch.equal(FeatureStore(counting, "trimmed", tmp_path).batch(cuts, 9.0), first)
    assert counting.asked == 4
    assert len(list(tmp_path.rglob("*"))) == len({f.parent for f in tmp_path.rglob("*.npy")}) + 3  # nothing left over


def test_another_recording_under_the_same_name_is_heard(noises: CutSet, counting: Any, tmp_path: Path) -> None:
    cut = next(iter(noises))
    path = tmp_path / "a.wav"
    samples = load_audio(cut, 16_000)
    soundfile.write(path, samples, 16_000)
    moved = cut.with_recording_path_prefix("")
    moved.recording.sources[0].source = str(path)
    store = tmp_path / "features"
    before = FeatureStore(counting, "trimmed", store).batch([moved], 9.0)
    soundfile.write(path, np.ascontiguousarray(samples[::-1]), 16_000)
    after = FeatureStore(counting, "trimmed", store).batch([moved], 9.0)
    assert not torch.equal(before, after)


def test_processes_share_a_batch(noises: CutSet, counting: Any) -> None:
    """Their utterances and shares are the whole batch's; one that is left without any has a share of nothing."""
    cuts = list(noises)[:5]
    whole = make_batch(cuts, counting, "trimmed")
    parts = [make_batch(cuts, counting, "trimmed", None, rank, 2) for rank in range(2)]
    assert [part.rows for part in parts] == [3, 2]
    assert {part.window_s for part in parts} == {whole.window_s}
    assert torch.allclose(torch.cat([part.features for part in parts])[[0, 3, 1, 4, 2]], whole.features)
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    weighed = sum((counting.loss(p.features, p.inputs, p.targets) * p.share for p in parts), torch.zeros(()))
    assert weighed.item() == pytest.approx(counting.loss(whole.features, whole.inputs, whole.targets).item(), rel=1e-5)
    idle = make_batch(cuts[:1], counting, "trimmed", None, 1, 2)
    assert (idle.rows, idle.share) == (1, 0.0)
