"""The comparison of vectors against one computed on flattened vectors, and its files."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

from speech_analogy.errors import ConfigError
from speech_analogy.merging.vectors.compare import VectorComparison, compare
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import make_state, near

BASE = make_state(0)
VECTORS = {f"v{seed}": TaskVector.between(BASE, near(BASE, seed)) for seed in range(1, 4)}


def flat(vector: TaskVector) -> torch.Tensor:
    return torch.cat([vector.tensors[name].reshape(-1).double() for name in vector.tensors])


def test_matrices_are_those_of_the_flat_vectors() -> None:
    found = compare(VECTORS)
    stacked = torch.stack([flat(vector) for vector in VECTORS.values()])
    unit = stacked / stacked.norm(dim=1, keepdim=True)
    assert torch.allclose(torch.tensor(found.cosine, dtype=torch.float64), unit @ unit.T, atol=1e-9)
    assert found.norms == pytest.approx(stacked.norm(dim=1).tolist())
    for i, left in enumerate(VECTORS.values()):
        for j, right in enumerate(VECTORS.values()):
            assert found.cosine[i][j] == pytest.approx(left.cosine(right))
            assert found.sign_conflict[i][j] == pytest.approx(left.sign_conflict(right))


def test_shares_add_up_and_lie_where_the_norm_is() -> None:
    found = compare(VECTORS)
    for shares in (found.share_by_layer, found.share_by_kind):
        assert all(sum(share.values()) == pytest.approx(1.0) for share in shares)
    name = "model.decoder.layers.2.self_attn.q_proj.weight"
    tuned = {**BASE, name: BASE[name] + 1}
    alone = compare({"one": TaskVector.between(BASE, tuned)})
    assert alone.share_by_layer[0]["decoder: layers.2"] == pytest.approx(1.0)
    assert alone.share_by_kind[0]["q"] == pytest.approx(1.0)
    assert list(alone.share_by_layer[0])[:2] == ["encoder: outside layers", "encoder: layers.0"]


def test_a_zero_vector_and_one_of_other_tensors_are_no_trouble() -> None:
    zero = TaskVector.between(BASE, BASE)
    part = TaskVector.between({"x": torch.zeros(2)}, {"x": torch.ones(2)})
    found = compare({"zero": zero, "part": part, "one": VECTORS["v1"]})
    assert found.cosine[0] == [0.0, 0.0, 0.0]
    assert found.cosine[1] == pytest.approx([0.0, 1.0, 0.0])
    assert found.sign_conflict[1][2] == 0.0
    with pytest.raises(ConfigError, match="at least one"):
        compare({})


def test_files(tmp_path: Path) -> None:
    found = compare({**VECTORS, "<a & b>" * 9: VECTORS["v1"]})
    found.write(tmp_path / "c.json", tmp_path / "c.svg")
    raw = json.loads((tmp_path / "c.json").read_text())
    assert raw["schema"] == 1
    assert VectorComparison.model_validate(raw) == found
    picture = ElementTree.parse(tmp_path / "c.svg").getroot()
    cells = [element for element in picture.iter() if element.tag.endswith("rect")]
    layers, kinds = len(found.share_by_layer[0]), len(found.share_by_kind[0])
    assert len(cells) == 1 + 4 * (4 + 4 + layers + kinds)
