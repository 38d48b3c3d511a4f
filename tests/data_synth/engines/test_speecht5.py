"""SpeechT5, with small random weights of the real classes: lengths, seeds, batches, speakers, and limits of texts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import WavLMForXVector

from data_synth.audio.recordings import find_recordings
from data_synth.engines import Failure, Outcome, Utterance, Waveform, load_engine
from data_synth.engines.speecht5 import SeededDropout, SpeechT5Engine
from data_synth.engines.support.pretrained import Hardware, folder_digest
from data_synth.engines.support.reference import ReferenceSpeech
from data_synth.engines.support.x_vectors import read_x_vectors
from data_synth.plan.options import SynthesisOptions
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import SynthesisError
from tests.data_synth.contents import clips_of
from tests.data_synth.engines.outcomes import same
from tests.data_synth.engines.tiny_speecht5 import MAX_TEXT, TinySpeechT5, save_tiny_speecht5, save_tiny_x_vector_model
from tests.pretended_gpu import OnGpu, pretended_gpu

RATE, SAMPLES_A_FRAME = 16_000, 256
TOLERANCE = 1e-4  # of full scale, between batch sizes and against transformers' own loop
TEXTS = ("turn it on", "play", "some jazz please", "the quick brown fox jumps over the lazy dog " * 2, "stop", "zebra")
BATCH = [Utterance(text, "random", seed) for seed, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinySpeechT5:
    return save_tiny_speecht5(tmp_path_factory.mktemp("speecht5"))


@pytest.fixture(autouse=True)
def make(tiny: TinySpeechT5, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], SpeechT5Engine]:
    """An engine of the tiny model with a batch size."""
    monkeypatch.setenv("DATA_SYNTH_SPEECHT5", str(tiny.model))
    monkeypatch.setenv("DATA_SYNTH_SPEECHT5_VOCODER", str(tiny.vocoder))
    monkeypatch.setenv("DATA_SYNTH_XVECTORS", str(tiny.x_vectors))
    for name in ("DEVICE", "DTYPE", "OFFLOAD", "REFERENCE", "XVECTOR_MODEL"):
        monkeypatch.delenv(f"DATA_SYNTH_{name}", raising=False)

    def engine(batch_size: int) -> SpeechT5Engine:
        monkeypatch.setenv("DATA_SYNTH_SPEECHT5_BATCH", str(batch_size))
        return SpeechT5Engine()

    return engine


@pytest.fixture(scope="module")
def engine(tiny: TinySpeechT5) -> SpeechT5Engine:
    """One that tests do not change."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATA_SYNTH_SPEECHT5", str(tiny.model))
        environment.setenv("DATA_SYNTH_SPEECHT5_VOCODER", str(tiny.vocoder))
        environment.setenv("DATA_SYNTH_XVECTORS", str(tiny.x_vectors))
        environment.setenv("DATA_SYNTH_SPEECHT5_BATCH", "4")
        made = SpeechT5Engine()
        made.resolve("bdl")  # the environment is read
    return made


@pytest.fixture(scope="module")
def together(engine: SpeechT5Engine) -> list[Outcome]:
    """The clips of `BATCH`, spoken in one call."""
    return engine.synthesize(BATCH)


def test_clips_have_lengths_of_their_own(together: list[Outcome]) -> None:
    clips = [clip for clip in together if isinstance(clip, Waveform)]
    assert len(clips) >= 4
    for clip in clips:
        assert (clip.rate, clip.samples.dtype, clip.samples.ndim) == (RATE, np.float32, 1)
        assert len(clip.samples) % SAMPLES_A_FRAME == 0
        assert np.isfinite(clip.samples).all()
    assert len({len(clip.samples) for clip in clips}) >= 3


