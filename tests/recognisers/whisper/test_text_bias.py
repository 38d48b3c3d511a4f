"""Whisper with a domain's text: off is as before, batches are their rows, every backend and method, fallback too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from speech_analogy.errors import ConfigError, DataError
from speech_analogy.evaluation.transcribe import transcribe_arrays
from speech_analogy.recognisers.biasing.folder import BiasFolder, read_bias, write_bias
from speech_analogy.recognisers.biasing.ngram import witten_bell
from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.loading import load_transcriber, text_knowledge
from speech_analogy.recognisers.whisper.model import AddedScores, WhisperRecogniser
from tests.small_conformer import make_conformer

TEXTS = ["two curries please", "one naan and two curries", "three naan"]


def bias(**options: Any) -> TextBias:
    return TextBias.parse({"options": options, "texts": TEXTS})


@pytest.fixture(scope="module")
def recogniser(small_whisper: Path) -> WhisperRecogniser:
    return WhisperRecogniser(small_whisper)


@pytest.fixture(scope="module")
def features(recogniser: WhisperRecogniser) -> torch.Tensor:
    waves = [np.random.default_rng(seed).uniform(-0.3, 0.3, 16_000).astype(np.float32) for seed in range(3)]
    return recogniser.features(waves, 1.5)


def attempts(transcriber: Any, features: torch.Tensor, beams: int = 1) -> list[Any]:
    [found] = transcriber.attempts([(features, [1.0] * len(features))], beams)
    return list(found)


NOTHING = [
    {"text_weight": 0},
    {"method": "trie", "word_bonus": 0},
]


@pytest.mark.parametrize("options", NOTHING)
@pytest.mark.parametrize("beams", [1, 2])
def test_weights_of_zero_change_nothing(
    recogniser: WhisperRecogniser, features: torch.Tensor, options: dict[str, Any], beams: int
) -> None:
    assert attempts(recogniser.biased(bias(**options)), features, beams) == attempts(recogniser, features, beams)


def test_a_biased_copy_leaves_the_model_as_it_is(recogniser: WhisperRecogniser, features: torch.Tensor) -> None:
    before = attempts(recogniser, features)
    changed = recogniser.biased(bias(text_weight=5))
    assert attempts(changed, features) != before
    assert attempts(recogniser, features) == before
    assert changed.model is recogniser.model


def test_a_strong_ngram_writes_the_domains_sentences(recogniser: WhisperRecogniser, features: torch.Tensor) -> None:
    """Weights at random say nothing of the sound: what is written is the likeliest path through the texts."""
    for attempt in attempts(recogniser.biased(bias(text_weight=50)), features):
        assert set(attempt.text.split()) <= {word for text in TEXTS for word in text.split()}


@pytest.mark.parametrize("options", [{"text_weight": 1.0}, {"method": "trie", "word_bonus": 3.0}, {"method": "prompt"}])
def test_a_batch_is_its_rows_one_by_one(
    recogniser: WhisperRecogniser, features: torch.Tensor, options: dict[str, Any]
) -> None:
    changed = recogniser.biased(bias(**options))
    singly = [attempts(changed, features[row : row + 1])[0].text for row in range(len(features))]
    assert [attempt.text for attempt in attempts(changed, features)] == singly


def test_greedy_is_the_argmax_of_the_models_and_the_texts_scores(
    recogniser: WhisperRecogniser, features: torch.Tensor
) -> None:
    """Against a plain loop over steps: log p(y|x) + α log p_T, and the believed probability is the model's alone."""
    changed = recogniser.biased(bias(text_weight=0.8, order=3))
    tokens = [recogniser.written_tokens(text) for text in TEXTS]
    end = recogniser.config.eos_token_id
    ngram = witten_bell(tokens, 3, recogniser.config.vocab_size, end)
    forbidden = recogniser.model.generation_config.suppress_tokens or []
    at_first = recogniser.model.generation_config.begin_suppress_tokens or []
    row: list[int] = []
    sum_of_model = 0.0
    with torch.inference_mode():
        encoded = recogniser.encode(features[:1])
        for _ in range(recogniser.limits([1.0])[0]):
            state = recogniser.decoder_states(encoded, torch.tensor([[*recogniser.prompt, *row]]), every=False)
            logits = recogniser.model.proj_out(state[0, 0, -1])
            logits[[*forbidden, *([] if row else at_first)]] = -torch.inf
            found = ngram.next_tokens(row)
            prior = ngram.unigram + found.shift
            prior[found.ids] += found.differences
            token = int((logits.log_softmax(-1) + 0.8 * prior).argmax())
            sum_of_model += float(logits.log_softmax(-1)[token])
            if token == end:
                break
            row.append(token)
    [attempt] = attempts(changed, features[:1])
    assert attempt.text == recogniser.texts([row])[0]
    assert attempt.log_probability == pytest.approx(sum_of_model / (len(row) + 1), abs=1e-3)


