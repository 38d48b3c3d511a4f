"""BARK, with small random weights of the real classes: lengths, seeds, batches, settings, and what can be missing."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_synth.engines import Failure, Outcome, Utterance, Waveform
from data_synth.engines.bark import BarkEngine
from data_synth.engines.support.pretrained import hub_silence
from data_synth.engines.support.sampling import SeededDraw
from data_synth.plan.options import SynthesisOptions
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import ConfigError, SynthesisError
from speech_analogy.foundation.digests import derive
from tests.data_synth.contents import clips_of
from tests.data_synth.engines.outcomes import same
from tests.data_synth.engines.tiny_bark import PRESET, save_tiny_bark
from tests.pretended_gpu import OnGpu, pretended_gpu

RATE, SAMPLES_A_FRAME = 24_000, 320
BATCH = [
    Utterance(text, "small", seed)
    for seed, text in enumerate(("turn it on", "play some jazz", "stop", "turn the music on please", "a", "stop it"))
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bark(tmp_path_factory.mktemp("bark") / "small")


@pytest.fixture(autouse=True)
def _environment(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVICE", "DTYPE", "OFFLOAD", "BARK_LARGE"):
        monkeypatch.delenv(f"DATA_SYNTH_{name}", raising=False)
    monkeypatch.setenv("DATA_SYNTH_BARK_SMALL", str(weights))
    monkeypatch.setenv("DATA_SYNTH_BARK_BATCH", "4")


@pytest.fixture(scope="module")
def engine(weights: Path) -> BarkEngine:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATA_SYNTH_BARK_SMALL", str(weights))
        environment.setenv("DATA_SYNTH_BARK_BATCH", "4")
        made = BarkEngine()
        made.loaded("small")  # the environment is read
    return made


@pytest.fixture(scope="module")
def together(engine: BarkEngine) -> list[Outcome]:
    """The clips of `BATCH`, spoken in one call."""
    return engine.synthesize(BATCH)


@pytest.fixture(scope="module")
def first(together: list[Outcome]) -> Utterance:
    """The first utterance of `BATCH` that became a clip."""
    return next(utterance for utterance, one in zip(BATCH, together, strict=True) if isinstance(one, Waveform))


def spoken(engine: BarkEngine, *batch: Utterance) -> list[np.ndarray]:
    outcomes = engine.synthesize(batch)
    assert all(isinstance(outcome, Waveform) for outcome in outcomes), outcomes
    return [outcome.samples for outcome in outcomes if isinstance(outcome, Waveform)]


def test_clips_have_lengths_of_their_own(together: list[Outcome]) -> None:
    clips = [outcome for outcome in together if isinstance(outcome, Waveform)]
    assert len(clips) >= 4, together
    for clip in clips:
        assert (clip.rate, clip.samples.dtype, clip.samples.ndim) == (RATE, np.float32, 1)
        assert len(clip.samples) % SAMPLES_A_FRAME == 0
        assert np.isfinite(clip.samples).all()
    assert len({len(clip.samples) for clip in clips}) >= 3


def test_a_clip_depends_on_its_own_seed_and_not_on_its_batch(engine: BarkEngine, together: list[Outcome]) -> None:
    """Bit for bit: alone, in another order, among others."""
    backwards = engine.synthesize(BATCH[::-1])[::-1]
    for utterance, one, other in zip(BATCH, together, backwards, strict=True):
        alone = engine.synthesize([utterance])[0]
        assert same(one, other)
        assert same(one, alone)


def test_another_seed_is_another_clip_of_the_same_text(engine: BarkEngine) -> None:
    outcomes = engine.synthesize([Utterance("play some jazz", "small", seed) for seed in range(8)])
    clips = {outcome.samples.tobytes() for outcome in outcomes if isinstance(outcome, Waveform)}
    assert len(clips) == sum(isinstance(outcome, Waveform) for outcome in outcomes) >= 5


def test_a_clip_is_what_barkmodel_generate_gives_for_the_same_draws(
    engine: BarkEngine, first: Utterance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers' own `generate`, one clip, with the random numbers of its `multinomial` laid in its hand."""
    utterance = first
    [samples] = spoken(engine, utterance)
    loaded = engine.loaded("small")
    stages = {10_048: "semantic", 12_096: "coarse"}
    dice = {size: np.random.default_rng(derive(utterance.seed, "bark", stage)) for size, stage in stages.items()}
    original = torch.multinomial

    def multinomial(probabilities: torch.Tensor, num_samples: int) -> torch.Tensor:
        size = probabilities.shape[-1]
        if size not in dice:
            return original(probabilities, num_samples)
        cumulated = np.cumsum(probabilities[0].double().numpy())
        share = (1.0 - dice[size].random()) * cumulated[-1]
        return torch.tensor([[int(np.searchsorted(cumulated, share, side="left"))]])

    monkeypatch.setattr(torch, "multinomial", multinomial)
    torch.manual_seed(derive(utterance.seed, "bark", "fine"))
    waves, lengths = loaded.model.generate(**loaded.processor(utterance.text), return_output_lengths=True)
    assert lengths == [len(samples)]
    np.testing.assert_allclose(waves[0].numpy(), samples, atol=1e-5)