def test_nothing_of_it_is_left_off_the_gpu(
    make: Callable[[int], SpeechT5Engine], engine: SpeechT5Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [BATCH[index] for index in (0, 2, 4)]  # the shortest: every operation is slow there
    expected = engine.synthesize(batch)
    assert any(isinstance(one, Waveform) for one in expected)
    with pretended_gpu(monkeypatch):
        found = make(4).synthesize(batch)
        assert OnGpu.operations > 100
    for one, other in zip(found, expected, strict=True):
        assert same(one, other)


def test_a_clip_depends_on_its_own_seed_and_not_on_its_batch(engine: SpeechT5Engine, together: list[Outcome]) -> None:
    """Bit for bit, for one batch size: alone, in another order, among others."""
    backwards = engine.synthesize(BATCH[::-1])[::-1]
    for utterance, one, other in zip(BATCH, together, backwards, strict=True):
        assert same(one, other)
        assert same(one, engine.synthesize([utterance])[0])


def test_a_batch_equals_one_by_one_within_the_tolerance(
    make: Callable[[int], SpeechT5Engine], together: list[Outcome]
) -> None:
    pairs = list(zip(make(1).synthesize(BATCH), together, strict=True))
    assert sum(isinstance(one, Waveform) for one, _ in pairs) >= 4
    for one, other in pairs:
        if isinstance(one, Failure) or isinstance(other, Failure):
            assert one == other
            continue
        np.testing.assert_allclose(one.samples, other.samples, atol=TOLERANCE)


def test_a_clip_is_what_generate_speech_gives_for_the_same_dropout(
    engine: SpeechT5Engine, together: list[Outcome]
) -> None:
    """transformers' own call for one text without padding; only the dropout's mask is given to it."""
    for utterance, clip in zip(BATCH, together, strict=True):
        loaded = engine.loaded()
        loaded.dropout.begin([utterance.seed])
        ids = loaded.tokenizer(utterance.text, return_tensors="pt")["input_ids"]
        speaker = torch.from_numpy(engine.speaker(utterance))[None]
        expected = loaded.model.generate_speech(ids, speaker, vocoder=loaded.vocoder)
        if isinstance(clip, Failure):  # there it was cut off at its limit of 20 frames a token
            assert len(expected) == ids.shape[1] * 20 * SAMPLES_A_FRAME
            continue
        np.testing.assert_allclose(clip.samples, expected.detach().numpy(), atol=TOLERANCE)


def test_seeds_are_heard_through_the_dropout(engine: SpeechT5Engine) -> None:
    """Only in clips of more than one step: the first step's frame of zeros is all the dropout has to work on."""
    first, again, other = (
        engine.synthesize([Utterance(text, voice, seed) for text in TEXTS for voice in ("bdl", "clb", "slt")])
        for seed in (1, 1, 2)
    )
    assert all(same(one, two) for one, two in zip(first, again, strict=True))
    assert sum(not same(one, two) for one, two in zip(first, other, strict=True)) >= 3


def test_dropout_keeps_a_unit_with_its_probability_and_scales_it() -> None:
    dropout = SeededDropout()
    dropout.begin([1, 2])
    ones = torch.ones(2, 3, 40_000)
    dropped = dropout(ones, 0.3)
    assert torch.equal(dropped[:, 0], dropped[:, 2])
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert (dropped[:, 0] > 0).float().mean(dim=1).tolist() == pytest.approx([0.3, 0.3], abs=0.012)  # 5 std. errors
    assert not torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropout(ones, 0.3), dropped)


def test_random_is_one_of_the_folders_speakers_by_the_seed(engine: SpeechT5Engine) -> None:
    names = engine.known_voices()[1:]
    assert names == ("bdl", "clb", "more/awb", "slt")
    chosen = [engine.speaker(Utterance("a", "random", seed)) for seed in range(200)]
    counts = [sum(np.array_equal(one, engine.speaker(Utterance("a", name))) for one in chosen) for name in names]
    assert sum(counts) == 200
    assert min(counts) > 25  # 50 are expected, give or take 6
    for seed in range(4):
        clip = engine.synthesize([Utterance("turn it on", "random", seed)])[0]
        assert sum(same(clip, engine.synthesize([Utterance("turn it on", name, seed)])[0]) for name in names) == 1


def test_texts_and_their_limits(engine: SpeechT5Engine) -> None:
    loaded = engine.loaded()
    assert loaded.tokens("play 5") == loaded.tokens("play five") != loaded.tokens("play")
    assert loaded.tokens("play ♪jazz") == loaded.tokens("play jazz")
    assert loaded.tokens("play")[-1] == loaded.tokenizer.eos_token_id
    letters = MAX_TEXT - 2  # the tokenizer puts a space before the text, the model an end behind it
    outcomes = engine.synthesize([Utterance(text, "bdl") for text in ("a" * letters, "a" * (letters + 1), "да", "on")])
    assert "takes at most" not in getattr(outcomes[0], "reason", "")
    assert outcomes[1] == Failure(f"text: SpeechT5 takes at most {MAX_TEXT - 1} characters (found {MAX_TEXT})")
    assert isinstance(outcomes[2], Failure)
    assert "no such letter" in outcomes[2].reason
    assert same(outcomes[3], engine.synthesize([Utterance("on", "bdl")])[0])


