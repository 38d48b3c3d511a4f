"""Whisper: labels, trimmed windows and decoding against transformers' own code."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.generation.utils import GenerationMixin

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.recognisers.protocol import Segment, WindowText
from speech_analogy.recognisers.whisper.front_end import token_limit, tokenizer_of
from speech_analogy.recognisers.whisper.model import IGNORED_LABEL, WhisperRecogniser
from speech_analogy.recognisers.windows import (
    FULL_WINDOW_S,
    TRIMMED_MINIMUM_S,
    TRIMMED_SLACK_S,
    TRIMMED_STEP_S,
    window_seconds,
)


@pytest.fixture(scope="module")
def recogniser(small_whisper: Path) -> WhisperRecogniser:
    return WhisperRecogniser(small_whisper)


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, int(16_000 * seconds)).astype(np.float32)


@given(st.floats(0.01, 29.5))
def test_trimmed_window_holds_the_utterance_and_its_slack(duration: float) -> None:
    window = window_seconds(duration, "trimmed")
    assert window >= min(duration + TRIMMED_SLACK_S, FULL_WINDOW_S) - 1e-6
    assert TRIMMED_MINIMUM_S <= window <= FULL_WINDOW_S
    assert window <= max(TRIMMED_MINIMUM_S, duration + TRIMMED_SLACK_S + TRIMMED_STEP_S)
    assert round(window * 50) == pytest.approx(window * 50)  # whole encoder frames of 20 ms
    assert window_seconds(duration, "full") == FULL_WINDOW_S


def test_full_window_is_the_unpatched_model(recogniser: WhisperRecogniser, small_whisper: Path) -> None:
    """The encoder that takes any window computes on 30 s what transformers' own does, bit for bit."""
    original = WhisperForConditionalGeneration.from_pretrained(small_whisper).eval()
    features = recogniser.features([_noise(1.0)], 30.0)
    with torch.inference_mode():
        expected = original.model.encoder(features).last_hidden_state
        found = recogniser.model.model.encoder(features).last_hidden_state
    assert torch.equal(found, expected)


def test_features_are_the_extractors(recogniser: WhisperRecogniser, small_whisper: Path) -> None:
    waves = [_noise(1.0), _noise(2.0, 1)]
    expected = WhisperFeatureExtractor.from_pretrained(small_whisper)(
        waves, sampling_rate=16_000, return_tensors="pt"
    ).input_features
    torch.testing.assert_close(recogniser.features(waves, 30.0), expected)


@pytest.mark.parametrize("seconds", [0.003, 0.61, 1.4, 1.4999, 1.5, 2.0])
def test_frames_of_silence_are_made_once_and_are_the_extractors(
    recogniser: WhisperRecogniser, small_whisper: Path, seconds: float
) -> None:
    """Whatever lies between the end of the speech and that of the window; what is longer is cut."""
    extractor = WhisperFeatureExtractor.from_pretrained(small_whisper)
    waves = [_noise(seconds), _noise(seconds / 3, 1)]
    for window_s in (1.5, 1.58, 30.0):
        samples = round(window_s * 16_000)
        padded = np.stack([np.pad(wave[:samples], (0, max(0, samples - len(wave)))) for wave in waves])
        expected = torch.from_numpy(extractor._torch_extract_fbank_features(padded))
        torch.testing.assert_close(recogniser.features(waves, window_s), expected)


def test_norms_cast_once_for_what_follows(recogniser: WhisperRecogniser) -> None:
    """Under autocast a norm gives the products behind it what each of them would have made of it."""
    norm = recogniser.model.model.encoder.layers[0].self_attn_layer_norm
    hidden = torch.randn(2, 5, norm.normalized_shape[0])
    plain = norm(hidden)
    assert plain.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(norm(hidden), plain.bfloat16())


def test_trimmed_window_has_a_hundred_frames_a_second(recogniser: WhisperRecogniser) -> None:
    features = recogniser.features([_noise(1.0)], 1.5)
    assert features.shape == (1, 80, 150)
    assert recogniser.model.model.encoder(features).last_hidden_state.shape[1] == 75


def test_positions_are_not_trained_and_everything_else_is(recogniser: WhisperRecogniser) -> None:
    frozen = [name for name, p in recogniser.model.named_parameters() if not p.requires_grad]
    assert frozen == ["model.encoder.embed_positions.weight"]


