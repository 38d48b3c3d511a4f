"""The README.md of an export: the model's own, with how this format is loaded."""

from __future__ import annotations

from pathlib import Path

import yaml

from speech_analogy.cards.records import CARD_FILE, USE_OF_MODEL, document, facts, record_card
from speech_analogy.foundation.files import write_whole
from speech_analogy.recognisers.model_record import model_type_of, provenance

FRONT = "---\n"


def write_export_card(model: Path, out: Path, use: str, library: str) -> None:
    """Write it, where the exporter has written none.

    Args:
        model: the folder that was exported; without a card of its own one is made of its record.
        out: the export's folder.
        use: how it is loaded, as Markdown; takes the place of how the model's folder is.
        library: what Hugging Face calls the format's library; empty: none is named.

    Raises:
        CheckpointError: the model's record is broken.
    """
    if (out / CARD_FILE).exists():
        return
    own = model / CARD_FILE
    card = own.read_text(encoding="utf-8", errors="replace") if own.is_file() else _of_record(model)
    card = card.replace(USE_OF_MODEL, use) if USE_OF_MODEL in card else f"{card.rstrip()}\n\n{use}\n"
    write_whole(out / CARD_FILE, _with_library(card, library))


def _of_record(model: Path) -> str:
    return record_card({**facts(provenance(model)), "kind": model_type_of(model)})


def _with_library(card: str, library: str) -> str:
    """The front matter with this library alone; a card whose front matter is not ours to read stays as it is."""
    parts = card.split(FRONT, 2)
    if len(parts) != 3 or parts[0]:
        return card
    try:
        front = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return card
    if not isinstance(front, dict):
        return card
    front.pop("library_name", None)
    body = parts[2].strip("\n")
    return document(front | ({"library_name": library} if library else {}), [body])
