"""Plans: what a change of the recipe makes anew, and what it leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.adaptation.plan import build
from speech_analogy.adaptation.plan.build import build_plan
from speech_analogy.adaptation.plan.compose import model_stage
from speech_analogy.adaptation.plan.estimate import (
    DECODERS,
    START_S,
    TINY_BYTES,
    Size,
    as_decoded,
    clock,
    cost_of,
    synthesis_cost,
    urgencies,
    wall_clock_of,
)
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.runs.adapt import describe
from speech_analogy.adaptation.split import Split, split, texts_of
from speech_analogy.adaptation.stages.scale_selection import choose_scale
from speech_analogy.corpora.cuts import domain_of, prompt_of_cut, speaker_of
from speech_analogy.corpora.read import read_corpus
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.recognisers import loading as backends
from speech_analogy.systems.catalogue import TRAINED_ON, trained_systems
from tests.conftest import make_corpus

RECIPE = {
    "title": "t",
    "corpus": {"kind": "folder", "path": "x"},
    "split": {"target_domains": ["b"], "field": "split", "source_dev": {"speakers": 1}},
    "synthesis": {"source": {"engines": ["hibari"]}, "target": {"engines": ["hibari"], "voices_per_text": 2}},
}


def _recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({**RECIPE, **changes})


def _plan(recipe: Recipe, parts: Split, run: Path) -> Plan:
    return build_plan(recipe, run, run, parts, "digest", "base")


def _folders(recipe: Recipe, parts: Split, run: Path) -> dict[str, str]:
    plan = _plan(recipe, parts, run)
    return {stage.name: plan.folder(stage.name).name for stage in plan}


@pytest.fixture(scope="module")
def parts(noises: CutSet) -> Split:
    return split(noises, _recipe())


def test_split_keeps_source_target_and_test_apart(parts: Split, noises: CutSet) -> None:
    ids = [set(parts.part(name).ids) for name in ("source_train", "source_dev", "target_train", "test")]
    assert all(not a & b for i, a in enumerate(ids) for b in ids[i + 1 :])
    assert {domain_of(cut) for cut in parts.test} == {"b"} == {domain_of(cut) for cut in parts.target_train}
    assert {domain_of(cut) for cut in parts.source_train} == {"a"}
    speakers = {speaker_of(cut) for cut in parts.source_dev}
    assert not speakers & {speaker_of(cut) for cut in parts.source_train}
    assert {cut.custom["split"] for cut in parts.test} == {"test"}
    texts = {text.text for text in parts.target_texts}
    assert texts == {cut.supervisions[0].text for cut in parts.target_train}


def test_closed_vocabulary_knows_all_texts_and_tests_on_recordings(noises: CutSet) -> None:
    recipe = _recipe(
        split={"target_domains": ["b"], "source_dev": {"prompts": 2}, "target_dev": {"prompts": 2}},
        systems=["zero_shot", "analogy"],
    )
    found = split(noises, recipe)
    target = [cut for cut in noises if domain_of(cut) == "b"]
    assert len(found.test) + len(found.target_dev) == len(target)
    assert not {prompt_of_cut(c) for c in found.test} & {prompt_of_cut(c) for c in found.target_dev}
    assert len(found.target_train) == 0
    assert {text.text for text in found.target_texts} == {cut.supervisions[0].text for cut in target}


def test_texts_are_unique_only_where_asked(noises: CutSet) -> None:
    twice = CutSet.from_cuts([*noises, *(cut.with_id(f"{cut.id}-again") for cut in noises)])
    assert len(texts_of(twice)) == 2 * len(noises)
    assert len(texts_of(twice, unique=True)) == len({(c.supervisions[0].text, domain_of(c)) for c in noises})


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
    before, after = _folders(_recipe(), parts, tmp_path), _folders(_recipe(**change), parts, tmp_path)
    changed = {name for name, folder in after.items() if name in before and before[name] != folder}
    assert all(any(name.startswith(prefix) for prefix in redone) for name in changed)
    assert all(any(name.startswith(prefix) for name in changed) for prefix in redone)
    untouched = {"corpus", "split", "texts", "synthesise-source"}
    assert not changed & untouched


def test_systems_ask_only_for_the_trainings_they_need(parts: Split, tmp_path: Path) -> None:
    plan = _plan(_recipe(systems=["zero_shot", "mixed"]), parts, tmp_path)
    assert {stage.name for stage in plan if stage.kind == "finetune"} == {"finetune-mixed"}
    assert trained_systems(("analogy",)) == ["source_synthetic", "source_real", "target_synthetic"]
    assert trained_systems(tuple(TRAINED_ON)) == list(TRAINED_ON)


def test_the_published_system_has_a_model_and_nothing_else_changes(parts: Split, tmp_path: Path) -> None:
    systems = ["mixed", "analogy", "mean_of_mixed_and_analogy", "analogy_on_mixed", "soup"]
    before = _folders(_recipe(systems=systems), parts, tmp_path)
    written = {
        "mean_of_mixed_and_analogy": ("finetune-mixed", "analogy"),
        "analogy_on_mixed": (
            "finetune-mixed", "finetune-source_real", "finetune-source_synthetic", "choose-scale-analogy_on_mixed",
        ),
    }  # fmt: skip
    for system in systems:
        recipe = _recipe(systems=systems, publish=system)
        plan = _plan(recipe, parts, tmp_path)
        names = {stage.name for stage in plan}
        assert model_stage(system) in names
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
        _recipe(systems=["zero_shot", "analogy", "random_vector"], publish=publish)


def test_search_tries_rates_then_epochs(parts: Split, tmp_path: Path) -> None:
    search = {"learning_rates": [1e-5, 1e-4], "epochs": [3, 1], "source_utterances": 4}
    plan = _plan(_recipe(search=search), parts, tmp_path)
    trials = [stage for stage in plan if stage.kind == "trial"]
    assert {(s.params["system"], s.params["override"].get("learning_rate"), s.params["override"]["epochs"])
            for s in trials} == {
        (system, rate, epochs)
        for system in ("source_real", "mixed")
        for rate, epochs in ((1e-5, 1), (1e-4, 1), (None, 3))
    }  # fmt: skip
    assert all("choose-rate" in s.needs for s in trials if "learning_rate" not in s.params["override"])
    assert all("choose-training" in s.needs for s in plan if s.kind == "finetune")
    no_test = [
        s.name
        for s in plan
        if s.kind in ("trial", "choice", "scale") and ["split", "test.jsonl.gz"] in s.params.values()
    ]
    assert no_test == []


def test_scale_is_never_chosen_on_the_test(parts: Split, tmp_path: Path) -> None:
    plan = _plan(_recipe(), parts, tmp_path)
    for need in plan.stages["choose-scale"].needs:
        assert plan.stages[need].params["cuts"] == ["split", "source_dev.jsonl.gz"]


def test_smallest_of_the_best_scales_wins() -> None:
    scale, curve = choose_scale({"a": {0.0: 9.0, 0.5: 4.0, 1.0: 6.0}, "b": {0.0: 9.0, 0.5: 8.0, 1.0: 6.0}})
    assert scale == 0.5
    assert [(point.scale, point.wer) for point in curve] == [(0.0, 9.0), (0.5, 6.0), (1.0, 6.0)]


def test_longest_chain_goes_first() -> None:
    stages = [Stage("a", "k", cost_s=1), Stage("b", "k", cost_s=5), Stage("c", "k", needs=("a",), cost_s=9)]
    assert urgencies(stages) == {"a": 10, "b": 5, "c": 9}


def test_a_run_takes_as_long_as_its_longest_chain_or_its_share_of_the_work() -> None:
    chain = [Stage("speak", "k", cost_s=100), Stage("train", "k", needs=("speak",), cost_s=450)]
    small = [Stage(name, "k", cost_s=10) for name in "abc"]
    assert wall_clock_of([*chain, *small], 2) == 550  # not (550 + 30) / 2
    assert wall_clock_of([*chain, *small], 1) == 580
    assert wall_clock_of(chain[1:], 2) == 450  # what is done, nobody waits for
    assert wall_clock_of(chain[1:], 2, begun={"train": 440.0}) == 10
    assert wall_clock_of(small, 2) == 20
    assert wall_clock_of([], 2) == 0
    two = [Stage("a", "k", cost_s=30), Stage("b", "k", cost_s=20), Stage("c", "k", needs=("a", "b"), cost_s=5)]
    assert wall_clock_of(two, 2) == wall_clock_of(two, 8) == 35
    assert wall_clock_of(two, 1, begun={"b": 15.0}) == 40  # what is begun goes on


def test_clock() -> None:
    assert [clock(s) for s in (42.4, 185, 7800)] == ["42 s", "3 min 05 s", "2 h 10 min"]


@pytest.mark.parametrize(
    ("split_change", "error"),
    [
        ({"target_domains": ["z"]}, ConfigError),
        ({"field": "nothing"}, DataError),
        ({"source_dev": {"speakers": 99}}, ConfigError),
    ],
)
def test_a_split_that_leaves_nothing_is_an_error(
    noises: CutSet, split_change: dict[str, object], error: type[Exception]
) -> None:
    recipe = _recipe(split={**RECIPE["split"], **split_change})  # type: ignore[dict-item]
    with pytest.raises(error):
        split(noises, recipe)


@pytest.mark.parametrize("part", ["source_dev", "target_dev"])
def test_systems_heard_on_a_held_out_part_never_meet_the_test(part: str, noises: CutSet, tmp_path: Path) -> None:
    recipe = _recipe(
        split={**RECIPE["split"], "target_dev": {"prompts": 1}},  # type: ignore[dict-item]
        scale_chosen_on=["source_dev", "target_dev"],
        evaluation={"part": part},
    )
    plan = _plan(recipe, split(noises, recipe), tmp_path)
    heard = {stage.name: stage.params["cuts"] for stage in plan if stage.kind == "evaluate"}
    assert heard[f"evaluate-mixed-on-{part}"] == ["split", f"{part}.jsonl.gz"]
    assert f"evaluate-analogy-1-on-{part}" in heard
    assert ["split", "test.jsonl.gz"] not in heard.values()


def test_a_part_that_is_not_held_out_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"evaluation\.part names target_dev"):
        _recipe(evaluation={"part": "target_dev"})


def test_backend_of_a_recipe(parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch adds no key to what stages are named by; `auto` is settled once for the whole run."""
    plain, systems = _recipe(), ["zero_shot", "source_synthetic"]
    [stage] = [stage for stage in _plan(plain, parts, tmp_path) if stage.name == "evaluate-zero_shot"]
    assert set(stage.params["evaluation"]) == {"beams", "window", "cluster"}
    folders = {
        backend: _folders(_recipe(evaluation={"backend": backend}, systems=systems), parts, tmp_path)
        for backend in ("torch", "ctranslate2", "auto")
    }
    changed = {name for name, folder in folders["torch"].items() if folders["ctranslate2"][name] != folder}
    assert changed == {"evaluate-zero_shot", "evaluate-source_synthetic"}
    assert folders["auto"] == folders["torch"]  # eight noises do not repay a conversion
    monkeypatch.setattr(backends, "CONVERSION_REPAID_S", 1.0)
    monkeypatch.setattr(build, "ctranslate2_installed", lambda: True)
    assert _folders(_recipe(evaluation={"backend": "auto"}, systems=systems), parts, tmp_path) == folders["ctranslate2"]


