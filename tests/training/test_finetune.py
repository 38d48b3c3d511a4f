"""The loop: it learns, it resumes bit for bit, and what it learns from is what it was given."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lhotse import CutSet
from safetensors.torch import load_file

from speech_analogy.corpora.cuts import text_of
from speech_analogy.corpora.read import write_cuts
from speech_analogy.corpora.seen import SeenSpeech
from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.training.batching import batch_window_s, epoch_batches, prefetch, twin_batches
from speech_analogy.training.finetune import finetune
from speech_analogy.training.optimiser import decay_groups, schedule
from speech_analogy.training.options import FinetuneOptions
from tests.conftest import threads_of_a_new_thread

OPTIONS = FinetuneOptions(learning_rate=1e-3, epochs=2, batch_size=8, save_every_s=0, precision="fp32")


@given(st.integers(1, 500), st.floats(0, 1))
def test_schedule_warms_up_and_decays_linearly(steps: int, warmup_share: float) -> None:
    rates = [schedule(step, steps, warmup_share) for step in range(steps)]
    warmup = round(warmup_share * steps)
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    if warmup < steps:
        assert rates[warmup] == 1.0
        assert rates[-1] == pytest.approx(1 / (steps - warmup))


def test_an_epoch_has_every_utterance_once_and_epochs_differ(noises: CutSet) -> None:
    first = epoch_batches(noises, batch_size=5, seed=0, epoch=0)
    again = epoch_batches(noises, batch_size=5, seed=0, epoch=0)
    second = epoch_batches(noises, batch_size=5, seed=0, epoch=1)
    ids = [[cut.id for cut in batch] for batch in first]
    assert sorted(name for batch in ids for name in batch) == sorted(noises.ids)
    assert max(len(batch) for batch in first) == 5
    assert ids == [[cut.id for cut in batch] for batch in again]
    assert ids != [[cut.id for cut in batch] for batch in second]


def test_the_thread_that_makes_batches_has_no_helpers() -> None:
    """OpenMP's threads of two masters are more than the cores: the learning one's would sleep between operations."""

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = list(prefetch([[1], [2]], lambda batch: (torch.get_num_threads(), threading.get_ident())))  # type: ignore[arg-type, return-value]
        assert [threads for threads, _ in found] == [1, 1]  # type: ignore[misc, str-unpack]
        assert threading.get_ident() not in {maker for _, maker in found}  # type: ignore[misc]
        assert torch.get_num_threads() == 3
        assert threads_of_a_new_thread() == 3
    finally:
        torch.set_num_threads(before)


def test_twins_get_the_same_texts_in_the_same_batches(noises: CutSet) -> None:
    def texts(cuts: CutSet, epoch: int) -> list[list[str]]:
        return [[text_of(cut) for cut in batch] for batch in twin_batches(cuts, batch_size=4, seed=0, epoch=epoch)]

    longest_first = sorted(noises, key=lambda cut: -cut.duration)
    twin = CutSet.from_cuts(
        cut.truncate(duration=0.1 + 0.01 * place).with_id(f"{place}") for place, cut in enumerate(longest_first)
    )
    assert texts(noises, 0) == texts(twin, 0)
    assert texts(noises, 0) != texts(noises, 1)
    assert sorted(text for batch in texts(noises, 1) for text in batch) == sorted(text_of(cut) for cut in noises)
    assert all(batch == sorted(batch, key=len) for batch in texts(noises, 0))


def test_batch_window_holds_its_longest(noises: CutSet) -> None:
    batch = list(noises)
    assert batch_window_s(batch, "trimmed") >= max(cut.duration for cut in batch)
    assert batch_window_s(batch, "full") == 30.0


def test_weight_decay_spares_biases_and_norms() -> None:
    parameters = {"w": torch.nn.Parameter(torch.ones(2, 2)), "b": torch.nn.Parameter(torch.ones(2))}
    decayed, spared = decay_groups(parameters, 0.1)
    assert (decayed["params"], decayed["weight_decay"]) == ([parameters["w"]], 0.1)
    assert (spared["params"], spared["weight_decay"]) == ([parameters["b"]], 0.0)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def undisturbed(noises: CutSet, small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "model"
    return finetune(noises, small_whisper, out, OPTIONS, progress=False).folder


def test_shards_teach_what_files_teach(undisturbed: Path, noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    """The same speech packed into Lhotse Shar gives the same weights, bit for bit."""
    (tmp_path / "shar").mkdir()
    noises.to_shar(tmp_path / "shar", fields={"recording": "flac"}, shard_size=7)
    packed = finetune(tmp_path / "shar", small_whisper, tmp_path / "packed", OPTIONS, progress=False).folder
    before, after = _weights(undisturbed), _weights(packed)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_it_learns_and_says_from_what(undisturbed: Path, small_whisper: Path, noises: CutSet) -> None:
    rows = [json.loads(line) for line in (undisturbed / "training" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0]["loss"] == pytest.approx(math.log(51864), abs=0.05)  # random weights know nothing
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.3
    assert {row["epoch"] for row in rows} == {1, 2}
    assert all(row["utterances_per_second"] > 0 for row in rows)
    assert list((undisturbed / "training" / "tensorboard").glob("events*"))
    record = json.loads((undisturbed / "provenance.json").read_text())
    assert (record["window"], record["base"], record["tuned_on"]["utterances"]) == ("trimmed", "small.en", 24)
    assert SeenSpeech.read(record["seen"]) == SeenSpeech.of(noises)
    assert record["hyper_parameters"]["learning_rate"] == 1e-3
    before, after = _weights(small_whisper), _weights(undisturbed)
    assert before.keys() == after.keys()
    assert all(tensor.dtype == torch.float32 for tensor in after.values())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert "model.encoder.embed_positions.weight" not in moved
    assert len(moved) > 0.8 * len(before)


def test_same_seed_same_bits_other_seed_other_bits(
    noises: CutSet, small_whisper: Path, undisturbed: Path, tmp_path: Path
) -> None:
    same = finetune(noises, small_whisper, tmp_path / "same", OPTIONS, progress=False).folder
    other = finetune(
        noises, small_whisper, tmp_path / "other", OPTIONS.model_copy(update={"seed": 1}), progress=False
    ).folder
    expected = _weights(undisturbed)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in _weights(same).items())
    assert not all(torch.equal(tensor, expected[name]) for name, tensor in _weights(other).items())


def _tune(cuts: Path, base: Path, out: Path) -> None:
    finetune(cuts, base, out, OPTIONS, progress=False)


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_bits(
    noises: CutSet, small_whisper: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """SIGKILL as soon as the third state is on disk; the second start must not begin at step 0."""
    cuts, out = tmp_path / "cuts.jsonl.gz", tmp_path / "model"
    write_cuts(noises, cuts)
    process = multiprocessing.get_context("spawn").Process(target=_tune, args=(cuts, small_whisper, out))
    process.start()
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".model.training/step-0000000[3-9]")) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists(), "it was finished before it could be killed"
    _tune(cuts, small_whisper, out)
    expected = _weights(undisturbed)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in _weights(out).items())
    rows = [json.loads(line) for line in (out / "training" / "log.jsonl").read_text().splitlines()]
    whole = [json.loads(line) for line in (undisturbed / "training" / "log.jsonl").read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(row["step"], row["loss"]) for row in whole]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_state_of_other_options_is_not_gone_on_from(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    from speech_analogy.training.state import load_state, save_state

    parameter = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones(2)
    optimiser.step()
    save_state(tmp_path, 7, "key", {"p": parameter}, optimiser)
    fresh = torch.nn.Parameter(torch.zeros(2))
    again = torch.optim.AdamW([fresh])
    assert load_state(tmp_path, "key", {"p": fresh}, again) == 7
    assert torch.equal(fresh, parameter)
    assert torch.equal(again.state[fresh]["exp_avg"], optimiser.state[parameter]["exp_avg"])
    fresh = torch.nn.Parameter(torch.zeros(2))
    assert load_state(tmp_path, "other key", {"p": fresh}, torch.optim.AdamW([fresh])) == 0
    assert torch.equal(fresh, torch.zeros(2))


def test_existing_folder_is_not_overwritten(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="must not exist"):
        finetune(noises, small_whisper, tmp_path, OPTIONS, progress=False)


def test_buckets_hold_similar_durations_and_warn_of_nothing(noises: CutSet) -> None:
    """Enough utterances for two buckets: batches differ less in duration than the set does, and nothing is said."""
    many = CutSet.from_cuts(cut.with_id(f"{cut.id}-{copy}") for copy in range(6) for cut in noises)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = epoch_batches(many, batch_size=8, seed=0, epoch=0)
    assert sorted(cut.id for batch in batches for cut in batch) == sorted(many.ids)
    spread = max(max(c.duration for c in batch) - min(c.duration for c in batch) for batch in batches)
    whole = max(cut.duration for cut in many) - min(cut.duration for cut in many)
    assert spread < 0.8 * whole


LAUNCHED = """
import sys
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
cuts, base, out, options = sys.argv[1:]
finetune(cuts, base, out, FinetuneOptions.model_validate_json(options), progress=False)
"""


@pytest.mark.slow
def test_two_launched_processes_have_the_loss_curve_of_one(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    """`accelerate launch` over gloo: the same losses at the same rates, the same weights, one log."""
    options = OPTIONS.model_copy(update={"batch_size": 7, "save_every_s": 60.0})  # the last batch of three is odd
    write_cuts(noises, tmp_path / "cuts.jsonl.gz")
    (tmp_path / "tune.py").write_text(LAUNCHED)
    found = []
    for processes in (1, 2):
        out = tmp_path / f"model-{processes}"
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines=1", "--dynamo_backend=no"]
        launch += [f"--num_processes={processes}", "--num_cpu_threads_per_process=1", "--mixed_precision=no"]
        launch += ["--multi_gpu"] if processes > 1 else ["--cpu"]  # with --cpu it starts one process, whatever is asked
        arguments = [str(tmp_path / "tune.py"), str(tmp_path / "cuts.jsonl.gz"), str(small_whisper), str(out)]
        run = subprocess.run(
            [*launch, *arguments, options.model_dump_json()],
            capture_output=True,
            text=True,
            env=os.environ | {"ACCELERATE_USE_CPU": "true"},
        )
        assert run.returncode == 0, run.stderr[-2000:]
        rows = [json.loads(line) for line in (out / "training" / "log.jsonl").read_text().splitlines()]
        found.append(([row["loss"] for row in rows], [row["learning_rate"] for row in rows], _weights(out)))
    (one, rates, weights), (two, same_rates, other_weights) = found
    assert len(one) == 8
    assert two == pytest.approx(one, rel=1e-4)
    assert rates == same_rates
    assert all(torch.allclose(weights[name], other_weights[name], atol=2e-4) for name in weights)
    assert not all(torch.equal(weights[name], other_weights[name]) for name in weights), "it was not two processes"


def test_the_log_records_where_the_time_goes(undisturbed: Path) -> None:
    for line in (undisturbed / "training" / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["seconds"].keys() == {"waiting", "forward", "backward", "optimiser", "logging"}
        assert all(seconds >= 0 for seconds in row["seconds"].values())
        counted = {name: seconds for name, seconds in row["seconds"].items() if name != "logging"}
        assert row["utterances_per_second"] * sum(counted.values()) == pytest.approx(8, rel=0.01)


def test_features_kept_for_others_change_nothing(
    noises: CutSet, small_whisper: Path, undisturbed: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "features"
    expected = _weights(undisturbed)
    for name in ("first", "second"):
        found = finetune(noises, small_whisper, tmp_path / name, OPTIONS, features=kept, progress=False).folder
        assert all(torch.equal(tensor, expected[key]) for key, tensor in _weights(found).items())
    assert len(list(kept.rglob("*.npy"))) == len(noises)


def test_a_process_tunes_in_one_precision_after_the_other(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    few = noises.subset(first=3)
    for precision in ("bf16", "fp32", "bf16"):
        options = OPTIONS.model_copy(update={"precision": precision, "epochs": 1})
        out = tmp_path / f"{precision}-{len(list(tmp_path.iterdir()))}"
        record = json.loads(
            (finetune(few, small_whisper, out, options, progress=False).folder / "provenance.json").read_text()
        )
        assert record["hyper_parameters"]["precision"] == precision


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_half_precision_needs_a_gpu(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"precision": "fp16"})
    with pytest.raises(ConfigError, match="precision: needs a GPU"):
        finetune(noises, small_whisper, tmp_path / "model", options, progress=False)
    assert list(tmp_path.iterdir()) == []
