"""What a run ends with: the published model is taught 30 s windows, and transcribed with once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from speech_analogy.adaptation.recipe import EvaluationOptions
from speech_analogy.adaptation.recipe_options import RecipeWidening
from speech_analogy.adaptation.split import Split
from speech_analogy.adaptation.stages.deciding import decided_stage
from speech_analogy.adaptation.stages.made_models import widened_stage
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.model_params import WidenedParams
from speech_analogy.adaptation.stages.params.stand_in_params import DecidedParams
from speech_analogy.corpora.read import read_corpus, write_cuts
from speech_analogy.evaluation.stand_in_estimate import Estimate
from speech_analogy.recognisers.model_record import provenance
from tests.adaptation.building import folders_of, plan_of_parts, recipe_of, work_of
from tests.conftest import make_corpus

WIDENED = "published-widened"


def _stage(folder: Path, model: Path, window: str) -> WidenedParams:
    """Two sets of five and four utterances, and a model that was tuned in `window`."""
    cuts = list(read_corpus("folder", make_corpus(folder / "corpus", 9), progress=False).cuts)
    for name, part in (("real", cuts[:5]), ("spoken", cuts[5:])):
        (folder / name).mkdir()
        write_cuts(part, folder / name / "cuts.jsonl.gz")
    (folder / "published").mkdir()
    shutil.copytree(model, folder / "published" / "model")
    record = {"base": "small.en", "base_fingerprint": "sha256:0", "window": window}
    (folder / "published" / "model" / "provenance.json").write_text(json.dumps(record))
    return WidenedParams(
        model=Output("published", "model"),
        sets={"source_real": Output("real", "cuts.jsonl.gz"), "target_synthetic": Output("spoken", "cuts.jsonl.gz")},
        widen=RecipeWidening(utterances=5),
        seed=0,
        language="en",
    )


@pytest.mark.parametrize("window", ["trimmed", "full"])
def test_a_model_of_trimmed_windows_is_taught_on_both_sets_and_another_stays(
    small_whisper: Path, tmp_path: Path, window: str
) -> None:
    params = _stage(tmp_path, small_whisper, window)
    inputs = {name: tmp_path / name for name in ("published", "real", "spoken")}
    work = work_of(tmp_path / "stage", params, inputs)
    widened_stage(work)
    before, after = (folder / "model" / "model.safetensors" for folder in (inputs["published"], work.folder))
    taught = provenance(work.folder / "model").get("widened")
    assert (before.read_bytes() == after.read_bytes()) == (window == "full")
    assert taught is None if window == "full" else taught["utterances"] == 5
    assert provenance(work.folder / "model")["base"] == "small.en"


def test_it_changes_no_other_stage_and_what_is_tried_elsewhere_is_its_model(parts: Split, tmp_path: Path) -> None:
    published = {"systems": ["mixed"], "publish": "mixed"}
    widened = {**published, "widen": {"utterances": 4}}
    before, after = (folders_of(recipe_of(**keys), parts, tmp_path) for keys in (published, widened))
    new = {WIDENED, "evaluate-published"}
    assert set(after) - set(before) == new
    assert before == {name: folder for name, folder in after.items() if name not in new}
    plan = plan_of_parts(recipe_of(**widened, other_decoders={"utterances": 2}), parts, tmp_path)
    assert "finetune-mixed" in plan.stages[WIDENED].needs
    assert WIDENED in plan.stages["published-in-other-decoders"].needs
    assert WIDENED in plan.stages["evaluate-published"].needs


@pytest.mark.parametrize("system", ["analogy", "mean_of_mixed_and_analogy"])
def test_the_system_that_was_decided_on_is_not_transcribed_with_again(tmp_path: Path, system: str) -> None:
    scales = {"analogy": 0.5, "mean_of_mixed_and_analogy": 0.5}
    decision = Estimate(system="analogy", scale=0.5, scales=scales, gained=True, stand_ins=[])
    inputs = {name: tmp_path / name for name in ("choose-scale", "evaluate-published", "split", "c")}
    for folder in inputs.values():
        folder.mkdir()
    (inputs["choose-scale"] / "decision.json").write_text(decision.model_dump_json())
    for name in ("score.json", "hypotheses.jsonl"):
        (inputs["evaluate-published"] / name).write_text(f"of the published model: {name}")
    cuts = read_corpus("folder", make_corpus(tmp_path / "corpus", 1), progress=False).cuts
    write_cuts(cuts, inputs["split"] / "cuts.jsonl")
    params = DecidedParams(
        system=system,
        cuts=Output("split", "cuts.jsonl"),
        evaluation=EvaluationOptions(),
        language="en",
        models={},
        decision=Output("choose-scale", "decision.json"),
        published_score=Output("evaluate-published", "score.json"),
        published_hypotheses=Output("evaluate-published", "hypotheses.jsonl"),
    )
    work = work_of(tmp_path / "stage", params, inputs)
    if system != "analogy":  # which would have to be put together, of models that are not there
        with pytest.raises((KeyError, StopIteration)):
            decided_stage(work)
        return
    decided_stage(work)
    assert {file.name: file.read_text() for file in work.folder.iterdir()} == {
        name: f"of the published model: {name}" for name in ("score.json", "hypotheses.jsonl")
    }
