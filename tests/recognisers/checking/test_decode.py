"""Loops and silence in decoding: alike in torch and CTranslate2, for each utterance alone, one pass else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech_analogy.recognisers.checking.decode import Decoded, decode_batches, speech_batch
from speech_analogy.recognisers.conformer.model import ConformerRecogniser
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.loading import load_transcriber
from speech_analogy.recognisers.protocol import Attempt
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from tests.small_conformer import make_conformer

LOOP = "play it again play it again play it again play it again"
DRIFT = " ".join(
    f"the cat sat on the mat with hat number {word}."
    for word in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
)


class Written(WhisperRecogniser):
    """Writes what it is given, by the utterance's number, which is its features' only value."""

    def __init__(self, attempts: Sequence[Attempt], again: str = "", nobody: float = 0.0) -> None:
        self.written, self.again, self.nobody = attempts, again, nobody
        self.asked: list[int] = []

    def features(self, waveforms: Sequence[np.ndarray], window_s: float, padding: Any = "silence") -> torch.Tensor:
        return torch.tensor([round(float(wave[0]) * 100) for wave in waveforms])

    def attempts(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[Attempt]]:
        for features, _ in list(batches):  # reads ahead, as CTranslate2 does
            yield [self.written[number] for number in features.tolist()]

    def without_repeats(self, features: torch.Tensor, durations_s: Sequence[float]) -> list[str]:
        self.asked += features.tolist()
        return [self.again] * len(features)

    def no_speech(self, features: torch.Tensor) -> list[float]:
        return [self.nobody] * len(features)


def decoded(model: Written, silent: Sequence[int] = (), size: int = 2) -> list[Decoded]:
    numbers = range(len(model.written))
    waves = [np.full(320, number / 100 if number not in silent else 1e-5, np.float32) for number in numbers]
    for number in silent:
        waves[number][0] = number / 100 if number == 0 else 1e-5
    groups = [list(numbers)[at : at + size] for at in range(0, len(waves), size)]
    batches = [speech_batch(model, [waves[n] for n in group], [1.0] * len(group), 1.5) for group in groups]
    return [one for found in decode_batches(model, batches) for one in found]


def believed(text: str, *, cut_off: bool = False, log_probability: float = -0.1) -> Attempt:
    return Attempt(text, cut_off, log_probability)


def test_what_does_not_loop_is_what_one_pass_wrote() -> None:
    texts = ["", "one", "two two", "three"]
    model = Written([believed("") if not text else believed(text) for text in texts])
    assert decoded(model)[1:] == [Decoded(text, text) for text in texts[1:]]
    assert not model.asked


def test_a_loop_is_cut_and_counted() -> None:
    found = decoded(Written([believed("x"), believed(LOOP), believed("a b a b", cut_off=True)]))
    assert found[1:] == [Decoded("play it again", LOOP, fell_back=True), Decoded("a b", "a b a b", fell_back=True)]


def test_what_cannot_be_cut_is_decoded_again_and_nothing_else_is() -> None:
    model = Written([believed("x"), believed(DRIFT), believed(LOOP)], again="the cat sat on mats")
    assert decoded(model)[1] == Decoded("the cat sat on mats", DRIFT, fell_back=True)
    assert model.asked == [1]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_batches_change_nothing(size: int) -> None:
    written = [believed("x"), believed(DRIFT), believed(LOOP), believed("y z")]
    assert decoded(Written(written, again="w"), size=size) == decoded(Written(written, again="w"), size=4)


def test_quiet_audio_has_no_words() -> None:
    [found] = decoded(Written([believed("thank you")]), silent=[0])
    assert found == Decoded("", "thank you", silent=True)


@pytest.mark.parametrize(
    ("nobody", "log_probability", "text"), [(0.7, -1.1, ""), (0.5, -1.1, "you"), (0.7, -0.9, "you")]
)
def test_words_go_where_the_model_says_nobody_speaks_and_doubts_them(
    nobody: float, log_probability: float, text: str
) -> None:
    """openai-whisper's rule: both, or the words stay."""
    model = Written([believed("x"), believed("you", log_probability=log_probability)], nobody=nobody)
    assert decoded(model)[1] == Decoded(text, "you", silent=not text)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16_000))).astype(np.float32)


@pytest.fixture
def looping(small_whisper: Path) -> WhisperRecogniser:
    """A Whisper with random weights, which never ends by itself and repeats what it wrote."""
    return WhisperRecogniser(small_whisper)


def test_random_weights_loop_and_fall_back_alike_in_torch_and_ctranslate2(
    looping: WhisperRecogniser, small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2")
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    theirs: Any = load_transcriber(small_whisper, DecodingOptions(backend="ctranslate2", compute="float32"))
    durations = [0.5, 1.5, 1.0]
    waves = [noise(seconds, seed) for seed, seconds in enumerate(durations)]
    batch = speech_batch(looping, waves, durations, 2.0)
    ours = next(decode_batches(looping, [batch]))
    assert ours == next(decode_batches(theirs, [batch]))
    assert all(one.fell_back and one.text != one.one_pass for one in ours)
    alone = [speech_batch(looping, [wave], [seconds], 2.0) for wave, seconds in zip(waves, durations, strict=True)]
    assert ours == [found for [found] in decode_batches(looping, alone)]
    [mine], [other] = ([next(iter(model.attempts([(batch.features, durations)])))] for model in (looping, theirs))
    for one, two in zip(mine, other, strict=True):
        assert (one.text, one.cut_off) == (two.text, two.cut_off)
        assert one.log_probability == pytest.approx(two.log_probability, rel=0.1)
    assert looping.without_repeats(batch.features, durations) == theirs.without_repeats(batch.features, durations)
    assert looping.no_speech(batch.features) == pytest.approx(theirs.no_speech(batch.features), rel=1e-3)


def test_one_pass_is_what_decoding_writes(looping: WhisperRecogniser) -> None:
    waves = [noise(1.0, seed) for seed in range(3)]
    batch = speech_batch(looping, waves, [1.0] * 3, 1.5)
    plain = looping.decode(batch.features, batch.durations_s)
    assert [one.one_pass for one in next(decode_batches(looping, [batch]))] == plain
    assert next(decode_batches(looping, [batch], fallback=False)) == [Decoded(text, text) for text in plain]


def test_without_repeats_no_three_tokens_come_twice(looping: WhisperRecogniser) -> None:
    features = looping.features([noise(2.0)], 2.5)
    [text] = looping.without_repeats(features, [2.0])
    tokens = looping.tokenizer(" " + text, add_special_tokens=False).input_ids
    triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    assert len(set(triples)) == len(triples) > 3


def test_a_beam_knows_how_likely_its_words_are(looping: WhisperRecogniser) -> None:
    """With one beam's words, teacher forcing finds what the greedy search added up."""
    features, durations = looping.features([noise(1.0), noise(1.0, 1)], 1.5), [1.0, 0.5]
    for one in next(looping.attempts([(features, durations)], beams=2)):
        assert one.cut_off
        assert one.log_probability < 0


def test_ctc_cannot_loop_but_silence_has_no_words(tmp_path: Path) -> None:
    conformer = ConformerRecogniser(make_conformer(tmp_path / "conformer"))
    quiet, loud = np.full(16_000, 1e-5, np.float32), noise(1.0)
    batch = speech_batch(conformer, [quiet, loud], [1.0, 1.0], 1.0)
    texts = conformer.decode(batch.features, [1.0, 1.0])
    silent, heard = next(decode_batches(conformer, [batch]))
    assert silent == Decoded("", texts[0], silent=True)
    assert heard == Decoded(texts[1], texts[1])