def test_labels_are_text_and_end(recogniser: WhisperRecogniser) -> None:
    """The prompt is given, the text and <|endoftext|> are learned, padding is not, though its id is the end's."""
    end = recogniser.config.eos_token_id
    inputs, targets = recogniser.labels(["one", "one two three"])
    short = recogniser.tokenizer(" one", add_special_tokens=False).input_ids
    assert inputs[0, : len(recogniser.prompt)].tolist() == recogniser.prompt
    learned = [token for token in targets[0].tolist() if token != IGNORED_LABEL]
    assert learned == [*short, end]
    assert (targets[:, : len(recogniser.prompt) - 1] == IGNORED_LABEL).all()
    assert (targets == end).sum(1).tolist() == [1, 1]


def test_labels_of_windows_are_stamped_texts_and_an_end(recogniser: WhisperRecogniser) -> None:
    """As Whisper was trained: each segment between two times, one that goes on after the window as its start alone."""
    segments = (Segment("one two", 0.0, 1.5), Segment("three", 1.98, 2.5), Segment("not written", 27.5, None))
    inputs, targets = recogniser.window_labels(
        [WindowText(segments, timed=True), WindowText(segments, timed=False), WindowText(segments[:1], timed=True)]
    )
    decode = recogniser.tokenizer.decode
    learned = [[token for token in row.tolist() if token != IGNORED_LABEL] for row in targets]
    assert [decode(row, decode_with_timestamps=True) for row in learned] == [
        "<|0.00|> one two<|1.50|><|1.98|> three<|2.50|><|27.50|><|endoftext|>",
        " one two three<|endoftext|>",
        "<|0.00|> one two<|1.50|><|endoftext|>",
    ]
    no_timestamps = recogniser.prompt[-1]
    assert [no_timestamps in row.tolist() for row in inputs] == [False, True, False]
    assert inputs[:, 0].tolist() == [recogniser.prompt[0]] * 3
    for shown, wanted, prompt in zip(inputs, targets, (1, 2, 1), strict=True):  # English: no language, no task
        count = int((wanted != IGNORED_LABEL).sum())
        assert (wanted[: prompt - 1] == IGNORED_LABEL).all()
        assert torch.equal(shown[prompt : prompt + count - 1], wanted[prompt - 1 : prompt + count - 2])
        assert (wanted[prompt + count - 1 :] == IGNORED_LABEL).all()


def test_an_untimed_window_of_one_segment_has_the_texts_labels(recogniser: WhisperRecogniser) -> None:
    texts = ["one", "one two three"]
    expected = recogniser.labels(texts)
    found = recogniser.window_labels([WindowText((Segment(text, 0.2, 1.0),), timed=False) for text in texts])
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_a_segment_has_as_many_label_tokens_as_it_says(recogniser: WhisperRecogniser) -> None:
    texts = ["one", "one two three"]
    stamped = WindowText(tuple(Segment(text, 1.0, 2.0) for text in texts), timed=True)
    learned = int((recogniser.window_labels([stamped])[1] != IGNORED_LABEL).sum())
    assert sum(map(recogniser.label_tokens, texts)) == learned - 1  # and the end
    assert recogniser.most_label_tokens <= recogniser.config.max_target_positions - 2


def test_padding_does_not_change_the_loss(recogniser: WhisperRecogniser) -> None:
    """A short text's loss is the same alone and padded beside a long one."""
    features = recogniser.features([_noise(1.0), _noise(1.0, 1)], 1.5)
    texts = ["one", "one two three four five six"]
    with torch.inference_mode():
        alone = [recogniser.loss(features[i : i + 1], *recogniser.labels([texts[i]])) for i in range(2)]
        together = recogniser.loss(features, *recogniser.labels(texts))
    counts = [(recogniser.labels([text])[1] != IGNORED_LABEL).sum() for text in texts]
    expected = (alone[0] * counts[0] + alone[1] * counts[1]) / sum(counts)
    torch.testing.assert_close(together, expected, rtol=1e-5, atol=1e-5)


