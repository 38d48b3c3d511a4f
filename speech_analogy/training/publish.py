"""A trained model becomes a complete model folder with its provenance."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.cards.records import write_record_card
from speech_analogy.corpora.cuts import speaker_of
from speech_analogy.corpora.seen import SeenSpeech, is_synthetic
from speech_analogy.corpora.splits import digest
from speech_analogy.errors import CheckpointError
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.foundation.files import whole_folder, write_json
from speech_analogy.foundation.locks import LOCK_NAME
from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE
from speech_analogy.merging.io.provenance import SEEN, seen_by
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.protocol import Recogniser

ADAPTER_FOLDER = "adapter"  # in the model's folder: what LoRA trained, as PEFT writes it


def tuned_on(cuts: CutSet) -> dict[str, Any]:
    """What provenance records of the training speech: amount, kinds, domains and digest, and the voices of TTS."""
    custom = [cut.custom or {} for cut in cuts]
    voices = {speaker_of(cut) for cut in cuts if is_synthetic(cut)} - {""}
    return {
        "utterances": len(cuts),
        "hours": round(sum(cut.duration for cut in cuts) / 3600, 4),
        "kinds": sorted({str(row.get("kind", "")) for row in custom}),
        "domains": sorted({str(row.get("domain", "")) for row in custom}),
        **({"voices": sorted(voices)} if voices else {}),
        "digest": digest(cuts),
    }


def seen_in(cuts: CutSet, start: Path, language: str) -> dict[str, Any]:
    """What provenance records of what a model has seen: this speech, and what the model that it began as had seen.

    Args:
        start: the folder of that model.
        language: whose normaliser gives texts the form in which they are scored.
    """
    seen = SeenSpeech.of(cuts, scored_form=normaliser(language))
    return seen_by([provenance(start), {SEEN: seen.record()}])


def require_new(out: Path, working: Path | None = None) -> None:
    """Refuse to train towards what is there already.

    Args:
        working: the folder that was made for it; it goes again where nothing but its lock is in it.

    Raises:
        CheckpointError: the output exists.
    """
    if out.exists():
        if working is not None and [path.name for path in working.iterdir()] == [LOCK_NAME]:
            shutil.rmtree(working, ignore_errors=True)
        raise CheckpointError("the output folder must not exist", file=out, do="remove it, or name another")


def publish_tuned(
    recogniser: Recogniser,
    working: Path,
    out: Path,
    record: dict[str, Any],
    write: Callable[[Path, dict[str, Any]], None] = write_json,
) -> None:
    """Write the whole folder beside its final name and rename it; the states to resume from go.

    Args:
        write: writes the record.
    """
    with whole_folder(out, error=CheckpointError) as building:
        recogniser.save(building)
        write_json(building / PROVENANCE_FILE, {key: value for key, value in record.items() if key != SEEN})
        write_record_card(building)  # which states nothing of the hashes, of which there may be many
        write(building / PROVENANCE_FILE, record)
        shutil.copytree(working / "training", building / "training")
        if (working / ADAPTER_FOLDER).is_dir():
            shutil.copytree(working / ADAPTER_FOLDER, building / ADAPTER_FOLDER)
    shutil.rmtree(working, ignore_errors=True)