def test_draws_follow_the_probabilities() -> None:
    rows = 20_000
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.15, 0.05, 0.0])
    draw = SeededDraw(
        range(rows),
    )
    scores = draw(torch.zeros(rows, 1), probabilities.log().expand(rows, -1))
    assert torch.equal(scores.max(dim=-1).values, torch.zeros(rows))
    shares = torch.bincount(scores.argmax(dim=-1), minlength=6) / rows
    assert shares[1] == shares[5] == 0
    torch.testing.assert_close(shares, probabilities, atol=5 * (0.25 / rows) ** 0.5, rtol=0)  # 5 standard errors
    assert not draw.not_finite(0)


def test_probabilities_that_are_not_finite_are_noticed_by_row() -> None:
    draw = SeededDraw([1, 2])
    draw(torch.zeros(2, 1), torch.tensor([[0.0, 1.0], [torch.nan, 0.0]]))
    draw(torch.zeros(2, 1), torch.zeros(2, 2))
    assert (draw.not_finite(0), draw.not_finite(1)) == (False, True)


@pytest.mark.parametrize("name", ["semantic_temperature", "coarse_temperature", "fine_temperature"])
def test_temperatures_are_the_checkpoints_own_unless_given(
    engine: BarkEngine, first: Utterance, together: list[Outcome], name: str
) -> None:
    own = {"semantic_temperature": 1.0, "coarse_temperature": 0.7, "fine_temperature": 0.5}[name]
    default = together[BATCH.index(first)]
    outcomes = [
        engine.synthesize([Utterance(first.text, "small", first.seed, {name: value})])[0] for value in (own, 1.9)
    ]
    assert same(default, outcomes[0])
    assert not same(default, outcomes[1])


def test_clips_that_do_not_end_or_do_not_begin_are_failures(engine: BarkEngine) -> None:
    hot = {"semantic_temperature": 2.0}
    batch = [Utterance("turn it on", "small", seed, hot) for seed in range(4)]
    outcomes = engine.synthesize(batch)
    cut_off = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Failure)]
    assert cut_off
    assert outcomes[cut_off[0]] == Failure(
        "not at its end after 1.2 s, BARK's limit: the text is too long, or it wandered"
    )
    keep = Utterance("turn it on", "small", batch[cut_off[0]].seed, {**hot, "keep_unfinished": 1})
    assert len(spoken(engine, keep)[0]) == 90 * SAMPLES_A_FRAME  # 60 tokens at 49.9 Hz in frames at 75 Hz
    at_once = Utterance("turn it on", "small", 0, {"min_eos_p": 1e-6})
    assert engine.synthesize([at_once]) == [Failure("BARK ended before it had said anything")]