def test_greedy_equals_transformers_generate(tiny_en: str) -> None:
    """Rows that leave the batch when they are finished do not change what the others write."""
    from speech_analogy.recognisers.weights import resolve_weights

    recogniser = WhisperRecogniser(resolve_weights(tiny_en))
    features = recogniser.features(
        [_noise(1.0), np.sin(np.arange(16_000) / 20).astype(np.float32), _noise(0.5, 2)], 2.0
    )
    limit = 25
    with torch.inference_mode():
        ours = recogniser.greedy(features, [limit] * 3)
        prompt = torch.tensor([recogniser.prompt] * 3)
        theirs = GenerationMixin.generate(
            recogniser.model, features, decoder_input_ids=prompt, do_sample=False, num_beams=1,
            max_length=limit + len(recogniser.prompt), attention_mask=torch.ones(3, 200),
        )  # fmt: skip
    end = recogniser.config.eos_token_id
    for row, expected in zip(ours, theirs.tolist(), strict=True):
        text = expected[len(recogniser.prompt) :]
        assert row == (text[: text.index(end)] if end in text else text)


def test_batch_equals_one_by_one(tiny_en: str) -> None:
    from speech_analogy.recognisers.weights import resolve_weights

    recogniser = WhisperRecogniser(resolve_weights(tiny_en))
    features = recogniser.features([_noise(1.0, seed) for seed in range(4)], 2.0)
    together = recogniser.decode(features, [1.0] * 4)
    assert together == [recogniser.decode(features[i : i + 1], [1.0])[0] for i in range(4)]


@pytest.mark.parametrize("beams", [1, 3])
def test_tokens_are_capped_by_duration(recogniser: WhisperRecogniser, beams: int) -> None:
    """Random weights never stop by themselves: the cap does it, row by row."""
    features = recogniser.features([_noise(0.5), _noise(1.5)], 2.0)
    texts = recogniser.decode(features, [0.5, 1.5], beams)
    for text, duration in zip(texts, [0.5, 1.5], strict=True):
        assert len(recogniser.tokenizer(text, add_special_tokens=False).input_ids) <= 2 * token_limit(duration)
    rows = recogniser.greedy(features, [3, 7])
    assert [len(row) for row in rows] == [3, 7]


@pytest.mark.parametrize("beams", [1, 2])
def test_decoding_asks_transformers_for_nothing_deprecated(recogniser: WhisperRecogniser, beams: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        recogniser.decode(recogniser.features([_noise(1.0)], 1.5), [1.0], beams)


def test_multilingual_prompt_has_language_and_task(small_multilingual: Path) -> None:
    spanish = WhisperRecogniser(small_multilingual, language="es")
    written = spanish.tokenizer.convert_ids_to_tokens(spanish.prompt)
    assert written == ["<|startoftranscript|>", "<|es|>", "<|transcribe|>", "<|notimestamps|>"]
    with pytest.raises(ConfigError, match=r"language.*xx"):
        WhisperRecogniser(small_multilingual, language="xx")


def test_english_model_takes_no_other_language(small_whisper: Path) -> None:
    with pytest.raises(ConfigError, match="English-only"):
        WhisperRecogniser(small_whisper, language="es")


def test_saved_folder_is_complete(recogniser: WhisperRecogniser, tmp_path: Path) -> None:
    from transformers import pipeline

    recogniser.save(tmp_path)
    speech = pipeline("automatic-speech-recognition", model=str(tmp_path))
    assert isinstance(
        speech({"raw": _noise(1.0), "sampling_rate": 16_000}, generate_kwargs={"max_new_tokens": 5}), dict
    )
    again = WhisperRecogniser(tmp_path)
    for name, tensor in recogniser.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_folders_with_equal_files_share_a_tokenizer(small_whisper: Path, tmp_path: Path) -> None:
    own, other = tokenizer_of(small_whisper), shutil.copytree(small_whisper, tmp_path / "copy")
    assert tokenizer_of(other) is own
    config = other / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"unk_token": "<|endoftext|>"', '"unk_token": "<|nospeech|>"'))
    changed = tokenizer_of(other)
    assert (own.unk_token, changed.unk_token) == ("<|endoftext|>", "<|nospeech|>")
    assert tokenizer_of(small_whisper) is own
    (other / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        WhisperRecogniser(other)
