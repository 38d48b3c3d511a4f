"""The bench: what is counted is what was done, in closed forms; the stages run; mistakes are one line."""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_analogy.benching import bench as bench_module
from speech_analogy.benching import machine
from speech_analogy.benching.bench import TIME_SHARES, bench, table
from speech_analogy.benching.findings import Findings, Machine, Peak, StageFinding
from speech_analogy.benching.speech import LONGEST_S, MEDIAN_S, SHORTEST_S, durations, make_speech
from speech_analogy.benching.stages import STAGES, STEPS_AT_LEAST, TRAINING_BATCH, BenchJob, seconds_of
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import text_of
from speech_analogy.corpora.read import write_cuts
from speech_analogy.errors import DataError, WeightsUnavailableError
from tests.cli.running import fails
from tests.cli.running import run_in_a_process as run

FAST = functools.partial(BenchJob, sides=(32, 64))


def test_rates_by_hand() -> None:
    stage = StageFinding(name="x", utterances=8, audio_s=32.0, seconds=4.0, gigabytes=2.0)
    assert (stage.real_time_factor, stage.utterances_per_second, stage.gigabytes_per_second) == (0.125, 2.0, 0.5)
    assert StageFinding(name="x").real_time_factor is None


def test_what_a_step_spent() -> None:
    row = {"seconds": {"forward": 1.0, "backward": 2.0, "optimiser": 0.5, "waiting": 0.25, "other": 0.25}}
    assert seconds_of(row, 16) == (4.0, 0.5)
    assert seconds_of({"utterances_per_second": 8.0}, 16) == (2.0, None)


