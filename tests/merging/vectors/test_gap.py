"""Gap vectors: the difference itself, its base, what it says of the speech, and the mean of several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.io.provenance import GAP, MEAN_OF_GAPS
from speech_analogy.merging.vectors.gap import gap_between, mean_gap
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import same_bits

WINDOW = {"slack_s": 0.5}


@pytest.fixture
def tuned(corners: dict[str, Path]) -> dict[str, Path]:
    """The corners, A and B with a record of their base."""
    found = fingerprint(open_checkpoint(corners["base"]))
    for corner, kind in (("a", "synthetic"), ("b", "real")):
        record = {
            "base": "some/base", "base_fingerprint": found, "window": WINDOW, "tuned_on": {"kinds": [kind]},
        }  # fmt: skip
        (corners[corner] / "provenance.json").write_text(json.dumps(record))
    return corners


def test_it_is_b_less_a_and_remembers_the_base(tuned: dict[str, Path]) -> None:
    gap = gap_between(tuned["b"], tuned["a"], channel="headset", licence="CC0-1.0", creator="")
    real, synthetic = open_checkpoint(tuned["b"]), open_checkpoint(tuned["a"])
    for name in real:
        assert same_bits(gap.tensors[name], real[name] - synthetic[name])
    by_vectors = TaskVector.between(tuned["base"], tuned["b"]) - TaskVector.between(tuned["base"], tuned["a"])
    assert gap.base.fingerprint == by_vectors.base.fingerprint
    for name in by_vectors.tensors:
        torch.testing.assert_close(gap.tensors[name], by_vectors.tensors[name], atol=1e-6, rtol=0)
    said = gap.provenance
    assert said.operation == GAP
    assert said.licence == "CC0-1.0"
    assert said.settings == {"window": WINDOW}
    assert said.tuned_on == {"channel": "headset", "real": {"kinds": ["real"]}, "synthetic": {"kinds": ["synthetic"]}}


def test_the_mean_of_several(tuned: dict[str, Path], tmp_path: Path) -> None:
    one, other = gap_between(tuned["b"], tuned["a"]), gap_between(tuned["a"], tuned["b"]) * 3.0
    mean = mean_gap([one, other], licence="CC0-1.0")
    mean.save(tmp_path / "mean.safetensors")
    read = TaskVector.load(tmp_path / "mean.safetensors")
    for name in one.tensors:
        torch.testing.assert_close(read.tensors[name], -one.tensors[name])
    assert read.provenance.operation == MEAN_OF_GAPS
    assert read.provenance.licence == "CC0-1.0"
    assert [parent.weight for parent in read.provenance.parents] == [0.5, 0.5]
    assert mean_gap([one]) is one


def test_models_of_two_bases_or_of_none_are_refused(tuned: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"base_fingerprint.*finetune"):
        gap_between(tuned["b"], tuned["c"])
    record = json.loads((tuned["b"] / "provenance.json").read_text())
    (tuned["c"] / "provenance.json").write_text(json.dumps({**record, "base_fingerprint": "sha256:other"}))
    with pytest.raises(CheckpointError, match="one base"):
        gap_between(tuned["b"], tuned["c"])
