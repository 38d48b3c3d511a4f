"""How λ is chosen: on held-out source speech (and held-out target recordings, if there are any), never on the test.

`source_dev`: every λ of the grid moves θ_C by λ(θ_B − θ_A), the result transcribes the held-out recordings, and the
λ with the lowest WER wins; of equal ones the smallest, which leaves most of C as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speech_analogy.evaluation.results import ScalePoint


def choose_scale(wer: Mapping[str, Mapping[float, float]]) -> tuple[float, list[ScalePoint]]:
    """The λ with the lowest mean WER over the held-out parts.

    Args:
        wer: part -> λ -> WER in percent; every part has the same λs.

    Returns:
        the chosen λ, and the curve of mean WER it was chosen by, ascending in λ.
    """
    parts: Sequence[Mapping[float, float]] = list(wer.values())
    curve = [ScalePoint(scale=scale, wer=sum(part[scale] for part in parts) / len(parts)) for scale in sorted(parts[0])]
    best = min(curve, key=lambda point: (point.wer, point.scale))
    return best.scale, curve