def test_a_share_of_the_target_texts_is_a_share_of_the_larger_one(noises: CutSet) -> None:
    """Nested, so that a curve over their number compares like with like; recordings and source stay."""

    def divided(count: int | None) -> Split:
        told = {**RECIPE["split"], **({} if count is None else {"target_texts": count})}
        return split(noises, Recipe.model_validate({**RECIPE, "split": told}))

    whole = divided(None)
    assert len(whole.target_texts) > 4
    few, more = divided(2), divided(4)
    assert [len(few.target_texts), len(more.target_texts)] == [2, 4]
    ids = [{text.id for text in part.target_texts} for part in (few, more, whole)]
    assert ids[0] < ids[1] < ids[2]
    for name in ("source_train", "source_dev", "test"):
        assert [c.id for c in few.part(name)] == [c.id for c in whole.part(name)]
    assert divided(10_000).target_texts == whole.target_texts
    dumped = Recipe.model_validate(RECIPE).model_dump(mode="json")["split"]
    assert "target_texts" not in dumped  # older runs keep their names


def test_source_domains_are_nested(tmp_path: Path) -> None:
    corpus = read_corpus("folder", make_corpus(tmp_path / "c", 60, domains=("a", "b", "c", "d", "e")), progress=False)

    def domains(count: int | None) -> set[str]:
        told = {**RECIPE["split"], **({} if count is None else {"source_domains": count})}
        found = split(corpus.cuts, Recipe.model_validate({**RECIPE, "split": told}))
        assert {domain_of(c) for c in found.source_dev} <= {domain_of(c) for c in found.source_train}
        return {domain_of(c) for c in found.source_train}

    grown = [domains(count) for count in (1, 2, 3, 4)]
    assert [len(found) for found in grown] == [1, 2, 3, 4]
    assert grown[0] < grown[1] < grown[2] < grown[3] == domains(None) == {"a", "c", "d", "e"}
    with pytest.raises(ConfigError, match=r"split\.source_domains.*5 of 4"):
        domains(5)


