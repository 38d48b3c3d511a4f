"""The published model in other decoders: which stage does it, what it records, what is refused before any work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from speech_analogy.adaptation.split import Split
from speech_analogy.adaptation.stages.evaluation import in_decoders_stage
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.evaluation_params import InDecodersParams
from speech_analogy.corpora.read import read_corpus, write_cuts
from speech_analogy.corpora.splits import ranked
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.evaluate import score
from speech_analogy.evaluation.results import DecoderResult
from speech_analogy.export.other_decoders import in_our_decoder
from tests.adaptation.building import folders_of, plan_of_parts, recipe_of, work_of
from tests.conftest import make_corpus

STAGE = "published-in-other-decoders"
CHECKED = {"other_decoders": {"utterances": 2}}


def test_some_of_the_test_is_transcribed_in_the_pipeline_and_by_us(small_multilingual: Path, tmp_path: Path) -> None:
    cuts = read_corpus("folder", make_corpus(tmp_path / "corpus", 6), progress=False).cuts
    data = tmp_path / "data"
    data.mkdir()
    write_cuts(cuts, data / "cuts.jsonl.gz")
    params = InDecodersParams(
        model=Output("published", "model"),
        cuts=Output("split", "cuts.jsonl.gz"),
        decoders=("transformers pipeline",),
        utterances=2,
        seed=0,
        language="es",
        cluster="prompt",
    )
    model = tmp_path / "published"
    model.mkdir()
    shutil.copytree(small_multilingual, model / "model")
    generation = json.loads((model / "model" / "generation_config.json").read_text())
    short = {**generation, "max_length": 16}  # random weights would write to the end of every window
    (model / "model" / "generation_config.json").write_text(json.dumps(short))
    work = work_of(tmp_path / "stage", params, {"published": model, "split": data})
    in_decoders_stage(work)
    [row] = json.loads((work.folder / "decoders.json").read_text(encoding="utf-8"))
    found = DecoderResult.model_validate(row)
    assert (found.decoder, found.utterances) == ("transformers pipeline", 2)
    chosen = cuts.filter(lambda cut: cut.id in ranked([one.id for one in cuts], 0)[:2]).to_eager()
    heard = in_our_decoder(small_multilingual, chosen, language="es", progress=False)
    ours = score(chosen, heard, language="es").system.wer
    assert found.ours == pytest.approx(ours)
    assert found.difference == pytest.approx(found.wer - ours)


def test_it_is_a_stage_of_the_published_model_and_changes_no_other(parts: Split, tmp_path: Path) -> None:
    before, after = folders_of(recipe_of(), parts, tmp_path), folders_of(recipe_of(**CHECKED), parts, tmp_path)
    assert set(after) - set(before) == {STAGE}
    assert before == {name: folder for name, folder in after.items() if name != STAGE}
    plan = plan_of_parts(recipe_of(**CHECKED, systems=["mixed"], publish="mixed"), parts, tmp_path)
    assert "finetune-mixed" in plan.stages[STAGE].needs


def test_an_unknown_decoder_is_refused_before_any_work(parts: Split, tmp_path: Path) -> None:
    recipe = recipe_of(other_decoders={"decoders": ["transformers pipelin"]})
    with pytest.raises(ConfigError, match="did you mean 'transformers pipeline'"):
        plan_of_parts(recipe, parts, tmp_path)
