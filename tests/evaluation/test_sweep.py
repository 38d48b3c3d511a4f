"""A sweep over λ in memory: the bits of the merged files, the scores of single evaluations, three models of memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import load_file, save_file

from speech_analogy.errors import CheckpointError
from speech_analogy.evaluation import sweep
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.evaluation.sweep import ScaleSweep, evaluate_scales
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.whisper.model import WhisperRecogniser

TRIMMED = DecodingOptions(window="trimmed")
SCALES = (0.5, 0.0, 1.0, -0.25, 0.5)  # a λ that comes again must give the same


def _model(source: Path, folder: Path, seed: int, dtype: torch.dtype = torch.float32) -> Path:
    """The same model, every tensor moved a little, some entries (zeros of either sign among them) not at all."""
    shutil.copytree(source, folder)
    generator = torch.Generator().manual_seed(seed)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        noise = 0.02 * torch.randn(tensor.shape, generator=generator)
        noise.view(-1)[::3] = 0
        tensor.view(-1)[::9] = -0.0
        tensors[name] = (tensor + noise).to(dtype)
        tensors[name].view(-1)[::9] = -0.0
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module", params=[torch.float32, torch.float16], ids=str)
def corners(
    request: pytest.FixtureRequest, small_whisper: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """C, B and A."""
    folder = tmp_path_factory.mktemp("corners")
    return [_model(small_whisper, folder / name, seed, request.param) for seed, name in enumerate("cba")]


def test_weights_are_those_of_the_merged_file(corners: list[Path], tmp_path: Path) -> None:
    found = ScaleSweep(WhisperRecogniser(corners[0]), *(open_checkpoint(path) for path in corners))
    merged_at = {
        scale: WhisperRecogniser(analogy(*corners, scale, tmp_path / f"{scale:g}")).model.state_dict()
        for scale in set(SCALES)
    }
    for scale in SCALES:
        state, merged = found.move(scale).model.state_dict(), merged_at[scale]
        for name, tensor in merged.items():
            assert torch.equal(state[name].view(torch.int32), tensor.view(torch.int32)), (scale, name)  # −0.0 too


def test_scores_are_those_of_single_evaluations(
    corners: list[Path], noises: CutSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "HELD_WINDOW_S", 20.0)  # several groups of batches
    found = evaluate_scales(noises, *corners, (1.0, 0.0), decoding=TRIMMED, progress=False)
    for one, scale in zip(found, (1.0, 0.0), strict=True):
        merged = analogy(*corners, scale, tmp_path / f"{scale:g}")
        alone = evaluate(noises, merged, name="analogy", scale=scale, decoding=TRIMMED, progress=False)
        assert one.hypotheses == alone.hypotheses
        assert one.system == alone.system.model_copy(update={"seconds": one.system.seconds})
    assert found[0].hypotheses != found[1].hypotheses


def test_a_lambda_that_is_no_number_and_a_weight_that_is_none_are_refused(corners: list[Path]) -> None:
    sources = [open_checkpoint(path) for path in corners]
    with pytest.raises(CheckpointError, match="finite"):
        ScaleSweep(WhisperRecogniser(corners[0]), *sources).move(float("nan"))
    broken = {name: tensor.clone() for name, tensor in sources[1].items()}
    broken["model.encoder.conv1.bias"][0] = float("inf")
    with pytest.raises(CheckpointError, match=r"conv1\.bias"):
        ScaleSweep(WhisperRecogniser(corners[0]), sources[0], broken, sources[2])


_PEAK = """
import resource, sys, torch
from pathlib import Path
from safetensors.torch import load_file
from speech_analogy.evaluation.sweep import ScaleSweep
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
torch.set_num_threads(1)
corners = [load_file(f"{path}/model.safetensors") for path in sys.argv[1:]]
made = ScaleSweep(WhisperRecogniser(Path(sys.argv[1])), *corners)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
made.move(0.5)
before = peak()
for step in range(20):
    made.move(step / 10)
print(peak() - before, sum(tensor.nbytes for tensor in corners[0].values()))
"""


def test_moving_takes_no_memory_of_its_own(corners: list[Path]) -> None:
    """Twenty λ raise the peak by less than a twentieth of the weights."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, *map(str, corners)], check=True, capture_output=True, text=True, timeout=120
    )
    grown, weights = map(int, done.stdout.split())
    assert weights > 5e6
    assert grown < weights / 20
