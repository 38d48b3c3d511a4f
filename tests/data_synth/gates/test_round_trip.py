"""The gates that run a model: injected by name, last in cost, refused where they would judge their own kind."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_synth.gates import quality
from data_synth.gates.judge import GateOptions, judge
from data_synth.gates.quality import QualityOptions
from data_synth.gates.round_trip import RoundTripOptions, character_error_rate, load_recogniser
from data_synth.plan.options import SynthesisOptions
from data_synth.store.ledger import Ledger
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import ConfigError, SynthesisError
from tests.data_synth.gates.listeners import Listener

RATE = 16_000
TEXT = "play some jazz"
HERE = "tests.data_synth.gates.listeners:"


def tone(seconds: float = 1.2, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def options(recogniser: str, **more: object) -> GateOptions:
    return GateOptions.parse({"round_trip": {"recogniser": HERE + recogniser, **more}})


@pytest.mark.parametrize(
    ("text", "heard", "rate"),
    [
        ("play some jazz", "Play some jazz!", 0.0),
        ("play some jazz", "play some chess", 5 / 12),  # jazz, chess: 4 replaced, 1 put in
        ("play some jazz", "", 1.0),
        ("ice cream", "icecream", 0.0),
        ("wake me at 7", "Wake me at seven.", 0.0),
        ("it's twenty one degrees", "It is 21 degrees", 0.0),
        ("um", "Um.", 0.0),  # the normaliser leaves nothing of it
        ("um", "no", 1.0),
        ("ab", "abcdef", 2.0),
    ],
)
def test_character_error_rate_by_hand(text: str, heard: str, rate: float) -> None:
    assert character_error_rate(text, heard) == pytest.approx(rate)


def test_other_languages_are_compared_without_marks_of_their_own() -> None:
    assert character_error_rate("Spiel Jazz, bitte!", "spiel jazz bitte", "de") == 0.0
    assert character_error_rate("你好，世界", "你好世界", "zh") == 0.0
    assert character_error_rate("你好，世界", "你好世纪", "zh-CN") == pytest.approx(0.25)


@given(st.text(alphabet="abcdefgh ", max_size=12), st.text(alphabet="abcdefgh ", max_size=12))
def test_character_error_rate_is_the_edit_distance(text: str, heard: str) -> None:
    """Against Levenshtein's recursion written down anew; digits and contractions are not in the alphabet."""
    a, b = text.replace(" ", ""), heard.replace(" ", "")
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row, before = [i], row
        for j, y in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
    expected = row[-1] / len(a) if a else float(len(b))
    assert character_error_rate(text, heard, "de") == pytest.approx(expected)


def test_a_clip_that_is_understood_passes_and_its_number_is_recorded() -> None:
    verdict = judge(tone(), RATE, TEXT, options("hears"))
    assert verdict.reason is None
    assert list(verdict.readings)[-1] == "character_error_rate"
    reading = verdict.readings["character_error_rate"]
    assert (reading.value, reading.maximum) == (0.0, 0.3)


def test_a_clip_that_is_not_understood_is_rejected_and_the_reason_says_what_was_heard() -> None:
    verdict = judge(tone(), RATE, TEXT, options("hears", parameters={"text": "stay and chess"}))
    assert verdict.reason is not None
    assert verdict.reason.startswith("character_error_rate 0.")
    assert verdict.reason.endswith("is above 0.3: heard 'stay and chess'")
    loose = options("hears", parameters={"text": "stay and chess"}, max_character_error_rate=0.9)
    assert judge(tone(), RATE, TEXT, loose).reason is None


def test_the_recogniser_is_not_asked_where_a_cheaper_gate_has_failed() -> None:
    gates = options("Listener")
    before = Listener.asked
    assert (judge(tone(level=0.002), RATE, TEXT, gates).reason or "").startswith("level_db")
    assert Listener.asked == before
    assert judge(tone(), RATE, TEXT, gates).reason is None
    assert Listener.asked == before + 1


def test_a_recogniser_is_made_once_a_process() -> None:
    gates = options("Listener", parameters={"text": "once"})
    before = Listener.made
    for _ in range(3):
        judge(tone(), RATE, TEXT, gates)
    assert Listener.made == before + 1


@pytest.mark.parametrize(("name", "said"), [("raises", "RuntimeError: no ears"), ("gives_a_number", "not int")])
def test_a_recogniser_that_fails_is_the_clips_reason(name: str, said: str) -> None:
    verdict = judge(tone(), RATE, TEXT, options(name))
    assert (verdict.reason or "").startswith("character_error_rate could not be measured: ")
    assert said in (verdict.reason or "")
    assert verdict.readings["character_error_rate"].value is None


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"recogniser": "nothing"}, ConfigError, "module:attribute or an entry point of data_synth.recognisers"),
        ({"recogniser": "no.such.module:f"}, SynthesisError, "cannot be imported"),
        ({"recogniser": HERE + "hear"}, ConfigError, "names nothing"),
        ({"recogniser": HERE + "NOT_CALLABLE"}, ConfigError, "cannot be called"),
        ({"recogniser": HERE + "Unmade"}, SynthesisError, "the weights are not here"),
        ({"recogniser": HERE + "Listener", "parameters": {"model": "x"}}, ConfigError, "unexpected keyword"),
        ({"recogniser": HERE + "hears", "parameters": {"txt": "x"}}, ConfigError, "unexpected keyword"),
    ],
)
def test_what_is_named_wrongly_is_told_in_one_line(
    settings: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=r"gates\.round_trip\.recogniser") as caught:
        GateOptions.parse({"round_trip": settings}).load()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("trained", "parameters"),
    [
        ("whisper-base", {"name": "openai/whisper-base"}),
        ("pip:whisper-base", {"name": "whisper-base"}),
        ("pip:whisper-base", {"name": "Whisper-Base"}),
        ("sha256:abc", {"weights": "abc"}),
        (HERE + "Listener", {}),
    ],
)
def test_the_recogniser_that_is_trained_is_refused(trained: str, parameters: dict[str, str]) -> None:
    gates = options("Listener", parameters=parameters, trained=["something", trained])
    with pytest.raises(ConfigError, match="must be another recogniser than the one being trained"):
        gates.load()
    with pytest.raises(ConfigError, match="must be another recogniser"):  # and in a worker, which judges at once
        judge(tone(), RATE, TEXT, gates)


