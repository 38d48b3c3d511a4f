"""What a model learned alone: its task vector against the base that its record names, with a card."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.errors import CheckpointError
from speech_analogy.export.exporter import Exporter
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.report.cards import CARD_FILE, vector_card, vector_facts

VECTOR_FILE = "vector.safetensors"


def write(model: Path, out: Path) -> None:
    """Write τ = θ − θ_base as `vector.safetensors`, as `vector extract` does, and its README.md.

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
    card = vector_card(vector_facts(vector.base.name, vector.base.fingerprint, vector.provenance))
    (out / CARD_FILE).write_text(card, encoding="utf-8")


EXPORTER = Exporter(write)
