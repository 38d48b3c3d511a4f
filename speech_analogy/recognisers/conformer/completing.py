"""What a folder of this family has beside the weights and its own files: a card."""

from __future__ import annotations

from speech_analogy.cards.records import write_record_card as complete_folder

__all__ = ["complete_folder"]
