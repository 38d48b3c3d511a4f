"""WER by group of speakers or microphones, and the gap between the worst and the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from speech_analogy.evaluation.measures.records import Groups, GroupScore
from speech_analogy.evaluation.significance import gap_interval

AGE_BANDS = ((0, 12), (13, 17), (18, 39), (40, 64), (65, 120))  # years
SEXES = {"f": "female", "m": "male", "female": "female", "male": "male"}


def traits_of(custom: Mapping[str, Any] | None) -> dict[str, str]:
    """What a corpus says of the speaker and the microphone: sex, age (a band), native, microphone.

    Args:
        custom: of a cut; keys `gender` or `sex`, `age` (years), `native` (true or false), `microphone`.
    """
    values = custom or {}
    found: dict[str, str] = {}
    sex = SEXES.get(str(values.get("gender") or values.get("sex") or "").lower())
    if sex:
        found["sex"] = sex
    band = _age_band(values.get("age"))
    if band:
        found["age"] = band
    if isinstance(values.get("native"), bool):
        found["native"] = "native" if values["native"] else "not native"
    if values.get("microphone"):
        found["microphone"] = str(values["microphone"])
    return found


def by_group(
    traits: Sequence[Mapping[str, str]], errors: np.ndarray, words: np.ndarray, clusters: Sequence[str]
) -> list[Groups]:
    """WER by every trait that has two groups or more.

    Args:
        traits: trait -> group, of each utterance.
        errors, words: (utterances,).
        clusters: what stands or falls together.
    """
    names = list(dict.fromkeys(trait for own in traits for trait in own))
    found = (_of_trait(name, [own.get(name, "") for own in traits], errors, words, clusters) for name in names)
    return [one for one in found if one is not None]


def _of_trait(
    trait: str, groups: Sequence[str], errors: np.ndarray, words: np.ndarray, clusters: Sequence[str]
) -> Groups | None:
    member = np.asarray(groups)
    names = np.asarray(clusters)
    scores = []
    for group in sorted(set(groups) - {""}):
        own = member == group
        scores.append(
            GroupScore(
                group=group,
                utterances=int(own.sum()),
                clusters=len(set(names[own])),
                words=int(words[own].sum()),
                wer=100.0 * float(errors[own].sum()) / float(words[own].sum()),
            )
        )
    if len(scores) < 2:
        return None
    scores.sort(key=lambda one: one.wer)
    best, worst = scores[0], scores[-1]
    return Groups(
        trait=trait,
        groups=scores,
        unknown=int((member == "").sum()),
        gap=worst.wer - best.wer,
        ci95=gap_interval(errors, words, member == worst.group, member == best.group, clusters),
    )


def _age_band(value: object) -> str | None:
    years = int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if years is None:
        return None
    return next((f"{low} to {high}" for low, high in AGE_BANDS if low <= years <= high), None)