def test_a_clip_that_does_not_end_is_a_failure_whatever_its_batch(make: Callable[[int], SpeechT5Engine]) -> None:
    engine = make(4)
    with torch.no_grad():
        engine.loaded().model.speech_decoder_postnet.prob_out.bias.fill_(-100.0)
    short, long = (Utterance(text, "bdl") for text in ("on", "turn it on please"))
    together = engine.synthesize([short, long])
    assert together == [engine.synthesize([short])[0], engine.synthesize([long])[0]]
    assert together[0] == Failure("not at its end after 80 frames")  # " on" and the end: 4 tokens, 20 frames each


def test_voices_are_checked_and_revisions_follow_the_files(
    make: Callable[[int], SpeechT5Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make(4).resolve("") == ("random",)
    assert make(4).resolve("bdl+more/awb") == ("bdl", "more/awb")
    with pytest.raises(SynthesisError, match=r"no such voice \(found 'bld'\); did you mean 'bdl'"):
        make(4).resolve("bld")
    before = make(4).voice_revision("random")
    np.save(tmp_path / "one.npy", np.ones(512))
    monkeypatch.setenv("DATA_SYNTH_XVECTORS", str(tmp_path))
    assert make(4).voice_revision("random") != before
    monkeypatch.delenv("DATA_SYNTH_XVECTORS")
    with pytest.raises(SynthesisError, match="set DATA_SYNTH_XVECTORS"):
        make(4).resolve("")
    monkeypatch.setenv("DATA_SYNTH_SPEECHT5", str(tmp_path / "none"))
    with pytest.raises(SynthesisError, match="no such folder"):
        make(4).resolve("")


def test_x_vectors_in_every_form(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 512))
    (tmp_path / "sub").mkdir()
    np.save(tmp_path / "sub" / "flat.npy", rows[0])
    np.save(tmp_path / "single.npy", rows[1:2].astype(np.float32))
    np.save(tmp_path / "many.npy", rows)
    (tmp_path / "list.json").write_text(json.dumps(rows[2].tolist()))
    (tmp_path / "named.json").write_text(json.dumps({"b": rows[0].tolist(), "a": rows[1].tolist()}))
    expected = {
        "list": 2,
        "many/0": 0,
        "many/1": 1,
        "many/2": 2,
        "named/a": 1,
        "named/b": 0,
        "single": 1,
        "sub/flat": 0,
    }
    vectors = read_x_vectors(tmp_path)
    assert list(vectors) == sorted(expected)
    for name, row in expected.items():
        assert vectors[name].dtype == np.float32
        np.testing.assert_array_equal(vectors[name], rows[row].astype(np.float32))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", np.ones(256), r"a\.npy: an x-vector must have 512 numbers \(found \(256,\)\)"),
        ("a.npy", np.array([{}] * 512, dtype=object), "a.npy: it cannot be read: .*pickle"),
        ("a.npy", np.full(512, np.nan), "finite"),
        ("a.npy", np.zeros(512), "not all zero"),
        ("a.npy", b"\x93NUMPY", "a.npy: it cannot be read"),
        ("a.json", b"[1, 2", "a.json: it cannot be read"),
        ("a.json", b'{"b": "text"}', "must hold 512 numbers"),
        ("a.json", b"[]", "512 numbers"),
        ("a+b.npy", np.ones(512), r"without \+ and comma"),
        ("a.txt", b"", "no x-vectors"),
    ],
)
def test_what_is_no_x_vector_is_told(tmp_path: Path, name: str, content: object, said: str) -> None:
    if isinstance(content, np.ndarray):
        np.save(tmp_path / name, content, allow_pickle=True)
    else:
        (tmp_path / name).write_bytes(bytes(content))  # type: ignore[call-overload]
    with pytest.raises(SynthesisError, match=said):
        read_x_vectors(tmp_path)


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings of reference speech, and a small WavLM with an x-vector head."""
    folder = tmp_path / "reference"
    (folder / "ann").mkdir(parents=True)
    dice = np.random.default_rng(0)
    soundfile.write(folder / "ann" / "1.wav", 0.1 * dice.standard_normal(24_000), 16_000)
    soundfile.write(folder / "bob.flac", 0.2 * np.sin(np.arange(48_000) / 9), 22_050)
    monkeypatch.setenv("DATA_SYNTH_XVECTOR_MODEL", str(save_tiny_x_vector_model(tmp_path / "wavlm")))
    monkeypatch.setenv("DATA_SYNTH_REFERENCE", str(folder))
    return folder


def test_reference_speech_becomes_x_vectors(reference: Path, tmp_path: Path) -> None:
    """Against the model's own class, called by hand."""
    speech = ReferenceSpeech("speecht5", reference, Hardware())
    assert speech.names == ("ann/1", "bob")
    samples, _ = soundfile.read(reference / "ann" / "1.wav", dtype="float32")
    model = WavLMForXVector.from_pretrained(tmp_path / "wavlm").eval()
    values = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    with torch.no_grad():
        expected = model(torch.from_numpy(values[None])).embeddings[0].numpy()
    found = speech.vector("ann/1")
    assert found.shape == (512,)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    assert np.linalg.norm(speech.vector("bob")) == pytest.approx(1.0)
    assert np.abs(found - speech.vector("bob")).max() > 1e-3