def test_a_text_that_is_too_long_is_a_failure_and_the_rest_is_unharmed(
    engine: BarkEngine, together: list[Outcome]
) -> None:
    mixed = engine.synthesize([BATCH[0], Utterance("turn " * 257, "small"), BATCH[1]])
    assert mixed[1] == Failure("the text is too long: 257 tokens, BARK takes 256")
    assert same(mixed[0], together[0])
    assert same(mixed[2], together[1])


def test_speed_resamples(engine: BarkEngine, first: Utterance) -> None:
    plain, fast = spoken(engine, first, Utterance(first.text, "small", first.seed, {"speed": 2.0}))
    assert len(fast) == pytest.approx(len(plain) / 2, abs=2)


def test_voices_are_checkpoints_and_presets(engine: BarkEngine) -> None:
    assert engine.resolve("") == ("small",)
    assert engine.resolve(f"small+{PRESET}+small/{PRESET}") == ("small", f"small/{PRESET}", f"small/{PRESET}")
    for wrong in ("v2/en_speaker_7", "small/", "medium", f"small/{PRESET}/x"):
        with pytest.raises(SynthesisError, match="no such voice"):
            engine.resolve(wrong)
    with pytest.raises(SynthesisError, match="no such parameter"):
        engine.check({"temperature": 0.7})


def test_a_preset_changes_the_clip_and_mixes_with_clips_that_have_none(engine: BarkEngine) -> None:
    with_preset = [Utterance("play some jazz", f"small/{PRESET}", seed) for seed in range(4)]
    without = [Utterance("play some jazz", "small", seed) for seed in range(4)]
    mixed = engine.synthesize([u for pair in zip(with_preset, without, strict=True) for u in pair])
    for one, other in zip(mixed[::2], engine.synthesize(with_preset), strict=True):
        assert same(one, other)
    for one, other in zip(mixed[1::2], engine.synthesize(without), strict=True):
        assert same(one, other)
    assert not all(same(one, other) for one, other in zip(mixed[::2], mixed[1::2], strict=True))


def test_the_precision_is_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_SYNTH_DTYPE", "bfloat16")
    engine = BarkEngine()
    assert "bfloat16" in engine.voice_revision("small")
    assert any(isinstance(outcome, Waveform) for outcome in engine.synthesize(BATCH))
    assert {weight.dtype for weight in engine.loaded("small").model.parameters()} == {torch.bfloat16}
    monkeypatch.setenv("DATA_SYNTH_DTYPE", "float8")
    with pytest.raises(ConfigError, match="dtype"):
        BarkEngine()


