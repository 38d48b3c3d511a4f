"""Runs made by earlier versions stay valid: the names of all stages, hashes included, are those of version 0.1.0.

`earlier_plans.json` holds `Plan.digest()` of each case as that version computed it. That version decoded in one pass.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource

from speech_analogy.adaptation.plan.planner import Planner
from speech_analogy.adaptation.recipe import Recipe, load_recipe
from speech_analogy.adaptation.split import split
from speech_analogy.systems.catalogue import TRAININGS, SystemName
from tests.conftest import REPOSITORY

EARLIER = json.loads(Path(__file__).with_name("earlier_plans.json").read_text(encoding="utf-8"))
RECIPES = REPOSITORY / "recipes"
UTTERANCES = 60  # of each domain
LATER = {  # than version 0.1.0
    "addition", "mean_of_mixed_and_addition", "mean_of_mixed_and_target_synthetic", "mean_of_mixed_and_source_real",
    "mean_of_mixed_target_synthetic_and_source_real",
}  # fmt: skip
SYSTEMS = tuple(name for name in SystemName.__args__ if name not in LATER)  # type: ignore[attr-defined]
WITHOUT_ADAPTERS = f"systems=[{','.join(name for name in SYSTEMS if name != 'analogy_by_adapter')}]"
SEARCH = "search={learning_rates: [1e-5, 1e-4], epochs: [%s], source_utterances: 40}"
FEW = "vectors.utterances=2"
STRATEGIES = ("fixed", "source_dev", "leave_one_domain_out", "agreement")
PUBLISHED = (
    "soup", "interpolated", "analogy_per_scope", "analogy_of_vectors_ties", "mean_of_mixed_and_analogy", "mixed",
)  # fmt: skip
COMPARED = (
    "scale_selection={strategy: %s, compare: [fixed, source_dev, leave_one_domain_out, agreement], utterances: 2}"
)
ONE_PASS = ("evaluation.fallback=false",)
OVERRIDES: dict[str, list[str]] = {
    "all": [f"systems=[{','.join(SYSTEMS)}]", "training.lora={}", "search=null", "report_forgetting=true", FEW],
    "search": [WITHOUT_ADAPTERS, SEARCH % "3, 1", FEW],
    "onerate": [SEARCH % "2"],
    **{f"strategy-{one}": [WITHOUT_ADAPTERS, "search=null", COMPARED % one, FEW] for one in STRATEGIES},
    "own": [
        WITHOUT_ADAPTERS,
        "search=null",
        "scale_selection={strategy: leave_one_domain_out, own_corners: true, utterances: 2}",
        FEW,
    ],
    "speaker": [WITHOUT_ADAPTERS, "search=null", "vectors={by: speaker, clusters: 3}", "controls.seeds=2"],
    "dev": [
        WITHOUT_ADAPTERS,
        "search=null",
        "split.target_dev={prompts: 3}",
        "scale_chosen_on=[source_dev, target_dev]",
        "evaluation={part: target_dev, backend: ctranslate2, compute: int8}",
        "report_forgetting=true",
        FEW,
    ],
    "texts": [
        "search=null",
        "split.target_texts=10",
        "split.source_domains=2",
        "split.source_utterances=30",
        "training_seed=5",
    ],
    **{f"publish-{one}": [WITHOUT_ADAPTERS, "search=null", f"publish={one}", FEW] for one in PUBLISHED},
}


def corpus(recipe: Recipe) -> CutSet:
    """The recipe's target domains and three others, without audio."""
    rules = recipe.split
    field = rules.field or "split"
    cuts = []
    for domain in (*rules.target_domains, "other_one", "other_two", "other_three"):
        for number in range(UTTERANCES):
            test, name = number % 3 == 2, f"{domain}-{number}"
            source = AudioSource("file", [0], f"/x/{name}.wav")
            recording = Recording(name, [source], 16000, 32000 + 800 * number, 2 + 0.05 * number)
            text, speaker = f"{domain} text {number % 40} number", f"s{number % 20}{'t' if test else ''}"
            said = SupervisionSegment(name, name, 0, recording.duration, text=text, speaker=speaker, language="en")
            cut = MonoCut(name, 0, recording.duration, 0, recording=recording, supervisions=[said])
            cut.custom = {
                "domain": domain,
                field: rules.test if test else rules.train,
                "prompt": f"{domain}-{number % 40}",
            }
            cuts.append(cut)
    return CutSet.from_cuts(cuts)


@pytest.mark.parametrize("case", EARLIER)
def test_stages_have_the_names_that_earlier_runs_gave_them(case: str) -> None:
    overrides = OVERRIDES.get(case)
    path = REPOSITORY / case if overrides is None else RECIPES / "speechocean762/recipe.yaml"
    recipe, _ = load_recipe(path, [*(overrides or []), *ONE_PASS])
    planner = Planner(recipe, Path("/recipe"), split(corpus(recipe), recipe), "digest", "base")
    assert planner.plan(Path("/run")).digest() == EARLIER[case]


def test_a_fallback_in_decoding_renames_what_is_decoded_and_what_follows_from_it() -> None:
    """Transcripts that loop come out differently, so nothing that was scored before counts as done; all else does."""
    names = []
    for more in ((), ONE_PASS):
        recipe, _ = load_recipe(RECIPES / "speechocean762/recipe.yaml", [*OVERRIDES["all"], *more])
        plan = Planner(recipe, Path("/recipe"), split(corpus(recipe), recipe), "digest", "base").plan(Path("/run"))
        names.append({stage.name: (stage.params.kind, plan.folder(stage.name)) for stage in plan})
    kinds = {kind: set() for kind, _ in names[0].values()}  # type: dict[str, set[bool]]
    for name, (kind, folder) in names[0].items():
        kinds[kind].add(folder == names[1][name][1])
    assert {kind for kind, same in kinds.items() if same == {True}} >= {"corpus", "split", "texts", "finetune"}
    assert all(kinds[kind] == {False} for kind in ("evaluate", "combined"))


def test_every_kind_of_training_and_system_is_among_the_cases() -> None:
    recipe, _ = load_recipe(RECIPES / "speechocean762/recipe.yaml", OVERRIDES["all"])
    planner = Planner(recipe, Path("/recipe"), split(corpus(recipe), recipe), "digest", "base")
    names = {stage.name for stage in planner.stages()}
    assert {f"finetune-{name}" for name in TRAININGS} <= names
    assert all(any(f"evaluate-{system}" in name for name in names) for system in recipe.systems)
