"""One value of a recipe varied: a run a value, what they share made once, one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.adaptation.runs.vary import Variation, describe_variation, do_variation, plan_variation
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.results import Overlap
from speech_analogy.report.variation import CURVE_FILE
from tests.conftest import make_corpus

pytest.importorskip("hibari", reason="hibari-tts is not installed")

pytestmark = pytest.mark.slow  # whole runs, or many models


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, small_whisper: Path) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    make_corpus(folder / "data", 24, domains=("a", "b"))
    content = {
        "title": "noises",
        "base": str(small_whisper),
        "corpus": {"kind": "folder", "path": "data"},
        "split": {"target_domains": ["a"], "source_dev": {"prompts": 2}},
        "synthesis": {side: {"engines": ["hibari"], "gates": None} for side in ("source", "target")},
        "training": {"epochs": 1, "precision": "fp32"},
        "scales": [0, 1],
        "systems": ["target_synthetic", "analogy"],
        "evaluation": {"cluster": "prompt"},
    }
    (folder / "recipe.yaml").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def texts(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Variation:
    job = plan_variation(recipe, tmp_path_factory.mktemp("runs") / "texts", "split.target_texts", ["2", "4"])
    do_variation(job, progress=False, workers=1)
    return job


def test_every_value_is_a_run_and_a_row(texts: Variation) -> None:
    found = texts.results()
    assert {value: results.counts["target_synthetic"]["texts"] for value, results in found.items()} == {"2": 2, "4": 4}
    table = (texts.run / CURVE_FILE).read_text(encoding="utf-8")
    assert table == texts.table()
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == ["split.target_texts", "target_synthetic", "analogy", "λ", "analogy − target_synthetic"]
    assert [row[0] for row in rows[1:]] == ["2", "4"]
    for row, results in zip(rows[1:], found.values(), strict=True):
        assert row[1].split()[0] == f"{next(s.wer for s in results.systems if s.name == 'target_synthetic'):.1f}"
        assert row[3] == f"{results.selection.scale:g}" if results.selection else False
        assert results.test.overlap == Overlap(recordings=0, speakers=0, utterances=0)
        assert results.test.texts is not None
        assert 2 <= results.test.texts.spoken <= results.test.texts.texts
        assert all(system.wer_spoken is not None for system in results.systems)


def test_a_second_call_does_nothing_even_without_the_models(recipe: Path, tmp_path: Path) -> None:
    def again() -> Variation:
        return plan_variation(recipe, tmp_path / "run", "scales", ["[0]", "[1]"], overrides=["systems=[analogy]"])

    do_variation(again(), keep_models=False, progress=False, workers=1)
    assert not list((tmp_path / "run").rglob("*.safetensors"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.json")}
    assert "done" in describe_variation(again())
    do_variation(again(), keep_models=False, progress=False, workers=1)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.json")} == before
    more = plan_variation(recipe, tmp_path / "run", "scales", ["[0]", "[0.5]"], overrides=["systems=[analogy]"])
    [told] = [row for row in describe_variation(more).splitlines() if row.startswith("scales=[0.5]")]
    there = {path.parent.name for path in (more.plans["[0]"].run / "stages").glob("*/stage.json")}
    plan = more.plans["[0.5]"]
    missing = [stage for stage in plan if plan.folder(stage.name).name not in there]
    assert sum(stage.kind == "finetune" for stage in missing) == 3  # their models were removed
    assert int(told.split()[1]) == len(missing)


def test_what_does_not_hang_on_the_value_is_made_once(recipe: Path, tmp_path: Path) -> None:
    job = plan_variation(recipe, tmp_path / "run", "scales", ["[0]", "[1]"], overrides=["systems=[analogy]"])
    do_variation(job, progress=False, workers=1)
    first, second = job.plans.values()
    for stage in ("split", "synthesise-source", "finetune-source_real"):
        files = [path for path in first.folder(stage).rglob("*") if path.is_file()]
        assert files
        for file in files:
            assert file.samefile(second.folder(stage) / file.relative_to(first.folder(stage)))
    assert {value: results.systems[0].scale for value, results in job.results().items()} == {"[0]": 0.0, "[1]": 1.0}


@pytest.mark.parametrize(
    ("key", "values", "once", "anew"),
    [
        (
            "split.target_texts",
            ["2", "4"],
            {"corpus", "split", "synthesise-source", "finetune-source_synthetic", "finetune-source_real"},
            {"texts", "synthesise-target", "finetune-target_synthetic", "analogy"},
        ),
        (
            "split.source_utterances",
            ["4", "6"],
            {"corpus", "texts", "synthesise-target", "finetune-target_synthetic"},
            {"split", "synthesise-source", "finetune-source_synthetic", "finetune-source_real", "analogy"},
        ),
    ],
)
def test_less_of_one_side_leaves_the_other(
    recipe: Path, tmp_path: Path, key: str, values: list[str], once: set[str], anew: set[str]
) -> None:
    job = plan_variation(recipe, tmp_path / "run", key, values, overrides=["systems=[analogy]"])
    first, second = job.plans.values()
    same = {stage.name for stage in first if first.folder(stage.name).name == second.folder(stage.name).name}
    assert once <= same
    assert not anew & same
    counts = [int(row.split()[1]) for row in describe_variation(job).splitlines() if row.startswith(key)]
    assert counts == [len(first), len(second) - len(same)]


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("split.target_texts", ["2", "2"], "different values"),
        ("split.target_texts", [""], "different values"),
        ("split.target_text", ["2"], "did you mean"),
        ("split.target_texts", ["0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_varied_is_said_before_anything_is_done(
    recipe: Path, tmp_path: Path, key: str, values: list[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_variation(recipe, tmp_path / "run", key, values)
    assert not (tmp_path / "run").exists()
