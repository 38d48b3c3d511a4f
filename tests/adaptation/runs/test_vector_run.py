"""The user's run from texts and a gap vector alone: what is chosen, what is done, what it may not be asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from speech_analogy.adaptation.job.evidence import GAP_EXPECTATION
from speech_analogy.adaptation.runs.adapt import Adaptation, adapt, plan_run
from speech_analogy.errors import ConfigError, WeightsUnavailableError
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.model_record import provenance
from tests.adaptation.building import loaded, moved
from tests.adaptation.job.material import DISHES, make_source

pytest.importorskip("hibari", reason="hibari-tts is not installed")

QUICK = [
    "training={epochs: 1, precision: fp32}",
    "synthesis.target={engines: [hibari], gates: null, voices_per_text: 1}",
    "scales=[0, 1]",
    "other_decoders=null",  # random weights write to the end of every window there
    "widen=null",
]
TAUGHT = [*QUICK[:-1], "widen.utterances=2"]


@pytest.fixture(scope="module")
def folder(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, a vector, and labelled recordings of the target."""
    made = tmp_path_factory.mktemp("job")
    (made / "menu.txt").write_text("\n".join(DISHES) + "\n", encoding="utf-8")
    base = models["base"]
    told = {"speakers": "many", "channel": "a headset"}
    vector = TaskVector.between(
        base, models["source_real"], base_name=str(base), tuned_on=told, settings={"language": "en"}
    )
    vector.save(made / "gap.safetensors")
    (made / "base.txt").write_text(str(base), encoding="utf-8")
    make_source(made / "labelled", 6)
    return made


def asked(folder: Path, **more: Any) -> dict[str, Any]:
    target = {"texts": str(folder / "menu.txt"), "test": str(folder / "labelled")}
    base = (folder / "base.txt").read_text(encoding="utf-8")
    return {"base": base, "target": target, "vector": [str(folder / "gap.safetensors")], **more}


@pytest.fixture(scope="module")
def done(folder: Path) -> Adaptation:
    return adapt(asked(folder), folder / "run", overrides=QUICK, progress=False, workers=1)


def test_the_base_and_the_scale_are_the_vectors(
    folder: Path, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a folder the vector knows the name alone, which is enough beside the folder."""
    unnamed = {key: value for key, value in asked(folder).items() if key != "base"}
    with pytest.raises(WeightsUnavailableError, match=f"own base.*{models['base'].name}.*name its folder with --base"):
        plan_run(unnamed, folder / "planned", overrides=QUICK[:-1])
    monkeypatch.chdir(models["base"].parent)
    planned = plan_run(unnamed, folder / "planned", overrides=QUICK[:-1])
    recipe, prepared = planned.recipe, planned.prepared
    assert prepared is not None
    assert recipe.base == models["base"].name
    assert recipe.vector is not None
    assert recipe.systems == ("zero_shot", "target_synthetic", "analogy")
    chosen = {choice.key: choice.value for choice in prepared.defaults}
    assert (chosen["base"], chosen["language"], chosen["vector.scale"]) == (recipe.base, "en", recipe.vector.scale)
    assert not {"source.hold_out", "training_of.mixed.learning_rate", "scale_selection.strategy"} & set(chosen)
    said = f"source: none; the gap vector {folder / 'gap.safetensors'} (many; a headset) stands for it"
    assert said in prepared.found
    assert GAP_EXPECTATION in prepared.found
    assert recipe.widen is not None
    assert chosen["widen.utterances"] == recipe.widen.utterances
    assert [name for name in planned.plan.stages if name.startswith("finetune")] == ["finetune-target_synthetic"]
    assert not (folder / "planned").exists()


def test_it_ends_with_c_plus_the_vector(done: Adaptation, models: dict[str, Path]) -> None:
    assert done.system == "analogy"
    assert done.model is not None
    (c,) = (done.run / "stages").glob("finetune-target_synthetic-*")
    before, after = (load_file(model / "model.safetensors") for model in (c / "model", done.model))
    base, real = loaded(models, "base"), loaded(models, "source_real")
    assert done.results.selection is not None
    scale = done.results.selection.scale
    for name, weights in before.items():
        torch.testing.assert_close(after[name], weights + scale * (real[name] - base[name]), atol=1e-5, rtol=0)
    measured = {(system.name, system.scale) for system in done.results.systems}
    assert measured == {("zero_shot", None), ("target_synthetic", None), *(("analogy", s) for s in (0, scale, 1))}
    assert GAP_EXPECTATION in done.results.found
    assert not list((done.run / "stages").glob("*source*"))


def test_the_published_row_is_of_after_the_finishing_pass(done: Adaptation, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(done.run, tmp_path / "run")
    taught = adapt(asked(folder), tmp_path / "run", overrides=TAUGHT, progress=False, workers=1)
    (score,) = (taught.run / "stages").glob("evaluate-published-*/score.json")
    measured = json.loads(score.read_text())["system"]
    before, after = ({one.scale: one for one in run.results.systems if one.name == "analogy"} for run in (done, taught))
    assert set(after) == set(before)
    assert taught.results.selection is not None
    chosen = after[taught.results.selection.scale]
    assert chosen.chosen
    assert chosen.wer == measured["wer"]
    assert chosen.seconds == measured["seconds"]
    assert taught.model is not None
    assert provenance(taught.model)["widened"]["utterances"] == 2


def test_its_recipe_does_nothing_more(done: Adaptation) -> None:
    before = {path: path.stat().st_mtime_ns for path in (done.run / "stages").rglob("*") if path.is_file()}
    again = adapt(done.run / "recipe.yaml", done.run, progress=False, workers=1)
    assert {path: path.stat().st_mtime_ns for path in (done.run / "stages").rglob("*") if path.is_file()} == before
    assert again.results.found == done.results.found


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"systems": ["mixed", "analogy"]}, "systems: source_real.*needs source speech|systems: mixed needs source"),
        ({"report_forgetting": True}, "report_forgetting.*source"),
        ({"evaluation": {"part": "source_dev"}}, r"evaluation\.part.*source"),
        ({"search": {"learning_rates": [1e-4], "epochs": [1]}}, "search.*source"),
        ({"publish": "auto"}, "publish: auto"),
        ({"vector": ["nowhere.safetensors"]}, r"no such gap vector.*nowhere"),
    ],
)
def test_what_needs_source_speech_is_refused(folder: Path, more: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        plan_run(asked(folder, **more), folder / "refused")
    assert not (folder / "refused").exists()


def test_another_base_is_refused(folder: Path, models: dict[str, Path], tmp_path: Path) -> None:
    other = moved(models["base"], tmp_path / "other", 99)
    with pytest.raises(ConfigError, match=r"gap\.safetensors.*its own base alone"):
        plan_run(asked(folder, base=str(other)), folder / "refused")
    TaskVector.between(other, models["mixed"]).save(tmp_path / "two.safetensors")
    both = [str(folder / "gap.safetensors"), str(tmp_path / "two.safetensors")]
    with pytest.raises(ConfigError, match="must have one base"):
        plan_run(asked(folder, vector=both), folder / "refused")


def test_neither_source_nor_vector(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"give either source and target.*vector"):
        plan_run({"target": {"texts": str(folder / "menu.txt")}}, folder / "refused")
