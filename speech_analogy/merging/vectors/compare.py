"""How vectors relate: cosines, sign conflicts, and each one's norm by layer and kind; as JSON and a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.foundation.files import whole_file
from speech_analogy.merging.scope import place_of
from speech_analogy.merging.tensors import one_torch_thread, pieces
from speech_analogy.merging.vectors.heat_map import Panel, draw_heat_maps
from speech_analogy.merging.vectors.task_vector import TaskVector, require_one_base


class VectorComparison(BaseModel):
    """Any number of vectors side by side. Matrices are in the order of `names`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    names: list[str]
    norms: list[float] = Field(description="L2 norm of each vector")
    cosine: list[list[float]]
    sign_conflict: list[list[float]] = Field(
        description="share of the entries changed by both that are moved in opposite directions"
    )
    share_by_layer: list[dict[str, float]] = Field(description="share of the squared norm, e.g. encoder.layers.0")
    share_by_kind: list[dict[str, float]] = Field(description="share of the squared norm, e.g. q, mlp, norm")

    def write(self, json_file: str | Path, picture: str | Path | None = None, overwrite: bool = False) -> None:
        """Write the JSON, and the heat maps as SVG."""
        with whole_file(json_file, overwrite=overwrite, error=CheckpointError) as file:
            file.write_text(self.model_dump_json(by_alias=True, indent=2) + "\n", encoding="utf-8")
        if picture is not None:
            with whole_file(picture, overwrite=overwrite, error=CheckpointError) as file:
                file.write_text(self.picture(), encoding="utf-8")

    def picture(self) -> str:
        """Heat maps of cosine, sign conflict and share of norm, as one SVG document."""
        layers = list(dict.fromkeys(key for share in self.share_by_layer for key in share))
        kinds = list(dict.fromkeys(key for share in self.share_by_kind for key in share))
        panels = [
            Panel("cosine", self.names, self.names, self.cosine, -1.0, 1.0),
            Panel("sign conflict", self.names, self.names, self.sign_conflict, 0.0, 1.0),
            Panel("share of norm² by layer", layers, self.names, _table(layers, self.share_by_layer), 0.0, None),
            Panel("share of norm² by kind", kinds, self.names, _table(kinds, self.share_by_kind), 0.0, None),
        ]
        return draw_heat_maps(panels)


def _table(keys: list[str], shares: list[dict[str, float]]) -> list[list[float]]:
    return [[share.get(key, 0.0) for share in shares] for key in keys]


def compare(vectors: Mapping[str, TaskVector]) -> VectorComparison:
    """Compare vectors, reading each tensor once.

    Args:
        vectors: by the name they are shown under; they may be of different bases, but of one architecture.

    Raises:
        ConfigError: no vector.
        CheckpointError: tensors of other shapes.
    """
    if not vectors:
        raise ConfigError("there must be at least one vector", field="vectors")
    listed = list(vectors.values())
    require_one_base(listed, allow_other_base=True)
    n = len(listed)
    product, both, opposite = (torch.zeros(n, n, dtype=torch.float64) for _ in range(3))
    by_layer: list[dict[str, float]] = [defaultdict(float) for _ in listed]
    by_kind: list[dict[str, float]] = [defaultdict(float) for _ in listed]
    with one_torch_thread():
        for name in sorted({name for vector in listed for name in vector.tensors}, key=_depth):
            place = place_of(name)
            mine = torch.zeros(n, dtype=torch.float64)
            owners = [position for position, vector in enumerate(listed) if name in vector.tensors]
            for start, stop in pieces(listed[owners[0]].tensors.numel(name)):
                read = {position: listed[position].tensors.piece(name, start, stop) for position in owners}
                _add_pairs(read, product, both, opposite, mine)
            where = "outside layers" if place.layer is None else f"layers.{place.layer}"
            layer = where if place.part is None else f"{place.part}: {where}"
            for position in owners:
                by_layer[position][layer] += float(mine[position])
                by_kind[position][place.kind] += float(mine[position])
    norms = product.diagonal().sqrt()
    scale = norms.unsqueeze(0) * norms.unsqueeze(1)
    cosine = torch.where(scale > 0, product / scale.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    conflict = torch.where(both > 0, opposite / both.clamp(min=1), 0.0)
    totals = [float(norm) ** 2 for norm in norms]
    return VectorComparison(
        names=list(vectors),
        norms=norms.tolist(),
        cosine=cosine.clamp(-1, 1).tolist(),
        sign_conflict=conflict.tolist(),
        share_by_layer=[_shares(found, total) for found, total in zip(by_layer, totals, strict=True)],
        share_by_kind=[_shares(found, total) for found, total in zip(by_kind, totals, strict=True)],
    )


def _add_pairs(read: dict[int, Tensor], product: Tensor, both: Tensor, opposite: Tensor, mine: Tensor) -> None:
    """Add one piece of every vector to the matrices (in place)."""
    for i, left in read.items():
        squares = float(left.double().square().sum())
        mine[i] += squares
        product[i, i] += squares
        both[i, i] += int(torch.count_nonzero(left))
        for j, right in read.items():
            if j <= i:
                continue
            dot = float((left.double() * right.double()).sum())
            signs = torch.sign(left) * torch.sign(right)
            shared, against = int(torch.count_nonzero(signs)), int((signs < 0).sum())
            for a, b in ((i, j), (j, i)):
                product[a, b] += dot
                both[a, b] += shared
                opposite[a, b] += against


def _shares(found: Mapping[str, float], total: float) -> dict[str, float]:
    return {key: value / total if total else 0.0 for key, value in found.items()}


def _depth(name: str) -> tuple[int, int, str]:
    """Encoder before decoder, then by layer; what is outside layers first."""
    place = place_of(name)
    part = {"encoder": 0, "decoder": 1}.get(place.part or "", 2)
    return (part, -1 if place.layer is None else place.layer, name)