def test_offloading_brings_every_part_to_its_device_and_changes_nothing(together: list[Outcome]) -> None:
    """The hooks that `enable_cpu_offload` lays, here with the CPU as the device to bring the parts to."""
    from accelerate import cpu_offload_with_hook

    offloaded = BarkEngine()
    model = offloaded.loaded("small").model
    device, hook = torch.device("cpu"), None
    model.semantic.input_embeds_layer, _ = cpu_offload_with_hook(model.semantic.input_embeds_layer, device)
    for part in (model.semantic, model.coarse_acoustics, model.fine_acoustics):
        _, hook = cpu_offload_with_hook(part, device, prev_module_hook=hook)
    model.fine_acoustics_hook = hook
    _, model.codec_model_hook = cpu_offload_with_hook(model.codec_model, device, prev_module_hook=hook)
    for one, other in zip(offloaded.synthesize(BATCH[:4]), together[:4], strict=True):
        assert same(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("voice", ["small", f"small/{PRESET}"])
def test_nothing_of_it_is_left_off_the_gpu(voice: str, engine: BarkEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [replace(utterance, voice=voice) for utterance in BATCH[:4]]
    expected = engine.synthesize(batch)
    assert any(isinstance(one, Waveform) for one in expected)
    monkeypatch.setenv("DATA_SYNTH_DTYPE", "float32")
    with pretended_gpu(monkeypatch):
        found = BarkEngine().synthesize(batch)
        assert OnGpu.operations > 100
    for one, other in zip(found, expected, strict=True):
        assert same(one, other)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(("name", "value"), [("OFFLOAD", "1"), ("DEVICE", "cuda")])
def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DATA_SYNTH_{name}", value)
    [outcome] = BarkEngine().synthesize(BATCH[:1])
    assert isinstance(outcome, Failure)
    assert "needs a GPU" in outcome.reason or "torch sees no such device" in outcome.reason


def test_folders_that_are_no_model_are_told(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {str(tmp_path): "must have a config.json", str(tmp_path / "none"): "no such folder"}
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in ("config.json", "generation_config.json"):
        (broken / file).write_bytes((weights / file).read_bytes())
    cases[str(broken)] = "must have weights"
    for folder, said in cases.items():
        monkeypatch.setenv("DATA_SYNTH_BARK_SMALL", folder)
        with pytest.raises(SynthesisError, match=said):
            BarkEngine().resolve("")
    (broken / "model.safetensors").write_bytes(b"not weights")
    monkeypatch.setenv("DATA_SYNTH_BARK_SMALL", str(broken))
    [outcome] = BarkEngine().synthesize(BATCH[:1])
    assert isinstance(outcome, Failure)
    assert "cannot be loaded" in outcome.reason


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_hub_it_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    monkeypatch.delenv("DATA_SYNTH_BARK_SMALL")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "*")
    hub_silence.cache_clear()
    begin = time.monotonic()
    with pytest.raises(SynthesisError, match=r"no model hub can be reached .*'suno/bark-small'.*DATA_SYNTH_BARK_SMALL"):
        BarkEngine().resolve("")
    assert time.monotonic() - begin < 10
    hub_silence.cache_clear()


def test_the_revision_follows_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: BarkEngine) -> None:
    other = save_tiny_bark(tmp_path / "other", preset=False, seed=1)
    monkeypatch.setenv("DATA_SYNTH_BARK_SMALL", str(other))
    assert BarkEngine().voice_revision("small") != engine.voice_revision("small")
    with pytest.raises(SynthesisError, match="no such voice"):
        BarkEngine().resolve(PRESET)


@pytest.mark.slow
@pytest.mark.usefixtures("registered")
def test_a_run_that_is_taken_up_again_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    texts = [Text.of(words, "a") for words in ("turn it on", "play some jazz", "stop the music", "a")]
    options = SynthesisOptions.parse({"engines": f"bark:small+{PRESET}", "voices_per_text": 3, "gates": None})
    synthesize(texts[:2], tmp_path / "twice", options, progress=False)
    again = synthesize(texts, tmp_path / "twice", options, progress=False)
    once = synthesize(texts, tmp_path / "once", options, progress=False)
    assert 0 < again.made < once.made
    assert synthesize(texts, tmp_path / "twice", options, progress=False).made == 0
    assert clips_of(tmp_path / "twice") == clips_of(tmp_path / "once")
    assert once.kept >= 8


def test_torch_is_not_imported_by_listing_the_engines() -> None:
    lines = (
        "import sys, data_synth.engines.bark, data_synth.engines.speecht5, data_synth.engines.command",
        "data_synth.engines.bark.BarkEngine(); data_synth.engines.speecht5.SpeechT5Engine()",
        "assert not {'torch', 'transformers', 'lhotse'} & set(sys.modules)",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=120)


@pytest.mark.published
def test_published_weights_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """suno/bark-small, with a preset and without: 2 s to 8 s for ten words, peaks above silence."""
    monkeypatch.delenv("DATA_SYNTH_BARK_SMALL")
    engine = BarkEngine()
    text = "please turn the volume of the kitchen speakers down a little"
    voices = engine.resolve(f"small+{PRESET}")
    for clip in spoken(engine, *(Utterance(text, voice, 1, {"min_eos_p": 0.2}) for voice in voices)):
        assert 2 < len(clip) / RATE < 8
        assert 0.05 < np.abs(clip).max() <= 1.0