def test_what_is_measured_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where there is a GPU: a share of the processor's peak would mean nothing there."""
    seen: dict[str, str] = {}

    def run_one(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.update(env)
        return subprocess.CompletedProcess(command, 0, stdout="{}\n", stderr="")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(bench_module.subprocess, "run", run_one)
    job = BenchJob(folder=Path(), cuts=Path(), scratch=Path(), seconds=1.0, threads=1, language="en")
    bench_module.in_a_process("features", job)
    assert seen["CUDA_VISIBLE_DEVICES"] == ""


def test_the_peak_is_the_fastest_try_of_the_fastest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock by which every product takes a second, two tries of 0.4 s are one too many, and size wins."""
    ticks = itertools.count()
    monkeypatch.setattr(machine.time, "perf_counter", lambda: float(next(ticks)))
    found = machine.matmul_peak("fp32", sides=(16, 64, 32), side_s=0.4)
    assert found == Peak(gflops=2 * 64**3 / 1e9, side=64)
    assert next(ticks) == 3 * 2 * machine.REPEATS_AT_LEAST


def test_peak_memory_counts_this_process_alone() -> None:
    """A small process that a large one starts is small; and what it touches counts."""
    held = np.ones(200 << 17)  # 200 MiB here
    code = (
        "from speech_analogy.benching.machine import peak_bytes; a = peak_bytes(); "
        "b = b'x' * (64 << 20); print(a, peak_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after - before == pytest.approx(64 << 20, rel=0.1)
    if Path("/proc/self/status").is_file():
        assert before < held.nbytes < machine.peak_bytes()


def test_durations_are_those_described() -> None:
    drawn = durations(4000)
    assert SHORTEST_S <= drawn.min() < drawn.max() <= LONGEST_S
    assert np.median(drawn) == pytest.approx(MEDIAN_S, rel=0.05)
    assert np.array_equal(drawn, durations(4000))


def test_noise_is_as_long_as_asked_for_and_seeded(tmp_path: Path) -> None:
    cuts, again = (list(make_speech(tmp_path / name, [1.0, 2.5, 4.0])) for name in "ab")
    for cut, other, seconds in zip(cuts, again, [1.0, 2.5, 4.0], strict=True):
        samples = load_audio(cut)
        assert len(samples) == round(16_000 * seconds)
        assert np.abs(samples).max() < 1.0
        assert len(text_of(cut).split()) == round(2 * seconds)
        assert np.array_equal(samples, load_audio(other))
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        assert spectrum[: len(spectrum) // 8].sum() > 0.7 * spectrum.sum()  # below 1 kHz


def test_every_stage_has_its_share_of_the_time() -> None:
    assert TIME_SHARES.keys() == STAGES.keys()
    assert sum(TIME_SHARES.values()) == pytest.approx(1)


@pytest.fixture
def job(tmp_path: Path, small_whisper: Path) -> BenchJob:
    cuts = make_speech(tmp_path / "speech", [1.0 + 0.01 * n for n in range(TRAINING_BATCH * STEPS_AT_LEAST)])
    write_cuts(cuts, tmp_path / "cuts.jsonl.gz")
    return BenchJob(
        folder=small_whisper, cuts=tmp_path / "cuts.jsonl.gz", scratch=tmp_path, seconds=0.2, threads=1, language="en",
        peak={"fp32": 100.0, "bf16": 200.0},
    )  # fmt: skip


def test_features(job: BenchJob) -> None:
    found = STAGES["features"](job)
    assert found.seconds is not None
    assert found.seconds >= job.seconds
    assert found.utterances is not None
    assert found.utterances % (TRAINING_BATCH * STEPS_AT_LEAST) == 0
    assert found.audio_s == pytest.approx(found.utterances * (1.0 + 0.01 * (TRAINING_BATCH * STEPS_AT_LEAST - 1) / 2))


def test_fine_tuning_counts_the_steps_after_the_first(job: BenchJob) -> None:
    found = STAGES["fine-tuning"](job)
    assert found.utterances == TRAINING_BATCH * (STEPS_AT_LEAST - 1)
    assert found.gflops is not None
    assert found.peak_share is not None
    assert found.peak_share in (pytest.approx(found.gflops / 100), pytest.approx(found.gflops / 200))
    assert found.outside_share is None or 0 <= found.outside_share < 1
    log = (job.scratch / "tuned" / "training" / "log.jsonl").read_text().splitlines()
    steps = [seconds_of(json.loads(line), TRAINING_BATCH)[0] for line in log[1:]]
    assert found.seconds == pytest.approx(sum(steps))


def test_transcription(job: BenchJob) -> None:
    found = STAGES["transcription, torch"](job)
    assert found.utterances is not None
    assert 16 <= found.utterances <= 64
    assert found.utterances_per_second is not None
    assert found.utterances_per_second > 0


def test_merging(job: BenchJob) -> None:
    found = STAGES["merging"](job)
    size = (job.scratch / "c" / "model.safetensors").stat().st_size
    assert found.gigabytes is not None
    assert round(found.gigabytes * 1e9) % size < 0.01 * size * round(found.gigabytes * 1e9 / size)
    assert not (job.scratch / "out").exists()


def test_synthesis_says_what_is_missing(job: BenchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speech_analogy.benching.stages.ENGINES_TRIED", ("nothing",))
    assert STAGES["synthesis"](job).missing == "none of nothing is installed"


@pytest.mark.slow
def test_processes_of_their_own(small_whisper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine, two stages and one that fails; the findings go through JSON and into a table."""
    monkeypatch.setattr(bench_module, "BenchJob", FAST)
    monkeypatch.setitem(TIME_SHARES, "no such stage", 0.0)
    monkeypatch.setattr(bench_module, "UTTERANCES", 8)
    names = ("features", "merging", "no such stage")
    found = bench(str(small_whisper), seconds=2.0, threads=1, stages=names, progress=False)
    assert [stage.name for stage in found.stages] == list(names)
    assert [bool(stage.missing) for stage in found.stages] == [False, False, True]
    assert found.machine.threads == 1
    assert found.peak["fp32"].side in (32, 64)
    assert all(stage.peak_bytes is not None and stage.peak_bytes > 50 << 20 for stage in found.stages[:2])
    assert Findings.model_validate_json(found.model_dump_json()) == found
    assert "KeyError" in table(found)


def test_table_by_hand() -> None:
    found = Findings(
        base="pip:x", speech="noise", seconds=61.2,
        machine=Machine(processor="P", cores=2, threads=2, bf16=True, memory_bytes=8 << 30, versions={"torch": "9"}),
        peak={"fp32": Peak(gflops=123.4, side=512)},
        stages=[
            StageFinding(name="fine-tuning", utterances=10, audio_s=40.0, seconds=2.0, gflops=61.7, peak_share=0.5,
                  outside_share=0.031, peak_bytes=100 << 20, note="bf16"),
            StageFinding(name="synthesis", missing="none is installed"),
        ],
    )  # fmt: skip
    lines = table(found).splitlines()
    assert lines[0] == "P: 2 cores, 2 threads, computes in bf16, 8 GiB"
    assert lines[2] == "matmul peak: fp32 123 GFLOP/s (512²)"
    [tuned] = [line for line in lines if line.startswith("fine-tuning")]
    assert tuned.split() == ["fine-tuning", "5.0", "0.0500", "62", "50.0", "%", "3.1", "%", "100", "bf16"]
    [missing] = [line for line in lines if line.startswith("synthesis")]
    assert missing.split() == ["synthesis", "none", "is", "installed"]


def test_mistakes_are_found_before_anything_is_measured(tmp_path: Path, small_whisper: Path) -> None:
    with pytest.raises(WeightsUnavailableError, match=r"pip:whisper-tiny\.xx"):
        bench("pip:whisper-tiny.xx", progress=False)
    soundfile.write(tmp_path / "plain.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    with pytest.raises(DataError, match="must have a text"):
        bench(str(small_whisper), cuts=tmp_path / "plain.wav", progress=False)


@pytest.mark.slow
def test_mistakes_are_one_line(tmp_path: Path, small_whisper: Path) -> None:
    fails(run("bench", "--base", "pip:whisper-tiny.xx", "-q"), "pip:whisper-tiny.xx")
    soundfile.write(tmp_path / "plain.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    fails(run("bench", "--base", small_whisper, "--cuts", tmp_path / "plain.wav", "-q"), "must have a text")