def test_reference_speech_speaks_beside_given_x_vectors_and_alone(
    reference: Path, tiny: TinySpeechT5, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SpeechT5Engine()
    assert engine.resolve("ann/1+bdl+random") == ("ann/1", "bdl", "random")
    monkeypatch.delenv("DATA_SYNTH_XVECTORS")
    alone = SpeechT5Engine()
    assert alone.known_voices() == ("random", "ann/1", "bob")
    text = "turn it on"
    voices = [Utterance(text, voice, 3) for voice in ("ann/1", "bob", "random")]
    ann, bob, either = (clip.samples for clip in alone.synthesize(voices) if isinstance(clip, Waveform))
    assert not np.array_equal(ann, bob)
    assert any(np.array_equal(either, clip) for clip in (ann, bob))
    before = alone.voice_revision("bob")
    assert before != engine.voice_revision("bob")
    soundfile.write(reference / "bob.flac", 0.2 * np.sin(np.arange(48_000) / 7), 22_050)
    folder_digest.cache_clear()
    assert SpeechT5Engine().voice_revision("bob") != before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("short.wav", np.ones(8000) * 0.1, "must have 1 s and a sound"),
        ("silent.wav", np.zeros(32_000), "must have 1 s and a sound"),
        ("torn.wav", b"RIFF", "cannot be decoded"),
    ],
)
def test_reference_speech_that_cannot_be_used_is_the_clips_reason(
    reference: Path, make: Callable[[int], SpeechT5Engine], name: str, content: object, said: str
) -> None:
    if isinstance(content, bytes):
        (reference / name).write_bytes(content)
    else:
        soundfile.write(reference / name, content, 16_000)
    find_recordings.cache_clear()
    [outcome] = make(4).synthesize([Utterance("stop", Path(name).stem)])
    assert isinstance(outcome, Failure)
    assert said in outcome.reason


def test_reference_speech_and_x_vectors_of_one_name_are_refused(reference: Path) -> None:
    soundfile.write(reference / "bdl.wav", np.ones(20_000) * 0.1, 16_000)
    find_recordings.cache_clear()
    with pytest.raises(SynthesisError, match="must not have the same name"):
        SpeechT5Engine().resolve("bdl")


@pytest.mark.slow
@pytest.mark.usefixtures("registered")
def test_a_run_that_is_taken_up_again_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    load_engine.cache_clear()
    texts = [Text.of(words, "a") for words in ("turn it on", "play some jazz", "stop", "the lazy dog")]
    options = SynthesisOptions.parse({"engines": "speecht5:random+bdl", "voices_per_text": 3, "gates": None})
    synthesize(texts[:2], tmp_path / "twice", options, progress=False)
    again = synthesize(texts, tmp_path / "twice", options, progress=False)
    once = synthesize(texts, tmp_path / "once", options, progress=False)
    assert 0 < again.made < once.made
    assert once.kept >= 8
    assert clips_of(tmp_path / "twice") == clips_of(tmp_path / "once")


@pytest.mark.published
def test_published_weights_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """microsoft/speecht5_tts with its vocoder and the x-vectors of `$DATA_SYNTH_PUBLISHED_XVECTORS`."""
    folder = os.environ.get("DATA_SYNTH_PUBLISHED_XVECTORS")
    if not folder:
        pytest.skip(
            "set DATA_SYNTH_PUBLISHED_XVECTORS to a folder of x-vectors to fetch and run microsoft/speecht5_tts"
        )
    for name in ("SPEECHT5", "SPEECHT5_VOCODER"):
        monkeypatch.delenv(f"DATA_SYNTH_{name}")
    monkeypatch.setenv("DATA_SYNTH_XVECTORS", folder)
    engine = SpeechT5Engine()
    text = "please turn the volume of the kitchen speakers down a little"
    for clip in engine.synthesize([Utterance(text, "random", seed) for seed in range(3)]):
        assert isinstance(clip, Waveform), clip
        assert 2 < len(clip.samples) / RATE < 8
        assert 0.05 < np.abs(clip.samples).max() <= 1.0
