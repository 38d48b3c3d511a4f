"""Everything that computes goes to the GPU where there is one, and nothing is left on the other device.

On a machine without a GPU one is pretended (`tests.pretended_gpu`); numbers are then those of the processor.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import load_file, save_file

from data_synth.engines import gpus
from data_synth.engines.gpus import gpus_of
from speech_analogy.adaptation.execution import local as execution
from speech_analogy.adaptation.recipe import EvaluationOptions
from speech_analogy.adaptation.stages import evaluation as stages
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.evaluation_params import EvaluateParams
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.corpora.read import write_cuts
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.sweep import evaluate_scales
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.foundation.machine import VISIBLE_GPUS, cores, visible_gpus
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.loading import backend_name, load_recogniser, load_transcriber
from speech_analogy.training.distilling.options import ShortenOptions
from speech_analogy.training.distilling.shorten import shorten
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import EwcOptions, FinetuneOptions, LoraOptions
from tests.cli.running import fails
from tests.cli.running import run_in_a_process as run
from tests.pretended_gpu import OnGpu, pretended_gpu
from tests.small_conformer import make_conformer

pytestmark = pytest.mark.slow  # whole runs, or many models


OPTIONS = FinetuneOptions(learning_rate=1e-3, epochs=1, batch_size=8, precision="fp32")
TRIMMED = DecodingOptions(window="trimmed")
ON_CPU = DecodingOptions(window="trimmed", device="cpu")
CLOSE = {"rtol": 1e-3, "atol": 1e-5}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if torch.cuda.is_available():
        yield
    else:
        with pretended_gpu(monkeypatch):
            yield


@pytest.fixture(scope="module")
def few(noises: CutSet) -> CutSet:
    return CutSet.from_cuts(list(noises)[:4])


@pytest.fixture(scope="module")
def small_conformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_conformer(tmp_path_factory.mktemp("conformer") / "small")


@pytest.fixture(params=["small_whisper", "small_conformer"])
def model(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_the_pretence_refuses_what_a_gpu_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended_gpu(monkeypatch):
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there.device.type, here.device.type, there.cpu().device.type) == ("cuda", "cpu", "cpu")
        assert isinstance(there * 2 + torch.tensor(1.0), OnGpu)  # a number of the processor is welcome
        assert torch.equal((there * 2 + 1).cpu(), here * 3)
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(RuntimeError, match="same device"):
            torch.nn.Linear(3, 1).to("cuda")(here)
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()


def test_auto_is_the_gpu_where_there_is_one(gpu: None) -> None:
    assert find_device().type == "cuda"
    assert find_device("cpu").type == "cpu"
    assert find_device("auto", "ctranslate2").type == "cpu"


@pytest.mark.parametrize(("device", "said"), [("gpu", "knows no such device"), ("cuda:7", "sees no such device")])
def test_a_device_that_is_not_there_is_one_line(
    device: str, said: str, noises: CutSet, small_whisper: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        load_recogniser(small_whisper, device=device)
    write_cuts(noises, tmp_path / "cuts.jsonl.gz")
    given_options = ("--model", str(small_whisper), "--device", device, "--quiet")
    fails(run("transcribe", str(tmp_path / "cuts.jsonl.gz"), *given_options), "device: torch", said, device)


def test_texts_are_those_of_the_processor(few: CutSet, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = transcribe(few, model, decoding=ON_CPU, progress=False)
    beams = [2] if family_of(model).most_beams is None else []
    searched = [transcribe(few, model, decoding=ON_CPU.model_copy(update={"beams": n}), progress=False) for n in beams]
    with pretended_gpu(monkeypatch):
        assert load_transcriber(model).device.type == "cuda"  # type: ignore[attr-defined]
        assert transcribe(few, model, decoding=TRIMMED, progress=False).transcripts == expected.transcripts
        for n, found in zip(beams, searched, strict=True):
            again = transcribe(few, model, decoding=TRIMMED.model_copy(update={"beams": n}), progress=False)
            assert again.transcripts == found.transcripts


def test_ctranslate2_stays_on_the_processor(small_whisper: Path, gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    assert backend_name(load_transcriber(small_whisper, DecodingOptions(backend="auto"), window_s=1e6)) == "torch"
    found = load_transcriber(small_whisper, DecodingOptions(backend="ctranslate2"), window_s=1e6)
    assert backend_name(found) == "ctranslate2-int8"


def test_a_sweep_transcribes_on_the_gpu_as_on_the_processor(
    few: CutSet, small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corners = [small_whisper]
    for seed, name in enumerate("ba"):
        corners.append(Path(shutil.copytree(small_whisper, tmp_path / name)))
        generator = torch.Generator().manual_seed(seed)
        tensors = load_file(corners[-1] / "model.safetensors")
        moved = {name: t + 0.02 * torch.randn(t.shape, generator=generator) for name, t in tensors.items()}
        save_file(moved, corners[-1] / "model.safetensors", metadata={"format": "pt"})
    expected = evaluate_scales(few, *corners, (0.0, 1.0), decoding=ON_CPU, progress=False)
    assert expected[0].hypotheses != expected[1].hypotheses
    with pretended_gpu(monkeypatch):
        found = evaluate_scales(few, *corners, (0.0, 1.0), decoding=TRIMMED, progress=False)
        assert OnGpu.operations > 100
    assert [one.hypotheses for one in found] == [one.hypotheses for one in expected]


@pytest.mark.parametrize(
    ("how", "which"),
    [("plain", "small_whisper"), ("lora", "small_whisper"), ("ewc", "small_whisper"), ("plain", "small_conformer")],
)
def test_what_is_learned_is_what_the_processor_learns(
    how: str,
    which: str,
    noises: CutSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    model: Path = request.getfixturevalue(which)
    if how == "lora":
        pytest.importorskip("peft", reason="peft is not installed")
    changes: dict[str, Any] = {
        "plain": {},
        "lora": {"lora": LoraOptions(rank=2, alpha=4, modules=("q_proj",))},
        "ewc": {"ewc": EwcOptions(strength=1.0)},
    }[how]
    options = OPTIONS.model_copy(update=changes)
    given_options: dict[str, Any] = {"remember": noises if how == "ewc" else None, "progress": False}
    expected = finetune(noises, model, tmp_path / "cpu", options, **given_options)
    with pretended_gpu(monkeypatch):
        found = finetune(noises, model, tmp_path / "gpu", options, **given_options)
        assert OnGpu.operations > 100
    before, ours, theirs = (
        load_file(folder / "model.safetensors") for folder in (model, found.folder, expected.folder)
    )
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    assert any(not torch.equal(before[name], ours[name]) for name in before)
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, **CLOSE)


def test_a_student_learns_what_it_learns_on_the_processor(
    few: CutSet, small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ShortenOptions(learning_rate=3e-4, epochs=1, batch_size=4, precision="fp32")
    expected = shorten(small_whisper, few, tmp_path / "cpu", options, device="cpu", progress=False)
    with pretended_gpu(monkeypatch):
        found = shorten(small_whisper, few, tmp_path / "gpu", options, progress=False)
        assert OnGpu.operations > 100
    assert found.losses == pytest.approx(expected.losses, rel=1e-4)


@pytest.mark.parametrize(("backend", "expected"), [("torch", "cuda"), ("ctranslate2", "cpu")])
def test_a_recipe_hears_its_models_on_the_gpu(
    backend: str,
    expected: str,
    few: CutSet,
    small_whisper: Path,
    tmp_path: Path,
    gpu: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    devices = []

    def load(*given: Any, **given_options: Any) -> Any:
        devices.append(given_options["device"].type)
        return load_recogniser(*given, **given_options)

    monkeypatch.setattr(stages, "load_recogniser", load)
    speech, made = tmp_path / "split", tmp_path / "made"
    for folder in (speech, made):
        folder.mkdir()
    write_cuts(few, speech / "test.jsonl.gz")
    params = EvaluateParams(
        system="zero_shot",
        cuts=Output("split", "test.jsonl.gz"),
        evaluation=EvaluationOptions.parse({"window": "trimmed", "backend": backend}),
        language="en",
        base=str(small_whisper),
    )
    work = Work("evaluate", made, made, params, {"split": speech}, False)
    stages.evaluate_stage(work)
    assert devices == [expected]
    assert (made / "score.json").is_file()


@pytest.mark.parametrize(
    ("count", "said", "expected"),
    [(0, None, ()), (2, None, ("0", "1")), (2, "3, GPU-5e", ("3", "GPU-5e")), (1, "3,9", ("3",)), (0, "0", ())],
)
def test_gpus_are_called_as_the_user_calls_them(
    count: int, said: str | None, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv(VISIBLE_GPUS, raising=False)
    if said is not None:
        monkeypatch.setenv(VISIBLE_GPUS, said)
    assert visible_gpus() == expected


@pytest.mark.parametrize(
    ("count", "engines", "said", "processes", "on_gpus", "words"),
    [
        (0, ("bark",), None, 6, False, "6 cores"),
        (2, ("bark",), None, 2, True, "2 processes on 2 GPUs"),
        (1, ("hibari", "speecht5"), None, 1, True, "1 process on 1 GPU"),
        (2, ("hibari", "piper:joe"), None, 2, False, "2 processes on 2 GPUs"),
        (2, ("bark",), "cpu", 2, False, "2 processes on 2 GPUs"),
        (2, ("bark",), "cuda:1", 2, False, "2 processes on 2 GPUs"),  # the user has said where
    ],
)
def test_a_process_a_gpu_or_else_one_a_core(
    count: int,
    engines: tuple[str, ...],
    said: str | None,
    processes: int,
    on_gpus: bool,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (gpus, execution):
        monkeypatch.setattr(module, "visible_gpus", lambda: tuple(map(str, range(count))))
    monkeypatch.setattr(execution, "cores", lambda: 6)
    monkeypatch.delenv(gpus.DEVICE_VARIABLE, raising=False)
    if said is not None:
        monkeypatch.setenv(gpus.DEVICE_VARIABLE, said)
    executor = execution.LocalExecutor()
    assert (executor.slots, executor.place) == (processes, words)
    assert execution.LocalExecutor(4).slots == 4
    assert bool(gpus_of(engines)) == on_gpus


def _seen() -> tuple[str | None, int]:
    time.sleep(0.5)  # so that no process takes two of these
    return os.environ.get(VISIBLE_GPUS), torch.get_num_threads()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("3", "5"), {("3", max(1, cores() // 2)), ("5", max(1, cores() // 2))}),
        ((), {(None, 1)}),
    ],
)
def test_every_process_of_a_run_sees_one_gpu(
    names: tuple[str, ...], expected: set[tuple[str | None, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE_GPUS, raising=False)
    context = get_context("spawn")
    given_options = (os.getpid(), context.Value("i", 0), context.Queue(), 2, names)
    with ProcessPoolExecutor(2, context, execution.start_worker, given_options) as pool:
        found = [pool.submit(_seen) for _ in range(2)]
        assert {one.result() for one in found} == expected