def test_a_folder_of_weights_is_refused_by_any_path_to_it(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "base")
    listener = RoundTripOptions.parse(
        {
            "recogniser": HERE + "Listener",
            "parameters": {"name": str(tmp_path / "link")},
            "trained": [str(tmp_path / "base")],
        }
    )
    with pytest.raises(ConfigError, match="must be another"):
        load_recogniser(listener)


def test_another_recogniser_than_the_trained_one_is_taken() -> None:
    options("Listener", parameters={"name": "openai/whisper-small"}, trained=["openai/whisper-base", "sha256:1"]).load()


def scored(minimum: float, metric: str = HERE + "loudness") -> GateOptions:
    return GateOptions(quality=QualityOptions(metric=metric, minimum=minimum))


def test_the_quality_score_is_a_number_and_a_threshold() -> None:
    level = 0.3 / np.sqrt(2)
    verdict = judge(tone(), RATE, TEXT, scored(1.5))
    assert verdict.reason is None
    assert verdict.readings["quality"].value == pytest.approx(1 + 4 * level, rel=0.01)
    assert verdict.readings["quality"].minimum == 1.5
    assert (judge(tone(), RATE, TEXT, scored(3.0)).reason or "").startswith("quality 1.85 is below 3")
    assert "the score is nan" in (judge(tone(), RATE, TEXT, scored(1.0, HERE + "not_a_number")).reason or "")


def test_the_round_trip_comes_after_the_score() -> None:
    both = GateOptions.parse(
        {"quality": {"metric": HERE + "loudness", "minimum": 5.0}, "round_trip": {"recogniser": HERE + "Listener"}}
    )
    before = Listener.asked
    verdict = judge(tone(), RATE, TEXT, both)
    assert (verdict.reason or "").startswith("quality")
    assert "character_error_rate" not in verdict.readings
    assert Listener.asked == before


def test_a_metric_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.audio.dnsmos", None)
    quality.built_in_scorer.cache_clear()
    with pytest.raises(SynthesisError, match=r"gates\.quality\.metric: needs torchmetrics.*pip install"):
        GateOptions.parse({"quality": {"metric": "dnsmos"}}).load()
    with pytest.raises(ConfigError, match="takes no parameters"):
        GateOptions.parse({"quality": {"metric": "dnsmos", "parameters": {"a": 1}}}).load()


def test_torchmetrics_functions_are_called_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with torchmetrics' signature (1.9) and shapes stands in: the overall score is taken, faults are told."""
    import types

    import torch

    def dnsmos(preds: torch.Tensor, fs: int, personalized: bool, device: str | None = None) -> torch.Tensor:
        if broken:
            raise ConnectionError("no route\nto host")
        assert (preds.dtype, preds.ndim, personalized) == (torch.float32, 1, False)
        return torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)  # p808, sig, bak, ovr

    def nisqa(preds: torch.Tensor, fs: int) -> torch.Tensor:
        return torch.tensor([4.5, 1.0, 1.0, 1.0, 1.0])  # overall, noisiness, discontinuity, coloration, loudness

    for name, function in (("dnsmos", dnsmos), ("nisqa", nisqa)):
        path, attribute, *_ = quality.BUILT_IN[name]
        parts = path.split(".")
        for end in range(1, len(parts) + 1):
            package = ".".join(parts[:end])
            if package not in sys.modules:
                monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
        monkeypatch.setattr(sys.modules[path], attribute, function, raising=False)
    quality.built_in_scorer.cache_clear()
    broken = False
    assert quality.score(tone(), RATE, QualityOptions(metric="dnsmos")) == 4.0
    assert quality.score(tone(), RATE, QualityOptions(metric="nisqa")) == 4.5
    quality.built_in_scorer.cache_clear()
    broken = True
    with pytest.raises(SynthesisError, match=r"weights are missing or broken.*no route to host.*torchmetrics"):
        GateOptions.parse({"quality": {"metric": "dnsmos"}}).load()
    quality.built_in_scorer.cache_clear()


@pytest.mark.usefixtures("plugin")
def test_every_worker_loads_the_recogniser_and_the_ledger_tells_of_it(tmp_path: Path) -> None:
    texts = [Text.of(words) for words in (TEXT, "stop", "turn it on", "never heard of", "go", "why not")]
    gates = {"round_trip": {"recogniser": HERE + "Listener", "max_character_error_rate": 0.2}}
    report = synthesize(
        texts, tmp_path / "out", SynthesisOptions.parse({"engines": "fake", "gates": gates, "workers": 2}),
        progress=False,
    )  # fmt: skip
    assert (report.kept, report.clips) == (1, 6)
    rows = list(Ledger(tmp_path / "out").rows.values())
    assert {row.text for row in rows if row.kept} == {TEXT}
    for row in rows:
        gate = row.gates["character_error_rate"]
        assert gate.value is not None
        assert (gate.value <= 0.2) == row.kept
        assert gate.maximum == 0.2
    assert report.rejections == {"character_error_rate": 15}
