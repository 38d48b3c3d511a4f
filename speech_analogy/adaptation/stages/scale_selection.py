"""How λ is chosen without the test, by named strategies.

`fixed`: the recipe says it.
`source_dev`: every λ of the grid moves θ_C by λ(θ_B − θ_A), the result transcribes the held-out recordings, and the
λ with the lowest mean WER wins; of equal ones the smallest, which leaves most of C as it was.
`leave_one_domain_out`: every source domain d plays the target: θ_C,d is trained on the synthetic speech of d's texts,
moved by λ(θ_B − θ_A), and evaluated on held-out real recordings of d; the λ with the lowest mean WER over domains wins.
`agreement`: no text is read. The same unlabelled audio is transcribed with every λ of the grid, and the λ wins whose
hypotheses differ least, on average, from those of all other λs: the medoid, as minimum Bayes risk decoding takes it,
with the grid as the sample. It leans to the middle of the grid, so the grid should reach beyond what is likely on both
sides.
`per_scope` (the system analogy_per_scope): a λ for each scope, e.g. encoder and decoder, by coordinate search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from speech_analogy.evaluation.results import ScalePoint
from speech_analogy.evaluation.score import word_errors

Curve = Mapping[float, float]
"""λ -> WER in percent."""


def choose_scale(wer: Mapping[str, Curve]) -> tuple[float, list[ScalePoint]]:
    """The λ with the lowest mean WER over the held-out parts, or over the domains that play the target.

    Args:
        wer: part -> λ -> WER in percent; every part has the same λs.

    Returns:
        the chosen λ, and the curve of mean WER it was chosen by, ascending in λ.
    """
    parts: Sequence[Curve] = list(wer.values())
    curve = {scale: sum(part[scale] for part in parts) / len(parts) for scale in parts[0]}
    return _lowest(curve)


def most_agreed(hypotheses: Mapping[float, Sequence[str]]) -> tuple[float, list[ScalePoint]]:
    """The λ whose hypotheses differ least from those of all other λs.

    Args:
        hypotheses: λ -> normalised hypotheses of the same utterances in the same order.

    Returns:
        the chosen λ, and the curve of mean disagreement in percent of words, ascending in λ.
    """
    if len(hypotheses) == 1:
        return _lowest(dict.fromkeys(hypotheses, 0.0))
    curve = {
        scale: sum(disagreement(own, other) for at, other in hypotheses.items() if at != scale) / (len(hypotheses) - 1)
        for scale, own in hypotheses.items()
    }
    return _lowest(curve)


def disagreement(one: Sequence[str], other: Sequence[str]) -> float:
    """Word edits between two systems' hypotheses, in percent of their mean number of words; symmetric."""
    edits, words = 0, 0.0
    for left, right in zip(one, other, strict=True):
        counts = len(left.split()), len(right.split())
        words += sum(counts) / 2
        edits += int(word_errors([left], [right]).total[0]) if all(counts) else max(counts)
    return 100.0 * edits / words if words else 0.0


def search_scopes(
    evaluate: Callable[[Sequence[Mapping[str, float]]], Sequence[float]],
    scopes: Sequence[str],
    grid: Sequence[float],
    start: float,
    rounds: int = 1,
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """A λ for each scope by coordinate search: one scope after the other is set to the best of the grid.

    Args:
        evaluate: candidates (scope -> λ) -> their WER in percent on source speech.
        start: the λ that all scopes begin at.

    Returns:
        the best candidate, and every one that was evaluated, with its "wer". A λ is only left for a lower WER.
    """
    chosen = dict.fromkeys(scopes, start)
    trace: list[dict[str, float]] = []
    best: float | None = None
    for _ in range(rounds):
        for scope in scopes:
            others = [value for value in sorted(grid) if best is None or value != chosen[scope]]
            if best is None and start not in others:
                others.append(start)
            tried = [{**chosen, scope: value} for value in others]
            found = list(evaluate(tried))
            trace += [{**candidate, "wer": wer} for candidate, wer in zip(tried, found, strict=True)]
            if best is None:
                best = found[others.index(start)]
            lowest = min(found)
            if lowest < best:
                best, chosen = lowest, tried[found.index(lowest)]
    return chosen, trace


def regret(chosen: float, test: Curve) -> float:
    """WER on the test at the chosen λ, less the lowest of the test's curve: what not knowing the test has cost."""
    return test[chosen] - min(test.values())


def _lowest(curve: Curve) -> tuple[float, list[ScalePoint]]:
    points = [ScalePoint(scale=scale, wer=curve[scale]) for scale in sorted(curve)]
    best = min(points, key=lambda point: (point.wer, point.scale))
    return best.scale, points
