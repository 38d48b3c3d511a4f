"""The stages that each strategy for λ asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.errors import ConfigError
from tests.adaptation.building import analogy_plan, analogy_recipe


def test_every_source_domain_plays_the_target(cuts: CutSet, tmp_path: Path) -> None:
    plan, _ = analogy_plan(
        analogy_recipe(scale_selection={"strategy": "leave_one_domain_out", "utterances": 1}), cuts, tmp_path
    )
    tuned = {stage.name for stage in plan if stage.kind == "finetune"}
    own = {"finetune-source_synthetic-of-a", "finetune-source_synthetic-of-c"}
    assert tuned == own | {"finetune-source_synthetic", "finetune-source_real", "finetune-target_synthetic"}
    sweep = plan.stages["sweep-domain-a"].record
    assert sweep["corners"] == ["finetune-source_synthetic-of-a", "finetune-source_real", "finetune-source_synthetic"]
    assert (sweep["cuts"], sweep["domains"]) == (["split", "source_dev.jsonl.gz"], ["a"])
    assert plan.stages["finetune-source_synthetic-of-a"].record["domains"] == ["a"]
    assert set(plan.stages["choose-scale"].needs) == {"sweep-domain-a", "sweep-domain-c"}
    assert not any("on-source_dev" in stage.name for stage in plan)


def test_corners_of_their_own_never_hear_the_domain(cuts: CutSet, tmp_path: Path) -> None:
    rules = {"strategy": "leave_one_domain_out", "utterances": 1, "own_corners": True, "domains": ["c"]}
    plan, _ = analogy_plan(analogy_recipe(scale_selection=rules), cuts, tmp_path)
    assert plan.stages["sweep-domain-c"].record["corners"] == [
        "finetune-source_synthetic-of-c", "finetune-source_real-without-c", "finetune-source_synthetic-without-c",
    ]  # fmt: skip
    assert plan.stages["finetune-source_real-without-c"].record["without"] == ["c"]
    assert "sweep-domain-a" not in plan.stages


@pytest.mark.parametrize(
    "rules", [{"domains": ["b"]}, {"domains": ["z"]}, {"utterances": 1000}], ids=["target", "unknown", "too few"]
)
def test_a_domain_that_cannot_play_the_target_is_an_error(
    cuts: CutSet, tmp_path: Path, rules: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match="scale_selection"):
        analogy_plan(analogy_recipe(scale_selection={"strategy": "leave_one_domain_out", **rules}), cuts, tmp_path)


def test_a_strategy_may_be_compared_without_being_taken(cuts: CutSet, tmp_path: Path) -> None:
    """What is compared adds stages and changes none; what is taken is called choose-scale."""
    before, _ = analogy_plan(analogy_recipe(), cuts, tmp_path)
    rules = {"compare": ["fixed", "agreement", "leave_one_domain_out"], "fixed": 0.3, "utterances": 1}
    after, _ = analogy_plan(analogy_recipe(scale_selection=rules), cuts, tmp_path)
    assert all(after.folder(stage.name) == before.folder(stage.name) for stage in before)
    new = {stage.name for stage in after} - {stage.name for stage in before}
    assert {name for name in new if name.startswith("choose")} == {
        "choose-scale-by-fixed", "choose-scale-by-agreement", "choose-scale-by-leave_one_domain_out",
    }  # fmt: skip
    assert "evaluate-analogy-0.3" in new  # its regret needs its place on the curve


def test_agreement_reads_no_text_of_the_test(cuts: CutSet, tmp_path: Path) -> None:
    plan, _ = analogy_plan(analogy_recipe(scale_selection={"strategy": "agreement"}), cuts, tmp_path)
    assert plan.stages["sweep-agreement"].record["cuts"] == ["split", "target_train.jsonl.gz"]
    with pytest.raises(ValueError, match="target_dev is not given"):
        analogy_recipe(scale_selection={"strategy": "agreement", "unlabelled": "target_dev"})
    with pytest.raises(ValueError, match=r"needs split\.field"):
        analogy_recipe(
            scale_selection={"compare": ["agreement"]}, split={"target_domains": ["b"], "source_dev": {"speakers": 1}}
        )


def test_no_choice_hears_the_test(cuts: CutSet, tmp_path: Path) -> None:
    systems = [
        "analogy", "analogy_on_mixed", "analogy_per_scope", "interpolated", "scaled_mixed", "random_vector",
        "mean_of_mixed_and_analogy", "analogy_on_mixed_continued", "shuffled_vector",
    ]  # fmt: skip
    rules = {"compare": ["leave_one_domain_out", "agreement"], "utterances": 1}
    recipe = analogy_recipe(systems=systems, scale_selection=rules, report_forgetting=True, controls={"seeds": 2})
    plan, _ = analogy_plan(recipe, cuts, tmp_path)
    test = ["split", "test.jsonl.gz"]
    for stage in plan:
        if stage.kind in ("sweep", "scopes"):
            assert test != stage.record["cuts"]
            assert test not in stage.record.get("parts", [])
        if stage.kind in ("pick", "scale"):
            assert all(plan.stages[need].record["cuts"] != test for need in stage.needs)
    for system in systems[1:]:
        for part in ("", "-on-source_dev"):
            seeds = ("-0", "-1") if system.endswith("_vector") else ("",)
            assert all(f"evaluate-{system}{seed}{part}" in plan.stages for seed in seeds)
    controls = plan.stages["evaluate-random_vector-1"].record
    assert (controls["direction"], controls["seed"], controls["choice"]) == ("random", 1, "choose-scale")
