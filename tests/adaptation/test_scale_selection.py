"""Strategies that choose λ: hand-made curves, and the plans that each strategy asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.adaptation.plan.build import build_plan
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import Split, split
from speech_analogy.adaptation.stages.scale_selection import disagreement, most_agreed, regret, search_scopes
from speech_analogy.corpora.read import read_corpus
from speech_analogy.errors import ConfigError
from tests.adaptation.test_plan import RECIPE
from tests.conftest import make_corpus


def test_disagreement_is_edits_in_percent_of_the_mean_length() -> None:
    assert disagreement(["a b c d"], ["a x c d e f"]) == pytest.approx(100 * 3 / 5)  # one changed, two more
    assert disagreement(["a x c d e f"], ["a b c d"]) == disagreement(["a b c d"], ["a x c d e f"])
    assert disagreement(["", "a b"], ["a b", "a b"]) == pytest.approx(100 * 2 / 3)
    assert disagreement(["", ""], ["", ""]) == 0.0


def test_most_agreed_is_the_medoid() -> None:
    heard = {0.0: ["a b"], 0.5: ["a c"], 1.0: ["d c"], 1.5: ["e f"]}
    scale, curve = most_agreed(heard)
    assert scale == 0.5
    assert [point.wer for point in curve] == pytest.approx([(50 + 100 + 100) / 3, 200 / 3, (100 + 50 + 100) / 3, 100])
    assert most_agreed({0.7: ["a"]})[0] == 0.7


def test_search_over_scopes_finds_a_separable_minimum() -> None:
    asked: list[Mapping[str, float]] = []

    def hear(candidates: Sequence[Mapping[str, float]]) -> list[float]:
        asked.extend(candidates)
        return [(row["encoder"] - 0.5) ** 2 + (row["decoder"] - 1) ** 2 for row in candidates]

    found, trace = search_scopes(hear, ["encoder", "decoder"], [0.0, 0.5, 1.0], 0.75)
    assert found == {"encoder": 0.5, "decoder": 1.0}
    assert len(trace) == len(asked) == 7  # the grid and the start, then the grid
    assert min(row["wer"] for row in trace) == 0.0


def test_search_keeps_the_start_where_nothing_is_better() -> None:
    found, _ = search_scopes(lambda rows: [1.0 for _ in rows], ["encoder"], [0.0, 1.0], 0.5, rounds=2)
    assert found == {"encoder": 0.5}


def test_regret_is_what_not_knowing_the_test_costs() -> None:
    assert regret(0.5, {0.0: 40.0, 0.5: 33.0, 1.0: 31.5}) == pytest.approx(1.5)
    assert regret(1.0, {0.0: 40.0, 0.5: 33.0, 1.0: 31.5}) == 0.0


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> CutSet:
    """Three domains; every speaker speaks in all of them."""
    folder = make_corpus(tmp_path_factory.mktemp("three") / "corpus", 105, domains=("a", "b", "c", "b", "a"))
    return read_corpus("folder", folder, progress=False).cuts


def _recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({**RECIPE, "systems": ["analogy"], **changes})


def _plan(recipe: Recipe, cuts: CutSet, run: Path) -> tuple[Plan, Split]:
    parts = split(cuts, recipe)
    return build_plan(recipe, run, run, parts, "digest", "base"), parts


def test_every_source_domain_plays_the_target(cuts: CutSet, tmp_path: Path) -> None:
    plan, _ = _plan(_recipe(scale_selection={"strategy": "leave_one_domain_out", "utterances": 1}), cuts, tmp_path)
    tuned = {stage.name for stage in plan if stage.kind == "finetune"}
    own = {"finetune-source_synthetic-of-a", "finetune-source_synthetic-of-c"}
    assert tuned == own | {"finetune-source_synthetic", "finetune-source_real", "finetune-target_synthetic"}
    sweep = plan.stages["sweep-domain-a"].params
    assert sweep["corners"] == ["finetune-source_synthetic-of-a", "finetune-source_real", "finetune-source_synthetic"]
    assert (sweep["cuts"], sweep["domains"]) == (["split", "source_dev.jsonl.gz"], ["a"])
    assert plan.stages["finetune-source_synthetic-of-a"].params["domains"] == ["a"]
    assert set(plan.stages["choose-scale"].needs) == {"sweep-domain-a", "sweep-domain-c"}
    assert not any("on-source_dev" in stage.name for stage in plan)


def test_corners_of_their_own_never_hear_the_domain(cuts: CutSet, tmp_path: Path) -> None:
    rules = {"strategy": "leave_one_domain_out", "utterances": 1, "own_corners": True, "domains": ["c"]}
    plan, _ = _plan(_recipe(scale_selection=rules), cuts, tmp_path)
    assert plan.stages["sweep-domain-c"].params["corners"] == [
        "finetune-source_synthetic-of-c", "finetune-source_real-without-c", "finetune-source_synthetic-without-c",
    ]  # fmt: skip
    assert plan.stages["finetune-source_real-without-c"].params["without"] == ["c"]
    assert "sweep-domain-a" not in plan.stages


@pytest.mark.parametrize(
    "rules", [{"domains": ["b"]}, {"domains": ["z"]}, {"utterances": 1000}], ids=["target", "unknown", "too few"]
)
def test_a_domain_that_cannot_play_the_target_is_an_error(
    cuts: CutSet, tmp_path: Path, rules: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match="scale_selection"):
        _plan(_recipe(scale_selection={"strategy": "leave_one_domain_out", **rules}), cuts, tmp_path)


def test_a_strategy_may_be_compared_without_being_taken(cuts: CutSet, tmp_path: Path) -> None:
    """What is compared adds stages and changes none; what is taken is called choose-scale."""
    before, _ = _plan(_recipe(), cuts, tmp_path)
    rules = {"compare": ["fixed", "agreement", "leave_one_domain_out"], "fixed": 0.3, "utterances": 1}
    after, _ = _plan(_recipe(scale_selection=rules), cuts, tmp_path)
    assert all(after.folder(stage.name) == before.folder(stage.name) for stage in before)
    new = {stage.name for stage in after} - {stage.name for stage in before}
    assert {name for name in new if name.startswith("choose")} == {
        "choose-scale-by-fixed", "choose-scale-by-agreement", "choose-scale-by-leave_one_domain_out",
    }  # fmt: skip
    assert "evaluate-analogy-0.3" in new  # its regret needs its place on the curve


def test_agreement_reads_no_text_of_the_test(cuts: CutSet, tmp_path: Path) -> None:
    plan, _ = _plan(_recipe(scale_selection={"strategy": "agreement"}), cuts, tmp_path)
    assert plan.stages["sweep-agreement"].params["cuts"] == ["split", "target_train.jsonl.gz"]
    with pytest.raises(ValueError, match="target_dev is not given"):
        _recipe(scale_selection={"strategy": "agreement", "unlabelled": "target_dev"})
    with pytest.raises(ValueError, match=r"needs split\.field"):
        _recipe(
            scale_selection={"compare": ["agreement"]}, split={"target_domains": ["b"], "source_dev": {"speakers": 1}}
        )


def test_no_choice_hears_the_test(cuts: CutSet, tmp_path: Path) -> None:
    systems = [
        "analogy", "analogy_on_mixed", "analogy_per_scope", "interpolated", "scaled_mixed", "random_vector",
        "mean_of_mixed_and_analogy", "analogy_on_mixed_continued", "shuffled_vector",
    ]  # fmt: skip
    rules = {"compare": ["leave_one_domain_out", "agreement"], "utterances": 1}
    recipe = _recipe(systems=systems, scale_selection=rules, report_forgetting=True, controls={"seeds": 2})
    plan, _ = _plan(recipe, cuts, tmp_path)
    test = ["split", "test.jsonl.gz"]
    for stage in plan:
        if stage.kind in ("sweep", "scopes"):
            assert test != stage.params["cuts"]
            assert test not in stage.params.get("parts", [])
        if stage.kind in ("pick", "scale"):
            assert all(plan.stages[need].params["cuts"] != test for need in stage.needs)
    for system in systems[1:]:
        for part in ("", "-on-source_dev"):
            seeds = ("-0", "-1") if system.endswith("_vector") else ("",)
            assert all(f"evaluate-{system}{seed}{part}" in plan.stages for seed in seeds)
    controls = plan.stages["evaluate-random_vector-1"].params
    assert (controls["direction"], controls["seed"], controls["choice"]) == ("random", 1, "choose-scale")
