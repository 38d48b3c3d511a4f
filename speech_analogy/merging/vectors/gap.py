"""Gap vectors: what real speech teaches that synthetic speech of the same texts does not, τ_B − τ_A."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.io.provenance import GAP, MEAN_OF_GAPS, BaseModelIdentity, carried, make_provenance
from speech_analogy.merging.tensors import Computed, require_same_layout
from speech_analogy.merging.vectors.task_vector import TaskVector, linear_combination


def gap_between(real: str | Path, synthetic: str | Path, **words: Any) -> TaskVector:
    """τ_B − τ_A = θ_B − θ_A over the floating-point tensors, in float32: the base cancels out and is not read.

    Args:
        real, synthetic: model folders of B and A, tuned here from one base on the same texts.
        words: what else is to be known of the speech, e.g. `channel`, `speakers`, `licence`, `creator`; `licence` and
            `creator` go to their own fields of the provenance, others beside what each model was tuned on.

    Raises:
        CheckpointError: other bases, names or shapes, or a model that does not say what its base is.
    """
    plus, minus = open_checkpoint(real), open_checkpoint(synthetic)
    require_same_layout([plus, minus])
    for model in (plus, minus):
        if not model.provenance.get("base_fingerprint"):
            raise CheckpointError(
                "a gap is taken from models that name their base",
                file=model.label,
                field="base_fingerprint",
                do="give models that `speech-analogy finetune` or `adapt` has made",
            )
    identity = require_same_base([plus, minus])
    names = [name for name in plus if plus.is_float(name)]
    wide = any(model.dtype(name) == torch.float64 for model in (plus, minus) for name in names)
    dtype = torch.float64 if wide else torch.float32

    def make(name: str, start: int, stop: int) -> Tensor:
        return plus.piece(name, start, stop).to(dtype) - minus.piece(name, start, stop).to(dtype)

    own = {key: words.pop(key) for key in ("licence", "creator") if words.get(key)}
    provenance = make_provenance(
        **own,
        operation=GAP,
        tuned_on={
            **{key: value for key, value in words.items() if value},
            "real": plus.provenance.get("tuned_on", ""),
            "synthetic": minus.provenance.get("tuned_on", ""),
        },
        hyper_parameters=plus.provenance.get("hyper_parameters", {}),
        settings=carried([plus.provenance, minus.provenance]),
    )
    base = BaseModelIdentity(name=identity["base"], fingerprint=identity["base_fingerprint"])
    tensors = Computed(plus, names, dtype, make, f"{plus.label} − {minus.label}", f"{plus.name} − {minus.name}")
    return TaskVector(tensors, base, provenance)


def mean_gap(gaps: Sequence[TaskVector], **own: Any) -> TaskVector:
    """The mean of gaps of one base; a single one as it is.

    Args:
        own: `licence` and `creator` of the mean.

    Raises:
        CheckpointError: other bases or shapes.
    """
    if len(gaps) == 1:
        return gaps[0]
    mean = linear_combination(gaps, [1.0 / len(gaps)] * len(gaps), operation=MEAN_OF_GAPS)
    given = {key: value for key, value in own.items() if value}
    return TaskVector(mean.tensors, mean.base, mean.provenance.model_copy(update=given))
