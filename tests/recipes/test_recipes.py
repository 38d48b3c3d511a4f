"""Every recipe, run whole on a slice: a small random Whisper, hibari's voice, few utterances; and killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.adaptation.runs.adapt import adapt, plan_of
from speech_analogy.evaluation.results import Results, read_hypotheses
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.model_record import provenance
from tests.adaptation.building import stages_in_this_process
from tests.conftest import REPOSITORY, SHARED

pytest.importorskip("hibari", reason="hibari-tts is not installed")
pytestmark = pytest.mark.slow

SLICE = [
    "split.source_utterances=12",
    "synthesis.source.engines=[hibari]",
    "synthesis.target.engines=[hibari]",
    "synthesis.target.voices_per_text=1",
    "scales=[0, 1]",
    "training.epochs=1",
    "training.precision=fp32",
    "training.save_every_s=0",
]
PHONE_SLICE = [*SLICE, "split.source_dev={prompts: 3}", "split.target_dev={prompts: 170}", "channel.test_copies=1"]


def _timeless(results: Path) -> dict[str, Any]:
    """A results file without times, and without what was typed."""
    content: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    for system in content["systems"]:
        del system["seconds"]
        system.pop("real_time_factor", None)
    del content["seconds"], content["command"]
    return content


@pytest.fixture(scope="module")
def phone_line(tmp_path_factory: pytest.TempPathFactory, small_whisper: Path) -> Path:
    run = tmp_path_factory.mktemp("runs") / "phone_line"
    adapt(REPOSITORY / "recipes" / "phone_line", run, overrides=[*PHONE_SLICE, f"base={small_whisper}"], progress=False)
    return run


def test_phone_line_ends_with_every_system(phone_line: Path) -> None:
    results = Results.read(phone_line / "results.json")
    assert [(s.name, s.scale) for s in results.systems] == [
        ("zero_shot", None), ("source_synthetic", None), ("source_real", None), ("target_synthetic", None),
        ("mixed", None), ("analogy", 0.0), ("analogy", 1.0), ("mean_of_mixed_and_analogy", None),
    ]  # fmt: skip
    assert {c.against for c in results.comparisons} == {s.name for s in results.systems} - {"analogy"}
    assert sum(system.chosen for system in results.systems) == 1
    windows = {system.name: system.window for system in results.systems}
    assert windows["zero_shot"] == "full"
    assert windows["analogy"] == "trimmed"
    for system in results.systems:
        rows = read_hypotheses(phone_line / system.hypotheses_file)
        assert len(rows) == system.utterances
        assert sum(row.substitutions + row.deletions + row.insertions for row in rows) == (
            system.substitutions + system.deletions + system.insertions
        )
        assert system.wer == pytest.approx(
            100 * (system.substitutions + system.deletions + system.insertions) / system.words
        )
        assert (phone_line / rows[0].audio).is_file()


def test_lambda_zero_is_target_synthetic(phone_line: Path) -> None:
    """θ_C + 0 (θ_B − θ_A) transcribes exactly as θ_C does."""
    zero = read_hypotheses(phone_line / "hypotheses" / "analogy-0.jsonl")
    assert zero == read_hypotheses(phone_line / "hypotheses" / "target_synthetic.jsonl")


def test_adapted_model_is_a_pipelines(phone_line: Path) -> None:
    import numpy as np
    from transformers import pipeline

    speech = pipeline("automatic-speech-recognition", model=str(phone_line / "model"))
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000).astype(np.float32)
    assert "text" in speech({"raw": noise, "sampling_rate": 16_000}, generate_kwargs={"max_new_tokens": 4})
    recipe, _ = load_recipe(REPOSITORY / "recipes" / "phone_line")
    assert native_window(phone_line / "model") == recipe.training.window != "full"
    assert provenance(phone_line / "model")["operation"] == "analogy"


def test_second_run_does_nothing(phone_line: Path, small_whisper: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (phone_line / "stages").rglob("*") if path.is_file()}
    adapt(
        REPOSITORY / "recipes" / "phone_line",
        phone_line,
        overrides=[*PHONE_SLICE, f"base={small_whisper}"],
        progress=False,
    )
    after = {path: path.stat().st_mtime_ns for path in (phone_line / "stages").rglob("*") if path.is_file()}
    assert before == after


def test_another_lambda_redoes_only_what_hangs_on_it(phone_line: Path, small_whisper: Path) -> None:
    overrides = [*PHONE_SLICE, f"base={small_whisper}", "scales=[0, 0.5]"]
    _, plan = plan_of(REPOSITORY / "recipes" / "phone_line", phone_line, overrides=overrides)
    todo = {stage.name for stage in plan if not plan.is_done(stage.name)}
    assert todo == {
        "evaluate-analogy-0.5", "evaluate-analogy-0.5-on-source_dev", "evaluate-analogy-0.5-on-target_dev",
        "choose-scale", "analogy", "evaluate-mean_of_mixed_and_analogy",
    }  # fmt: skip


def _start(run: Path, base: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from speech_analogy.adaptation.runs.adapt import adapt\n"
        "if __name__ == '__main__': adapt(sys.argv[1], sys.argv[2], overrides=sys.argv[3:], progress=False)"
    )
    script = run.with_name("start.py")  # spawned workers import the main module, so it must be a file
    script.write_text(code)
    return subprocess.Popen(
        [
            sys.executable,
            str(script),
            str(REPOSITORY / "recipes" / "phone_line"),
            str(run),
            *PHONE_SLICE,
            f"base={base}",
        ]
    )


def test_killed_during_synthesis_fine_tuning_and_evaluation(
    phone_line: Path, small_whisper: Path, tmp_path: Path
) -> None:
    """SIGKILL in each kind of stage; what comes out at last is what the undisturbed run gave."""
    run = tmp_path / "run"
    for kind, sign in (("synthesise", "/*"), ("finetune", "/*"), ("evaluate-analogy", "")):  # writes at its end
        process = _start(run, small_whisper)
        deadline = time.monotonic() + 240
        while not list(run.glob(f"stages/.{kind}*.building{sign}")) and time.monotonic() < deadline:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (run / "results.json").exists()
    assert _start(run, small_whisper).wait() == 0
    assert _timeless(run / "results.json") == _timeless(phone_line / "results.json")
    for path in (phone_line / "hypotheses").iterdir():
        assert (run / "hypotheses" / path.name).read_bytes() == path.read_bytes()


def test_speechocean762_slice(small_whisper: Path, tmp_path: Path) -> None:
    if not (SHARED / "speechocean762").is_dir():
        pytest.skip("the speechocean762 data are not beside the checkout (../shared/data/speechocean762)")
    overrides = [*SLICE, f"base={small_whisper}", "split.target_domains=[clothing]", "search=null"]
    done = adapt(REPOSITORY / "recipes" / "speechocean762", tmp_path / "run", overrides=overrides, progress=False)
    assert {system.name for system in done.results.systems} >= {"zero_shot", "mixed", "analogy", "target_real"}
    assert done.results.test.domains == ["clothing"]


def test_search_chooses_on_source_speech(small_whisper: Path, tmp_path: Path) -> None:
    overrides = [
        *PHONE_SLICE, f"base={small_whisper}", "systems=[source_real, mixed]", "training_of={}",
        "search={learning_rates: [1.0e-5, 1.0e-3], epochs: [1, 2], source_utterances: 6}",
    ]  # fmt: skip
    run = tmp_path / "run"
    with stages_in_this_process():
        adapt(REPOSITORY / "recipes" / "phone_line", run, overrides=overrides, progress=False)
    [choice] = (run / "stages").glob("choose-training-*/choice.json")
    content = json.loads(choice.read_text())
    assert len(content["trials"]) == 6
    for system, chosen in content["chosen"].items():
        best = min((t for t in content["trials"] if t["system"] == system), key=lambda trial: trial["wer"])
        assert chosen["learning_rate"] in (1e-5, 1e-3)
        picked = [t["wer"] for t in content["trials"] if t["system"] == system
                  and (t["learning_rate"], t["epochs"]) == (chosen["learning_rate"], chosen["epochs"])]  # fmt: skip
        assert picked == [best["wer"]]


def test_systems_and_strategies_of_one_recipe(small_whisper: Path, tmp_path: Path) -> None:
    """Models that go on from others, models made of models, every strategy of λ, controls and forgetting in one run."""
    names = [
        "mixed_continued", "target_synthetic_frozen_encoder", "target_synthetic_replay", "analogy", "analogy_per_scope",
        "analogy_on_mixed_continued", "mean_of_mixed_and_analogy", "interpolated", "random_vector",
        "analogy_on_frozen_encoder", "soup",
    ]  # fmt: skip
    overrides = [
        *PHONE_SLICE, f"base={small_whisper}", f"systems=[{', '.join(names)}]", "scale_chosen_on=[source_dev]",
        "split.target_dev={prompts: 165}",  # leaves the test more than ten prompts: p-values ask for as many
        "report_forgetting=true", "controls.seeds=2", "training_of={}", "publish=mean_of_mixed_and_analogy",
        "scale_selection={compare: [fixed, leave_one_domain_out, agreement], unlabelled: source_dev, utterances: 1}",
    ]  # fmt: skip
    with stages_in_this_process():
        done = adapt(REPOSITORY / "recipes" / "phone_line", tmp_path / "run", overrides=overrides, progress=False)
    found = {system.name: system for system in done.results.systems}
    assert set(found) == set(names)
    assert {comparison.against for comparison in done.results.comparisons} == set(names) - {"analogy"}
    assert all(comparison.p_holm is not None for comparison in done.results.comparisons)
    assert all(system.source_wer is not None for system in done.results.systems)
    assert len(found["random_vector"].wer_of_seeds) == 2
    assert len(read_hypotheses(tmp_path / "run" / found["random_vector"].hypotheses_file)) == (
        2 * found["analogy"].utterances
    )
    assert set(found["analogy_per_scope"].scopes) == {"encoder", "decoder"}
    assert done.results.selection is not None
    assert {row.strategy: row.taken for row in done.results.selection.strategies} == {
        "source_dev": True, "fixed": False, "leave_one_domain_out": False, "agreement": False,
    }  # fmt: skip
    assert all(row.regret is not None and row.regret >= 0 for row in done.results.selection.strategies)
    models = {
        path.parent.name.rpartition("-")[0]: path for path in (tmp_path / "run" / "stages").glob("finetune-*/model")
    }
    continued = provenance(models["finetune-mixed_continued"])
    assert continued["base_fingerprint"] == provenance(models["finetune-source_real"])["base_fingerprint"]
    assert continued["continued_from"] != continued["base_fingerprint"]
    assert continued["hyper_parameters"]["learning_rate"] == pytest.approx(3e-6)
    [moved] = (tmp_path / "run" / "stages").glob("analogy-*/model")
    assert done.model == tmp_path / "run" / "model"
    parts = [open_checkpoint(models["finetune-mixed"]), open_checkpoint(moved)]
    for name in (published := open_checkpoint(done.model)):
        torch.testing.assert_close(published[name], (parts[0][name] + parts[1][name]) / 2, atol=1e-7, rtol=0)
    _encoder_is_the_base(models["finetune-target_synthetic_frozen_encoder"], small_whisper)


def _encoder_is_the_base(model: Path, base: Path) -> None:
    tuned, start = open_checkpoint(model), open_checkpoint(base)
    moved = {name for name in start if not torch.equal(tuned[name], start[name])}
    assert moved
    assert not any(".encoder." in name for name in moved)
