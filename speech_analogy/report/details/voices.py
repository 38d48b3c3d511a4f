"""What was spoken, by voice, and which voices may not be used commercially."""

from __future__ import annotations

import re

from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.page import wording
from speech_analogy.report.details.tables import UNKNOWN, DetailTable

HEADING = "What was spoken"
NOT_COMMERCIAL = re.compile(r"\bNC\b|non-?commercial", re.IGNORECASE)
SIDES = {"target": "the target's texts", "source": "the source's texts"}


def voices(results: Results) -> DetailTable | None:
    """A row for each voice and side; None where nothing is known of what was spoken."""
    if not results.spoken_by:
        return None
    rows = [
        [
            one.voice,
            SIDES[one.side],
            f"{one.kept:,} of {one.asked:,}",
            f"{one.attempts - one.kept:,}",
            wording.rate(one.seconds / 60),
            one.licence or UNKNOWN,
        ]
        for one in results.spoken_by
    ]
    head = ["voice", "speech", "clips kept", "attempts rejected", "minutes", "licence of the voice"]
    return DetailTable(HEADING, head, rows, _warnings(results), left=(1, 5))


def _warnings(results: Results) -> list[str]:
    """A sentence where licences forbid commercial use, and one where they are not known."""
    licences = {one.voice: one.licence for one in results.spoken_by}
    forbidden = [f"{voice} ({licence})" for voice, licence in licences.items() if NOT_COMMERCIAL.search(licence)]
    unknown = [voice for voice, licence in licences.items() if not licence]
    said = []
    if forbidden:
        said.append(f"Not for commercial use, and so perhaps the model: {wording.listing(forbidden)}.")
    if unknown:
        said.append(f"The licence is not known of {wording.listing(unknown)}: look before you use the model for more.")
    return said
