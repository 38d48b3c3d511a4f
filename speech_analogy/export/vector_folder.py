"""What a model learned alone: its task vector against the base that its record names, with a card."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.cards.records import CARD_FILE, vector_facts, vector_record_card
from speech_analogy.errors import CheckpointError, WeightsUnavailableError
from speech_analogy.export.exporter import Exporter
from speech_analogy.foundation.files import write_whole
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.weights import resolve_weights

VECTOR_FILE = "vector.safetensors"


def write(model: Path, out: Path) -> None:
    """Write τ = θ − θ_base as `vector.safetensors`, as `vector extract` does, and its README.md.

    Raises:
        CheckpointError: the model does not say which base it was tuned from, the base is not to be had by that name,
            or the model comes from another.
    """
    base, file = provenance(model).get("base"), model / PROVENANCE_FILE
    do = "give it: `speech-analogy vector extract --base BASE --tuned MODEL --out VECTOR.safetensors`"
    if not base:
        raise CheckpointError("must name the base that the model was tuned from", file=file, field="base", do=do)
    try:
        folder = resolve_weights(str(base))
    except WeightsUnavailableError:
        rule = "the base is not to be found under the name in the model's record"
        raise CheckpointError(rule, file=file, field="base", value=base, do=do) from None
    vector = TaskVector.between(folder, model)
    vector.save(out / VECTOR_FILE)
    card = vector_record_card(vector_facts(vector.base.name, vector.base.fingerprint, vector.provenance))
    write_whole(out / CARD_FILE, card)


EXPORTER = Exporter(write)
