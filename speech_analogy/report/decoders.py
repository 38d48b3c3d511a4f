"""The published model in other decoders than ours, in words: whether what was measured holds where it will be used."""

from __future__ import annotations

from speech_analogy.evaluation.results import DecoderResult, Results
from speech_analogy.foundation.page import wording

HEADING = "In other decoders"
NOTICED = 1.0  # points of WER


def sentences(results: Results) -> list[str]:
    """One sentence a decoder; nothing where none was tried."""
    return [_sentence(row, results) for row in results.other_decoders]


def _sentence(row: DecoderResult, results: Results) -> str:
    some = "these" if row.utterances == results.test.utterances else f"{wording.amount(row.utterances)} of these"
    low, high = row.ci95
    warning = ""
    if abs(row.difference) > NOTICED and (low > 0 or high < 0):
        warning = f" It does {'worse' if low > 0 else 'better'} there."
    return (
        f"The published model in {row.decoder}, on {some} utterances: a WER of {wording.rate(row.wer)} %, in our own "
        f"decoder {wording.rate(row.ours)} % ({wording.signed(row.difference)} points, "
        f"{wording.signed_interval((low, high))}).{warning}"
    )