def test_a_beam_search_is_given_the_increment_of_its_step_alone(recogniser: WhisperRecogniser) -> None:
    """Of each candidate, whatever came before it: a step's score is not that of the whole beginning again."""
    changed = recogniser.biased(bias(text_weight=2.0, order=3))
    assert changed.step_scores is not None
    processor = AddedScores(changed.step_scores, len(recogniser.prompt))
    rows = [recogniser.written_tokens(text)[:3] for text in ("two curries please", "one naan and two")]
    tokens = [recogniser.written_tokens(text) for text in TEXTS]
    ngram = witten_bell(tokens, 3, recogniser.config.vocab_size, recogniser.config.eos_token_id)
    found = processor(
        torch.tensor([[*recogniser.prompt, *row] for row in rows]), torch.zeros(2, recogniser.config.vocab_size)
    )
    for token in {token for row in tokens for token in row}:
        for row, scores in zip(rows, found, strict=True):
            assert float(scores[token]) == pytest.approx(2.0 * ngram.log_probability(token, row), abs=1e-4)


def test_the_prompt_stands_before_the_start(recogniser: WhisperRecogniser, features: torch.Tensor) -> None:
    changed = recogniser.biased(bias(method="prompt", prompt_tokens=20))
    tokenizer = recogniser.tokenizer
    assert changed.preceding[0] == tokenizer.convert_tokens_to_ids("<|startofprev|>")
    words = tokenizer.decode(changed.preceding[1:])
    assert {"curries", "naan"} <= set(words.replace(",", " ").replace(".", " ").split())
    assert len(changed.preceding) <= 21
    assert changed.prompt == recogniser.prompt  # what labels and the check for speech begin with
    assert changed.no_speech(features) == recogniser.no_speech(features)


@pytest.mark.parametrize("method", ["lm", "trie", "prompt"])
@pytest.mark.parametrize("backend", ["torch", "ctranslate2"])
def test_every_method_and_backend_with_its_fallback(
    small_whisper: Path, backend: Any, method: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if backend == "ctranslate2":
        pytest.importorskip("ctranslate2")
        monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    how = DecodingOptions(backend=backend, compute="float32", text_bias=bias(method=method, text_weight=0.5))
    transcriber = load_transcriber(small_whisper, how)
    waves = [np.random.default_rng(seed).uniform(-0.3, 0.3, 16_000).astype(np.float32) for seed in range(2)]
    waves.append(np.zeros(16_000, np.float32))
    texts = transcribe_arrays(waves, transcriber, "trimmed")
    assert texts[2] == ""  # silence has no words, whatever the text says
    assert len(texts) == 3


def test_ctranslate2_takes_the_best_of_its_hypotheses_by_both_scores(
    small_whisper: Path, features: torch.Tensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a text so strong that its own scores hardly matter, it writes the candidate that the text prefers."""
    pytest.importorskip("ctranslate2")
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    plain: Any = load_transcriber(small_whisper, DecodingOptions(backend="ctranslate2", compute="float32"))
    unchanged = plain.biased(bias(text_weight=0))
    assert attempts(unchanged, features) == attempts(plain, features)
    strong = plain.biased(bias(text_weight=100, order=2, candidates=4))
    weak = plain.biased(bias(text_weight=1e-6, order=2, candidates=4))
    scores = strong.step_scores

    def liked(attempt: Any) -> float:
        row = plain.written_tokens(attempt.text) if attempt.text else []
        return float(scores.total(row, ended=not attempt.cut_off))

    for one, other in zip(attempts(strong, features), attempts(weak, features), strict=True):
        assert liked(one) >= liked(other) - 1e-3


def test_a_folder_says_what_the_texts_said(
    small_whisper: Path, recogniser: WhisperRecogniser, features: torch.Tensor, tmp_path: Path
) -> None:
    own = bias(text_weight=1.5)
    known = text_knowledge(small_whisper, own)
    out = tmp_path / "bias"
    write_bias(BiasFolder(known.options, known.text, known.background, known.words), out, model="small", texts=3)
    again = TextBias.parse({"options": known.options, "folder": out})
    found, expected = (attempts(recogniser.biased(one), features) for one in (again, own))
    assert [one.text for one in found] == [one.text for one in expected]
    assert "two" not in known.words  # a token of its own
    assert "3 texts" in (out / "README.md").read_text()
    with pytest.raises(ConfigError, match="tokens are not this model's"):
        read_bias(out, 51865, recogniser.config.eos_token_id)
    (out / "bias.json").unlink()
    with pytest.raises(DataError, match="no such file"):
        recogniser.biased(again)


def test_what_cannot_be_biased_says_so(tmp_path: Path) -> None:
    model = make_conformer(tmp_path / "conformer")
    with pytest.raises(ConfigError, match="take no such text bias"):
        load_transcriber(model, DecodingOptions(text_bias=bias()))
    with pytest.raises(ConfigError, match="needs texts"):
        TextBias.parse({})
    with pytest.raises(ConfigError, match="needs background texts"):
        bias(background_weight=0.1)


def test_an_unbiased_recogniser_has_no_scores(recogniser: WhisperRecogniser) -> None:
    assert recogniser.step_scores is None
    assert recogniser.preceding == []
    assert cast("Any", recogniser.biased(bias(text_weight=0))).step_scores is None