def test_a_decoding_stage_costs_what_its_backend_takes() -> None:
    torch_says = Stage("evaluate-mixed", "evaluate", {"evaluation": {"beams": 1}}, cost_s=START_S + 20)
    assert as_decoded(torch_says) == torch_says
    for (backend, compute), share in DECODERS.items():
        told = replace(torch_says, params={"evaluation": {"backend": backend, "compute": compute}})
        assert as_decoded(told).cost_s == pytest.approx(START_S + 20 * share)
        assert as_decoded(told).params == told.params
    training = Stage("finetune-mixed", "finetune", {"training": {}}, cost_s=50.0)
    assert as_decoded(training) == training


def test_voices_of_an_engine_share_the_speech_evenly() -> None:
    size = Size(1, 600.0, 600.0)
    quick, slow = (synthesis_cost(size, (one,)) - START_S for one in ("flite:slt", "piper:joe"))
    assert quick < slow
    assert synthesis_cost(size, ("piper:joe", "flite:slt+rms")) - START_S == pytest.approx((slow + 2 * quick) / 3)
    assert synthesis_cost(size, ("flite",)) - START_S == quick
    assert synthesis_cost(size, ("a command", "flite")) > synthesis_cost(size, ("piper", "flite"))  # unknown: slow


def test_a_larger_base_costs_more_where_it_works() -> None:
    spoken, trained = Stage("s", "synthesis", cost_s=10.0), Stage("t", "finetune", cost_s=100.0)
    assert cost_of([spoken, trained], TINY_BYTES) == cost_of([spoken, trained]) == 110.0
    assert cost_of([spoken, trained], 2 * TINY_BYTES) == 210.0
    assert cost_of([spoken, trained], TINY_BYTES // 2) == 110.0  # smaller ones have the rates of the smallest
    plan = Plan(Path("run"), [spoken, trained], {"synthesis": 1, "finetune": 1})
    assert "about 3 min 20 s on 2 cores" in describe(plan, 2, 2 * TINY_BYTES)
    assert "times 2.0 for this base's size" in describe(plan, 2, 2 * TINY_BYTES)
