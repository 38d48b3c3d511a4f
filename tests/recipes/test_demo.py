"""recipes/demo: what it hears of the target, what it decides, and the whole of it on a slice."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.runs.adapt import adapt, plan_of
from speech_analogy.corpora.read import read_corpus
from speech_analogy.evaluation.results import Results, read_hypotheses
from speech_analogy.report.report import write_report
from speech_analogy.report.screen import table
from tests.adaptation.building import stages_in_this_process
from tests.conftest import REPOSITORY

pytest.importorskip("hibari", reason="hibari-tts is not installed")
RECIPE = REPOSITORY / "recipes" / "demo"
SLICE = [
    "target.use=6",
    "synthesis={source: &spoken {engines: [hibari], voices_per_text: 1}, target: *spoken}",
    "training={epochs: 1, precision: fp32, packed: 0.3}",
    "training_of={}",
    "stand_ins={count: 2, utterances: 10, texts: 10, scales: [0.5], systems: [mixed, analogy]}",
    "stand_ins.domains=[animals, clothing]",
    "widen.utterances=4",
    "other_decoders.utterances=2",
]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, small_whisper: Path) -> Plan:
    overrides = ["synthesis.source.engines=[hibari]", "synthesis.target.engines=[hibari]", f"base={small_whisper}"]
    return plan_of(RECIPE, tmp_path_factory.mktemp("plans") / "demo", overrides=overrides)[1]


def test_no_recording_of_the_target_is_trained_on_or_chosen_by(plan: Plan) -> None:
    """Only evaluations read the test, and nothing that trains or chooses reads an evaluation of it."""
    readers = {stage.name for stage in plan if "corpus-test" in stage.needs}
    assert {stage.kind for stage in plan if stage.name in readers} <= {"evaluate", "decided", "in_decoders"}
    assert {stage.kind for stage in plan if readers & set(stage.needs)} <= {"decided"}  # copies what was published


def test_two_topics_stand_in_and_the_published_model_is_tried_in_the_pipeline(plan: Plan) -> None:
    assert [stage.params.stand_in.label for stage in plan if stage.kind == "stand_in"] == ["animals", "clothing"]
    assert all(stage.params.stand_in.held_out for stage in plan if stage.kind == "stand_in")
    stage = plan.stages["published-in-other-decoders"]
    assert "published-widened" in stage.needs
    assert stage.params.decoders == ("transformers pipeline",)


@pytest.mark.slow
def test_the_whole_of_it_on_a_slice(small_whisper: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stages_in_this_process():
        done = adapt(RECIPE, run, overrides=[*SLICE, f"base={small_whisper}"], progress=False)
    results = Results.read(run / "results.json")
    assert done.system == results.published
    assert done.model is not None
    assert (done.model / "model.safetensors").is_file()
    systems = {system.name for system in results.systems}
    assert systems == {"zero_shot", "source_real", "target_synthetic", "mixed", "analogy", results.published}
    test = {cut.id for cut in read_corpus("folder", RECIPE / "data" / "test", progress=False).cuts}
    for system in results.systems:
        assert {row.id for row in read_hypotheses(run / system.hypotheses_file)} == test
    assert [(tried.decoder, tried.utterances) for tried in results.other_decoders] == [("transformers pipeline", 2)]
    write_report(run, done.system)
    assert "transformers pipeline, on 2 of these utterances" in " ".join(table(results).split())
