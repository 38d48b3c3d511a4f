"""Plans: what a change of the recipe makes anew, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.adaptation.plan import draft
from speech_analogy.adaptation.plan.names import model
from speech_analogy.adaptation.split import Split, split
from speech_analogy.errors import ConfigError
from speech_analogy.recognisers import loading as backends
from speech_analogy.systems.catalogue import TRAINED_ON, trained_systems
from tests.adaptation.building import RECIPE, folders_of, plan_of_parts, recipe_of
from tests.small_conformer import make_conformer


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"scales": [0.0, 0.5]}, {"choose-scale", "analogy"}),
        ({"evaluation": {"beams": 2}}, {"evaluate", "choose-scale", "analogy"}),
        ({"training": {"epochs": 9}}, {"finetune", "evaluate", "choose-scale", "analogy"}),
        ({"title": "other", "note": "other"}, set()),
        ({"training_seed": 7}, {"finetune", "evaluate", "choose-scale", "analogy"}),
        ({"scale_selection": {"compare": ["fixed"]}, "report_forgetting": True, "controls": {"seeds": 9}}, set()),
        (
            {"synthesis": {**RECIPE["synthesis"], "target": {"engines": ["hibari"], "voices_per_text": 3}}},  # type: ignore[dict-item]
            {"synthesise-target", "finetune-target_synthetic", "finetune-mixed", "evaluate", "choose-scale", "analogy"},
        ),
    ],
)
def test_a_change_redoes_what_hangs_on_it(
    change: dict[str, object], redone: set[str], parts: Split, tmp_path: Path
) -> None:
    before, after = folders_of(recipe_of(), parts, tmp_path), folders_of(recipe_of(**change), parts, tmp_path)
    changed = {name for name, folder in after.items() if name in before and before[name] != folder}
    assert all(any(name.startswith(prefix) for prefix in redone) for name in changed)
    assert all(any(name.startswith(prefix) for name in changed) for prefix in redone)
    untouched = {"corpus", "split", "texts", "synthesise-source"}
    assert not changed & untouched


def test_systems_ask_only_for_the_trainings_they_need(parts: Split, tmp_path: Path) -> None:
    plan = plan_of_parts(recipe_of(systems=["zero_shot", "mixed"]), parts, tmp_path)
    assert {stage.name for stage in plan if stage.kind == "finetune"} == {"finetune-mixed"}
    assert trained_systems(("analogy",)) == ["source_synthetic", "source_real", "target_synthetic"]
    assert trained_systems(tuple(TRAINED_ON)) == list(TRAINED_ON)


def test_the_published_system_has_a_model_and_nothing_else_changes(parts: Split, tmp_path: Path) -> None:
    systems = ["mixed", "analogy", "mean_of_mixed_and_analogy", "analogy_on_mixed", "soup"]
    before = folders_of(recipe_of(systems=systems), parts, tmp_path)
    written = {
        "mean_of_mixed_and_analogy": ("finetune-mixed", "analogy"),
        "analogy_on_mixed": (
            "finetune-mixed", "finetune-source_real", "finetune-source_synthetic", "choose-scale-analogy_on_mixed",
        ),
    }  # fmt: skip
    for system in systems:
        recipe = recipe_of(systems=systems, publish=system)
        plan = plan_of_parts(recipe, parts, tmp_path)
        names = {stage.name for stage in plan}
        assert model(system) in names
        assert names - set(before) == ({system} if system in written else set())
        assert all(plan.folder(name).name == folder for name, folder in before.items())
        if system in written:
            assert plan.stages[system].needs == written[system]


@pytest.mark.parametrize(
    ("publish", "rule"),
    [("soup", "not among systems"), ("zero_shot", "has no model"), ("random_vector", "no model")],
)
def test_what_cannot_be_published_is_an_error(publish: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        recipe_of(systems=["zero_shot", "analogy", "random_vector"], publish=publish)


@pytest.mark.parametrize("name", ["packed", "padded"])
def test_windows_with_time_stamps_are_refused_of_a_family_that_writes_none(
    parts: Split, tmp_path: Path, name: str
) -> None:
    recipe = recipe_of(base=str(make_conformer(tmp_path / "conformer")), training={name: 0.25})
    with pytest.raises(ConfigError, match=rf"training\.{name}: .*writes no time stamps.*0\.25.*set it to 0"):
        plan_of_parts(recipe, parts, tmp_path)


def test_search_tries_rates_then_epochs(parts: Split, tmp_path: Path) -> None:
    search = {"learning_rates": [1e-5, 1e-4], "epochs": [3, 1], "source_utterances": 4}
    plan = plan_of_parts(recipe_of(search=search), parts, tmp_path)
    trials = [stage for stage in plan if stage.kind == "trial"]
    assert {(s.record["system"], s.record["override"].get("learning_rate"), s.record["override"]["epochs"])
            for s in trials} == {
        (system, rate, epochs)
        for system in ("source_real", "mixed")
        for rate, epochs in ((1e-5, 1), (1e-4, 1), (None, 3))
    }  # fmt: skip
    assert all("choose-rate" in s.needs for s in trials if "learning_rate" not in s.record["override"])
    assert all("choose-training" in s.needs for s in plan if s.kind == "finetune")
    no_test = [
        s.name
        for s in plan
        if s.kind in ("trial", "choice", "scale") and ["split", "test.jsonl.gz"] in s.record.values()
    ]
    assert no_test == []


def test_scale_is_never_chosen_on_the_test(parts: Split, tmp_path: Path) -> None:
    plan = plan_of_parts(recipe_of(), parts, tmp_path)
    for need in plan.stages["choose-scale"].needs:
        assert plan.stages[need].record["cuts"] == ["split", "source_dev.jsonl.gz"]


@pytest.mark.parametrize("part", ["source_dev", "target_dev"])
def test_systems_heard_on_a_held_out_part_never_meet_the_test(part: str, noises: CutSet, tmp_path: Path) -> None:
    recipe = recipe_of(
        split={**RECIPE["split"], "target_dev": {"prompts": 1}},  # type: ignore[dict-item]
        scale_chosen_on=["source_dev", "target_dev"],
        evaluation={"part": part},
    )
    plan = plan_of_parts(recipe, split(noises, recipe), tmp_path)
    heard = {stage.name: stage.record["cuts"] for stage in plan if stage.kind == "evaluate"}
    assert heard[f"evaluate-mixed-on-{part}"] == ["split", f"{part}.jsonl.gz"]
    assert f"evaluate-analogy-1-on-{part}" in heard
    assert ["split", "test.jsonl.gz"] not in heard.values()


def test_a_part_that_is_not_held_out_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"evaluation\.part names target_dev"):
        recipe_of(evaluation={"part": "target_dev"})


def test_backend_of_a_recipe(parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch adds no key to what stages are named by; `auto` is settled once for the whole run."""
    systems = ["zero_shot", "source_synthetic"]
    for evaluation, keys in (({}, {"fallback"}), ({"fallback": False}, set())):
        plan = plan_of_parts(recipe_of(evaluation=evaluation), parts, tmp_path)
        [stage] = [stage for stage in plan if stage.name == "evaluate-zero_shot"]
        assert set(stage.record["evaluation"]) == {"beams", "window", "cluster"} | keys
    folders = {
        backend: folders_of(recipe_of(evaluation={"backend": backend}, systems=systems), parts, tmp_path)
        for backend in ("torch", "ctranslate2", "auto")
    }
    changed = {name for name, folder in folders["torch"].items() if folders["ctranslate2"][name] != folder}
    assert changed == {"evaluate-zero_shot", "evaluate-source_synthetic"}
    assert folders["auto"] == folders["torch"]  # eight noises do not repay a conversion
    monkeypatch.setattr(backends, "CONVERSION_REPAID_S", 1.0)
    monkeypatch.setattr(draft, "ctranslate2_installed", lambda: True)
    assert (
        folders_of(recipe_of(evaluation={"backend": "auto"}, systems=systems), parts, tmp_path)
        == folders["ctranslate2"]
    )


def test_auto_is_torch_where_the_base_has_no_other_backend(
    parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Conformer, which CTranslate2 cannot decode, however much speech there is."""
    base = str(make_conformer(tmp_path / "base"))
    monkeypatch.setattr(backends, "CONVERSION_REPAID_S", 1.0)
    monkeypatch.setattr(draft, "ctranslate2_installed", lambda: True)
    auto, torch = (
        folders_of(recipe_of(base=base, evaluation={"backend": backend}, systems=["zero_shot"]), parts, tmp_path)
        for backend in ("auto", "torch")
    )
    assert auto == torch
