"""A run that decides by stand-in domains: what it trains, what it says, and which model it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.runs.adapt import Adaptation, adapt, plan_of
from speech_analogy.corpora.cuts import speaker_of, text_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.evaluation.results import Results, read_hypotheses
from speech_analogy.evaluation.stand_in_estimate import Estimate
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.systems.sums import shares_of
from tests.adaptation.building import stages_in_this_process
from tests.conftest import make_corpus

pytest.importorskip("hibari", reason="hibari-tts is not installed")
pytestmark = pytest.mark.slow
DOMAINS = ("menu", "clock", "road", "rest", "rest")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, small_whisper: Path) -> Path:
    """150 noises: the target is `menu`, and three other domains are left as its source."""
    folder = tmp_path_factory.mktemp("decided")
    make_corpus(folder / "data", 150, domains=DOMAINS)
    lines = (folder / "data" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines]
    for number, row in enumerate(rows[1:]):
        row[1] = f"{row[1]} {number}"  # every text once
        row[3] = f"s{number % 9}"
    (folder / "data" / "metadata.csv").write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    content = {
        "title": "noises",
        "base": str(small_whisper),
        "corpus": {"kind": "folder", "path": "data"},
        "split": {"target_domains": ["menu"], "field": "split", "source_dev": {"speakers": 1}},
        "synthesis": {side: {"engines": ["hibari"], "gates": None} for side in ("source", "target")},
        "training": {"epochs": 1, "precision": "fp32"},
        "systems": ["zero_shot", "target_synthetic", "mixed", "analogy"],
        "publish": "auto",
        "stand_ins": {"count": 2, "utterances": 10, "scales": [0.5, 1.0], "truth": True},
    }
    (folder / "recipe.yaml").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def run(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Adaptation:
    out = tmp_path_factory.mktemp("runs") / "decided"
    with stages_in_this_process():
        return adapt(recipe, out, progress=False)


@pytest.fixture(scope="module")
def plan(recipe: Path, run: Adaptation) -> Plan:
    return plan_of(recipe, run.run)[1]


def decision(plan: Plan) -> Estimate:
    content = plan.path(plan.stages["choose-scale"]["decision"]).read_text(encoding="utf-8")
    return Estimate.model_validate_json(content)


def test_every_stand_in_has_corners_of_its_own(plan: Plan) -> None:
    for system in ("source_real", "source_synthetic", "target_synthetic", "mixed"):
        names = [name for name in plan.stages if name.endswith(f"finetune-{system}")]
        assert len(names) == 3, names  # the target's, and two stand-ins'


def test_nothing_of_a_stand_in_is_in_its_source(plan: Plan) -> None:
    divisions = [stage for stage in plan if stage.kind == "stand_in"]
    assert len(divisions) == 2
    for stage in divisions:
        test, real, synthetic = (
            read_cuts(plan.path(stage[name])) for name in ("test", "source_real", "source_synthetic")
        )
        own = {text_of(cut).casefold() for cut in test}
        assert own.isdisjoint(text_of(cut).casefold() for cut in real)
        assert {text_of(cut).casefold() for cut in synthetic} == {text_of(cut).casefold() for cut in real}
        assert stage.params.stand_in.held_out.isdisjoint(speaker_of(cut) for cut in real)


def test_published_model_is_the_sum_that_was_decided_on(run: Adaptation, plan: Plan) -> None:
    found = decision(plan)
    assert run.system == found.system == run.results.published
    assert run.model is not None
    shares = shares_of(found.system, found.scale or 1.0)
    weights = dict(open_checkpoint(run.model))
    corners = {
        name: dict(open_checkpoint(plan.path(plan.stages[f"finetune-{name}"]["model"])))
        for name in shares
        if name != "base"
    }
    if "base" not in shares:
        for name, tensor in weights.items():
            expected = sum(share * corners[corner][name].double() for corner, share in shares.items())
            torch.testing.assert_close(tensor.double(), expected, rtol=0, atol=1e-6)


def test_results_hold_the_estimate_and_compare_with_what_is_published(run: Adaptation, plan: Plan) -> None:
    results = Results.read(run.run / "results.json")
    assert results.estimate == decision(plan)
    assert {row.system for row in results.comparisons} == {results.published}
    names = [system.name for system in results.systems]
    assert names.count(results.published) == 1
    assert set(names) == {"zero_shot", "target_synthetic", "mixed", "analogy", results.published}
    assert {row.against for row in results.comparisons} == set(names) - {results.published}
    for system in results.systems:
        assert len(read_hypotheses(run.run / system.hypotheses_file)) == system.utterances


def test_a_second_run_does_nothing(recipe: Path, run: Adaptation) -> None:
    _, plan = plan_of(recipe, run.run)
    assert plan.undone() == []


@pytest.mark.parametrize(("system", "scale"), [("addition", 0.5), ("zero_shot", None), ("mixed", None)])
def test_whatever_is_decided_is_written_as_a_complete_folder(
    plan: Plan, small_whisper: Path, tmp_path: Path, system: str, scale: float | None
) -> None:
    from speech_analogy.adaptation.stages.deciding import published_stage
    from speech_analogy.adaptation.stages.params.stand_in_params import PublishedParams
    from speech_analogy.adaptation.stages.work import Work

    params = plan.stages["published"].params
    assert isinstance(params, PublishedParams)
    found = decision(plan).model_copy(update={"system": system, "scale": scale})
    inputs = {name: plan.folder(name) for name in plan.stages["published"].needs}
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    (chosen / "decision.json").write_text(found.model_dump_json())
    folder = tmp_path / "published"
    folder.mkdir()
    published_stage(Work("published", folder, folder, params, {**inputs, "choose-scale": chosen}, False))
    model = folder / "model"
    assert {"config.json", "generation_config.json", "preprocessor_config.json"} <= {
        file.name for file in model.iterdir()
    }
    if system == "zero_shot":
        assert fingerprint(open_checkpoint(model)) == fingerprint(open_checkpoint(small_whisper))
    else:
        assert native_window(model) == "trimmed"
        assert provenance(model)["base_fingerprint"] == fingerprint(open_checkpoint(small_whisper))
