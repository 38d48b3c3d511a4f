"""What a model learned alone: its task vector against the base that its record names."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.errors import CheckpointError
from speech_analogy.export.exporter import Exporter
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.weights import resolve_weights

VECTOR_FILE = "vector.safetensors"


def write(model: Path, out: Path) -> None:
    """Write τ = θ − θ_base as `vector.safetensors`, as `vector extract` does; `vector card` writes its README.md.

    Raises:
        CheckpointError: the model does not say which base it was tuned from, or comes from another.
        WeightsUnavailableError: the base is not to be had.
    """
    base = provenance(model).get("base")
    if not base:
        rule, do = "must name the base that the model was tuned from", "name it by `speech-analogy vector extract`"
        raise CheckpointError(rule, file=model / PROVENANCE_FILE, field="base", do=do)
    vector = TaskVector.between(resolve_weights(str(base)), model)
    vector.save(out / VECTOR_FILE)


EXPORTER = Exporter(write)
