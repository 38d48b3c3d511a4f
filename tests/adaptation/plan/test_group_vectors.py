"""The stages that make several vectors."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhotse import CutSet
from pydantic import ValidationError

from speech_analogy.adaptation.plan.names import CLUSTERS
from speech_analogy.errors import ConfigError
from speech_analogy.systems.catalogue import VECTORS_OF
from tests.adaptation.building import RECIPE, analogy_plan, analogy_recipe
from tests.small_conformer import make_conformer


def test_a_vector_for_each_source_domain(cuts: CutSet, tmp_path: Path) -> None:
    rules = {"strategy": "leave_one_domain_out", "utterances": 1}
    recipe = analogy_recipe(
        systems=["analogy", *VECTORS_OF],
        vectors={"utterances": 5},
        scale_selection=rules,
        scale_chosen_on=["source_dev"],
    )
    plan, _ = analogy_plan(recipe, cuts, tmp_path)
    tuned = [f"finetune-source_{kind}-of-{domain}" for domain in "ac" for kind in ("real", "synthetic")]
    for way in VECTORS_OF.values():
        stage = plan.stages[f"vectors-{way}"]
        assert set(tuned) <= set(stage.needs)
        assert stage.record["groups"] == ["a", "c"]
    assert all(plan.stages[name].record["domains"] == [name[-1]] for name in tuned)
    heard = plan.stages["evaluate-analogy_of_vectors_ties"]
    assert heard.record["corners"] == ["finetune-target_synthetic", "vectors-ties", "base"]
    assert "choose-scale-analogy_of_vectors_ties" in heard.needs


def test_a_vector_for_each_cluster_of_speakers(cuts: CutSet, tmp_path: Path) -> None:
    recipe = analogy_recipe(systems=["analogy_of_vectors_mean"], vectors={"by": "speaker", "clusters": 3})
    plan, _ = analogy_plan(recipe, cuts, tmp_path)
    for number in range(3):
        stage = plan.stages[f"finetune-source_real-of-cluster-{number}"]
        assert stage.record["cluster"] == [CLUSTERS, number]
        assert CLUSTERS in stage.needs
    assert plan.stages["vectors-mean"].record["groups"] == [f"cluster-{number}" for number in range(3)]
    assert "finetune-source_real" not in plan.stages


def test_by_adapter_needs_adapters(cuts: CutSet, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"training\.lora"):
        analogy_recipe(systems=["analogy_by_adapter"])
    lora = {**RECIPE.get("training", {}), "lora": {"rank": 2}}
    plan, _ = analogy_plan(analogy_recipe(systems=["analogy_by_adapter"], training=lora), cuts, tmp_path)
    assert plan.stages["evaluate-analogy_by_adapter"].record["corners"] == [
        "finetune-target_synthetic", "by-adapter", "finetune-target_synthetic",
    ]  # fmt: skip
    assert "choose-scale" in plan.stages["by-adapter"].needs


def test_too_few_domains_is_an_error(cuts: CutSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vectors\.utterances.*a: \d+, c: \d+.*speaker"):
        analogy_plan(analogy_recipe(systems=["analogy_of_vectors_mean"], vectors={"utterances": 1000}), cuts, tmp_path)


def test_clusters_of_a_model_that_takes_waveforms_are_made_again(cuts: CutSet, tmp_path: Path) -> None:
    """Earlier versions divided such a model's speakers by samples; Whisper's clusters keep their name."""
    made = {}
    for name, base in (("whisper", "pip:whisper-tiny.en"), ("conformer", str(make_conformer(tmp_path / "base")))):
        recipe = analogy_recipe(systems=["analogy_of_vectors_mean"], vectors={"by": "speaker"}, base=base)
        plan, _ = analogy_plan(recipe, cuts, tmp_path)
        made[name] = plan.stages[CLUSTERS].record
    assert set(made["whisper"]) == {"cuts", "base", "base_key", "clusters"}
    assert made["conformer"]["sound"] == "log-mel"
