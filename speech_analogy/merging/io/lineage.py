"""Which checkpoints may be combined: those of one base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.checkpoints import Checkpoint, open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.tensors import require_same_layout

AnyCheckpoint = str | Path | Checkpoint


def require_same_base(models: list[Checkpoint], base: Checkpoint | None = None) -> dict[str, Any]:
    """Refuse models fine-tuned from different bases, by the `base_fingerprint` of their `provenance.json`.

    A model may also be that base itself, whatever base of its own it names.

    Returns:
        {"base": name, "base_fingerprint": fingerprint}, or {} where nothing is known.

    Raises:
        CheckpointError: naming both files and both fingerprints.
    """
    tuned = [model for model in models if model.provenance.get("base_fingerprint")]
    named = {model.provenance["base_fingerprint"] for model in tuned}
    known: list[tuple[str, dict[str, Any]]] = []
    if base is not None:
        require_same_layout([base, *models])
        known = [(base.label, {"base": base.name, "base_fingerprint": fingerprint(base)})]
        named.add(known[0][1]["base_fingerprint"])
    if len(named) > 1:  # a fingerprint reads all weights
        tuned = [model for model in tuned if fingerprint(model) not in named]
    known += [
        (model.label, {key: model.provenance.get(key) for key in ("base", "base_fingerprint")}) for model in tuned
    ]
    for label, identity in known[1:]:
        if identity["base_fingerprint"] != known[0][1]["base_fingerprint"]:
            raise CheckpointError(
                f"the models must come from one base; {known[0][0]} has {known[0][1]['base_fingerprint']}, "
                f"{label} has {identity['base_fingerprint']}",
                field="base_fingerprint",
                do="fine-tune A, B and C from the same checkpoint",
            )
    return known[0][1] if known else {}


def opened(model: AnyCheckpoint) -> Checkpoint:
    """The checkpoint itself, or the one at a path."""
    return model if isinstance(model, Checkpoint) else open_checkpoint(model)
