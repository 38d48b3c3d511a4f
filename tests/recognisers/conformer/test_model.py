"""Wav2Vec2-Conformer: features, labels, masking, loss and decoding against transformers' own code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from lhotse import CutSet
from transformers import Wav2Vec2ConformerForCTC, Wav2Vec2FeatureExtractor

from speech_analogy.errors import CheckpointError, ConfigError, DataError
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.conformer.model import ConformerRecogniser
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import load_recogniser, load_transcriber
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.protocol import IGNORED_LABEL
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
from tests.small_conformer import make_conformer

PADDING_TOLERANCE = 2e-5  # of a logit, fp32; logits are of the order of 1
PUBLISHED = "facebook/wav2vec2-conformer-rope-large-960h-ft"
COMPANIONS = ("config.json", "vocab.json", "preprocessor_config.json", "tokenizer_config.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_conformer(tmp_path_factory.mktemp("weights") / "conformer")


@pytest.fixture(scope="module")
def recogniser(folder: Path) -> ConformerRecogniser:
    return ConformerRecogniser(folder)


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, int(16_000 * seconds)).astype(np.float32)


def test_the_family_is_told_by_the_config(folder: Path, tmp_path: Path) -> None:
    assert isinstance(load_recogniser(folder), ConformerRecogniser)
    assert native_window(folder) == "trimmed"
    (tmp_path / "config.json").write_text('{"model_type": "hubert"}')
    with pytest.raises(CheckpointError, match=r"family is not supported.*hubert"):
        load_recogniser(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2-conformer"}')
    with pytest.raises(CheckpointError, match="cannot be loaded as a Wav2Vec2-Conformer"):
        load_recogniser(tmp_path)


def test_features_are_the_extractors(recogniser: ConformerRecogniser, folder: Path) -> None:
    """Each utterance is normalised by itself: zero mean, unit variance over its own samples, zeros behind."""
    waves = [_noise(1.0), _noise(1.7, 1)]
    features = recogniser.features(waves, 2.0)
    assert features.shape == (2, 2, 32_000)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    for row, wave in zip(features, waves, strict=True):
        alone = extractor(wave, sampling_rate=16_000, return_tensors="pt").input_values[0]
        torch.testing.assert_close(row[0, : len(wave)], alone)
        assert (row[0, len(wave) :] == 0).all()
        assert (row[1] == (torch.arange(32_000) < len(wave))).all()
    assert recogniser.features([_noise(3.0)], 1.0).shape == (1, 2, 16_000)


@pytest.mark.parametrize("positions", ["rotary", "relative"])
def test_padding_and_neighbours_change_nothing(positions: str, tmp_path: Path) -> None:
    """A row's logits in a batch of longer ones are transformers' own for it alone, unpadded."""
    folder = make_conformer(tmp_path / "model", position_embeddings_type=positions)
    recogniser = ConformerRecogniser(folder)
    original = Wav2Vec2ConformerForCTC.from_pretrained(folder).eval()
    waves = [_noise(0.5), _noise(1.1, 1), _noise(2.3, 2)]
    with torch.inference_mode():
        together, lengths = recogniser.logits(recogniser.features(waves, 3.0))
        for row, frames, wave in zip(together, lengths.tolist(), waves, strict=True):
            alone = original(recogniser.features([wave], len(wave) / 16_000)[:, 0]).logits[0]
            assert len(alone) == frames
            assert (row[:frames] - alone).abs().max() < PADDING_TOLERANCE
        # transformers' own mask alone does not do it: the depthwise convolutions see the padding
        features = recogniser.features(waves, 3.0)
        theirs = original(features[:, 0], attention_mask=features[:, 1].long()).logits
        assert (theirs[0, : lengths[0]] - together[0, : lengths[0]]).abs().max() > 10 * PADDING_TOLERANCE


def test_decoding_does_not_depend_on_the_batch(recogniser: ConformerRecogniser) -> None:
    waves = [_noise(0.5 + 0.4 * seed, seed) for seed in range(4)]
    durations = [len(wave) / 16_000 for wave in waves]
    together = recogniser.decode(recogniser.features(waves, 3.0), durations)
    assert any(together)
    for wave, duration, text in zip(waves, durations, together, strict=True):
        assert recogniser.decode(recogniser.features([wave], duration), [duration]) == [text]


def test_decoding_is_the_collapsed_argmax(recogniser: ConformerRecogniser, folder: Path) -> None:
    wave = _noise(1.5, 7)
    features = recogniser.features([wave], 1.5)
    with torch.inference_mode():
        best = Wav2Vec2ConformerForCTC.from_pretrained(folder).eval()(features[:, 0]).logits[0].argmax(-1).tolist()
    signs = recogniser.tokenizer.convert_ids_to_tokens(best)
    kept = [sign for index, sign in enumerate(signs) if index == 0 or sign != signs[index - 1]]
    expected = "".join(sign for sign in kept if not sign.startswith("<")).replace("|", " ")
    assert recogniser.decode(features, [1.5]) == [" ".join(expected.split())]
    with pytest.raises(ConfigError, match="greedily"):
        recogniser.decode(features, [1.5], beams=4)


def test_a_model_with_a_group_norm_gets_no_mask(tmp_path: Path) -> None:
    """As it was trained: what comes out is what transformers computes without a mask on the padded waveform."""
    folder = make_conformer(tmp_path / "model", norm="group")
    recogniser = ConformerRecogniser(folder)
    original = Wav2Vec2ConformerForCTC.from_pretrained(folder).eval()
    features = recogniser.features([_noise(0.6), _noise(1.4, 1)], 2.0)
    with torch.inference_mode():
        found, lengths = recogniser.logits(features)
        torch.testing.assert_close(found, original(features[:, 0]).logits)
    assert lengths.tolist() == [found.shape[1]] * 2


def test_labels_are_characters_masked_by_length(recogniser: ConformerRecogniser) -> None:
    inputs, targets = recogniser.labels(["one", "it's a 2-way Café!"])
    assert inputs.shape == (2, 0)
    texts = ["".join(recogniser.tokenizer.convert_ids_to_tokens(row[row != IGNORED_LABEL].tolist())) for row in targets]
    assert texts == ["ONE", "IT'S|A|TWO|WAY|CAFE"]
    assert (targets[0, 3:] == IGNORED_LABEL).all()
    with pytest.raises(DataError, match="none of the model's characters"):
        recogniser.labels(["...", "one"])


def test_loss_is_transformers_sum_per_character(recogniser: ConformerRecogniser, folder: Path) -> None:
    original = Wav2Vec2ConformerForCTC.from_pretrained(folder).eval()
    assert original.config.ctc_loss_reduction == "sum"
    features = recogniser.features([_noise(1.0), _noise(1.0, 1)], 1.0)  # no padding: theirs has no fault here
    inputs, targets = recogniser.labels(["one", "two three"])
    theirs = original(features[:, 0], labels=targets).loss
    torch.testing.assert_close(recogniser.loss(features, inputs, targets), theirs / 12, rtol=1e-5, atol=1e-5)


def test_parts_of_a_batch_add_up_to_it(recogniser: ConformerRecogniser) -> None:
    """Padding changes no loss, and shares of the characters weigh the parts, as `TrainingBatch.parts` has it."""
    features = recogniser.features([_noise(0.9), _noise(1.8, 1)], 2.0)
    texts = ["one", "one two three"]
    with torch.inference_mode():
        together = recogniser.loss(features, *recogniser.labels(texts))
        alone = [recogniser.loss(features[i : i + 1], *recogniser.labels([texts[i]])) for i in range(2)]
    torch.testing.assert_close(together, (3 * alone[0] + 13 * alone[1]) / 16, rtol=1e-5, atol=1e-5)


def test_a_text_too_long_for_its_frames_does_no_harm(recogniser: ConformerRecogniser) -> None:
    features = recogniser.features([_noise(0.2), _noise(1.0, 1)], 1.0)
    loss = recogniser.loss(features, *recogniser.labels(["far too many characters for this", "one"]))
    assert torch.isfinite(loss)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(torch.isfinite(p.grad).all() for p in recogniser.model.parameters() if p.grad is not None)
    recogniser.model.zero_grad(set_to_none=True)


def test_feature_encoder_and_statistics_stay(folder: Path, noises: CutSet, tmp_path: Path) -> None:
    """Fine-tuning moves the transformer and the head; convolutions and the batch norms' statistics stay bit for bit.

    A second fine-tuning gives the same bits: SpecAugment and dropout depend on the seed.
    """
    options = FinetuneOptions(epochs=1, batch_size=8, learning_rate=1e-3, precision="fp32")
    first = finetune(noises, folder, tmp_path / "a", options, progress=False).folder
    second = finetune(noises, folder, tmp_path / "b", options, progress=False).folder
    before, after, again = open_checkpoint(folder), open_checkpoint(first), open_checkpoint(second)
    assert set(before) == set(after)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in moved if "feature_extractor" in name or "running" in name or "num_batches" in name]
    assert {"lm_head.weight", "wav2vec2_conformer.encoder.layers.0.conv_module.batch_norm.weight"} <= moved
    assert all(torch.equal(after[name], again[name]) for name in after)
    assert provenance(first)["window"] == "trimmed"
    for name in COMPANIONS:
        assert (first / name).is_file()


def test_analogy_of_such_folders_is_a_model_and_a_pipelines(folder: Path, noises: CutSet, tmp_path: Path) -> None:
    from transformers import pipeline

    corners = []
    for seed, name in enumerate("abc"):
        options = FinetuneOptions(epochs=1, learning_rate=1e-3, precision="fp32", seed=seed)
        corners.append(finetune(noises, folder, tmp_path / name, options, progress=False).folder)
    a, b, c = corners
    done = tmp_path / "d"
    analogy(c, b, a, 0.5, done)
    for name in COMPANIONS:
        assert (done / name).read_bytes() == (c / name).read_bytes()
    tensors = [open_checkpoint(path) for path in (a, b, c, done)]
    for name in tensors[0]:
        one, two, three, found = (tensor[name] for tensor in tensors)
        expected = three + 0.5 * (two - one) if found.is_floating_point() else three
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    assert native_window(done) == "trimmed"
    wave = _noise(1.0)
    speech = pipeline("automatic-speech-recognition", model=str(done))
    recogniser = load_recogniser(done)
    theirs = re.sub("<[a-z/]+>", "", speech({"raw": wave, "sampling_rate": 16_000})["text"])
    assert recogniser.decode(recogniser.features([wave], 1.0), [1.0]) == [" ".join(theirs.split())]


def test_full_windows_change_no_transcript(folder: Path, noises: CutSet) -> None:
    few = CutSet.from_cuts(list(noises)[:4])
    trimmed, full = (
        transcribe(few, folder, decoding=DecodingOptions(window=window), progress=False)
        for window in ("trimmed", "full")
    )
    assert [t.text for t in trimmed.transcripts] == [t.text for t in full.transcripts]


def test_ctranslate2_is_refused(recogniser: ConformerRecogniser) -> None:
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    with pytest.raises(ConfigError, match="takes no Wav2Vec2-Conformer models"):
        load_transcriber(recogniser, DecodingOptions(backend="ctranslate2"))


@pytest.mark.published
def test_published_weights_hear_english(prompts: CutSet, request: pytest.FixtureRequest) -> None:
    """The model of arXiv 2406.02925 on telephone prompts: WER below 30 %."""
    if "published" not in request.config.getoption("markexpr"):
        pytest.skip("fetches gigabytes: pytest -m published")
    from speech_analogy.errors import WeightsUnavailableError
    from speech_analogy.evaluation.evaluate import evaluate

    try:
        recogniser = load_recogniser(PUBLISHED)
    except WeightsUnavailableError as error:
        pytest.skip(f"no hub answers: {error}")
    spoken = CutSet.from_cuts([cut for cut in prompts if cut.custom["domain"] == "conf"][:10])
    assert evaluate(spoken, recogniser, progress=False).system.wer < 30
