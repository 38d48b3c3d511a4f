"""recipes/speechocean762/each.yaml on noises: every system and strategy, two targets that share what they can."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.adaptation.runs.domains import do_domains, plan_domains
from speech_analogy.evaluation.domain_table import DomainTable
from tests.adaptation.building import stages_in_this_process
from tests.conftest import REPOSITORY, make_corpus

pytest.importorskip("hibari", reason="hibari-tts is not installed")
RECIPE = REPOSITORY / "recipes" / "speechocean762" / "each.yaml"
SLICE = [
    "corpus.kind=folder",
    "evaluation.backend=torch",
    "split.target_domains=[a, b]",
    "split.source_utterances=16",
    "split.source_dev={speakers: 2}",
    "split.target_texts=4",
    "synthesis.source.engines=[hibari]",
    "synthesis.target.engines=[hibari]",
    "synthesis.target.voices_per_text=1",
    "scales=[0, 1]",
    "scale_selection.fixed=1",
    "scale_selection.utterances=2",
    "vectors.clusters=2",
    "controls.seeds=2",
    "training.epochs=1",
    "training.precision=fp32",
    "training_of={}",
]


@pytest.mark.slow
def test_every_system_of_two_topics(small_whisper: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 60, domains=("a", "b", "c", "d"))
    overrides, run = [*SLICE, f"base={small_whisper}"], tmp_path / "run"
    job = plan_domains(RECIPE, run, overrides=overrides, data=corpus, source="rest", seeds=[0])
    with stages_in_this_process():
        table = do_domains(job, keep_models=False, progress=False)
    assert table.systems == list(load_recipe(RECIPE)[0].systems)
    assert table == DomainTable.read(run / "domains.json")
    for row in table.rows:
        assert set(row.strategies) == {"source_dev", "fixed", "leave_one_domain_out", "agreement"}
        assert set(row.source_wer) == set(table.systems)
        assert len(row.edits["random_vector"]) == 2 * len(row.ids)
        assert len(row.edits["analogy"]) == len(row.ids) == row.utterances
    first, second = table.rows
    assert first.strategies["leave_one_domain_out"] == second.strategies["leave_one_domain_out"]  # shared
    one, other = (target.plan for target in job.targets)
    shared = {stage.name for stage in one if one.folder(stage.name).name == other.folder(stage.name).name}
    assert {"finetune-source_both", "finetune-source_real-of-cluster-1", "vectors-ties"} <= shared
    assert not {"finetune-target_synthetic", "finetune-mixed", "vectors-nearest", "choose-scale"} & shared
    assert any(name.startswith("sweep-domain-") for name in shared)
    assert not list(run.rglob("*.safetensors"))
    assert "held-out source" in (run / "domains.md").read_text(encoding="utf-8")
