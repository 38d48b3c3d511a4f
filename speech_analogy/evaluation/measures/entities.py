"""Entities of references (SLURP's dates, names, places): which of them stand in the transcripts, by type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from speech_analogy.evaluation.measures.records import EntityCount, EntitySpan
from speech_analogy.evaluation.measures.terms import times


def entities_of(custom: Mapping[str, Any] | None) -> tuple[EntitySpan, ...]:
    """The entities of a cut: its custom field `entities`, a list of objects with `type` and `text`."""
    listed = (custom or {}).get("entities")
    return tuple(
        EntitySpan(type=str(one["type"]), text=str(one["text"]))
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and one.get("type") and one.get("text")
    )


def entity_recall(
    references: Sequence[str],
    hypotheses: Sequence[str],
    entities: Sequence[Sequence[EntitySpan]],
    normalise: Callable[[str], str],
) -> dict[str, EntityCount]:
    """Type -> entities that were spoken and those whose words stand in the transcript, one after the other.

    An entity that the normalised reference does not have as such, e.g. a part of a number, is left out.

    Args:
        references, hypotheses: normalised.
        entities: of each utterance.
    """
    spoken: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for reference, hypothesis, own in zip(references, hypotheses, entities, strict=True):
        for (kind, text), count in Counter((one.type, normalise(one.text).strip()) for one in own).items():
            said = min(count, times(reference, text)) if text else 0
            spoken[kind] += said
            found[kind] += min(said, times(hypothesis, text)) if said else 0
    return {kind: EntityCount(spoken=spoken[kind], found=found[kind]) for kind in sorted(spoken) if spoken[kind]}
