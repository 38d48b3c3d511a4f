"""Repetition in a transcript: by its compression ratio, as Whisper's own decoder notices it, and by repeated blocks of
words, which short transcripts show earlier; and the transcript without it."""

from __future__ import annotations

import re
import zlib

COMPRESSION_RATIO = 2.4  # above it a transcript repeats itself; openai-whisper's compression_ratio_threshold
REPEATS = 3  # of a block of words, one right after the other
REPEATED_WORDS = 8  # that all repeats have together at least: people do say "no, no, no" and "zero zero zero zero"
CUT_OFF_REPEATS, CUT_OFF_WORDS = 2, 4  # the same where it ran into its limit of tokens, or is compressed too well

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def compression_ratio(text: str) -> float:
    """Bytes of the text to bytes of the text compressed by zlib, as openai-whisper takes it; 0 of no text."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def loops(text: str, *, cut_off: bool = False) -> bool:
    """Whether a transcript repeats itself.

    Args:
        cut_off: it reached its limit of tokens, which speech of its length hardly fills.
    """
    return compression_ratio(text) > COMPRESSION_RATIO or without_loops(text, cut_off=cut_off) != text


def without_loops(text: str, *, cut_off: bool = False) -> str:
    """The text with every repeated block of words left in once, case and punctuation not compared.

    Of whisper-tiny.en in trimmed windows, untuned, 83 of 200 held-out training utterances of speechocean762 loop.
    WER of 60 of them: as written 431; cut here 45.5; decoded again at Whisper's temperatures, 0.2 to 1.0, 154; greedily
    without a pair of tokens a second time 187: what is forced away from a loop rambles up to its limit.
    """
    strict = not cut_off and compression_ratio(text) <= COMPRESSION_RATIO
    repeats, least = (REPEATS, REPEATED_WORDS) if strict else (CUT_OFF_REPEATS, CUT_OFF_WORDS)
    while True:
        words = list(_WORD.finditer(text))
        block = _longest([word.group().casefold() for word in words], repeats, least, cut_off)
        if block is None:
            return text
        first, period, last = block
        kept = text[: words[first + period].start()].rstrip()
        text = f"{kept} {text[words[last].start() :]}" if last < len(words) else kept


def _longest(words: list[str], repeats: int, least: int, cut_off: bool) -> tuple[int, int, int] | None:
    """The longest run of a repeated block: its first word, the block's length, the first word behind it.

    What is left of one more repeat at the text's end belongs to the run; so does the beginning of its next word, where
    the text was cut off. Of runs of equal length, that of the shortest block.
    """
    found: tuple[int, int, int] | None = None
    count = len(words)
    for period in range(1, count // repeats + 1):
        start = 0
        while start + period < count:
            end = start
            while end + period < count and words[end] == words[end + period]:
                end += 1
            covered = end - start + period
            if covered >= period * repeats and covered >= least and (found is None or covered > found[2] - found[0]):
                found = (start, period, end + period)
            start = end + 1
    if found is None:
        return None
    first, period, last = found
    whole = (last - first) // period * period
    if last == count or (cut_off and last == count - 1 and words[last - period].startswith(words[last])):
        return first, period, count
    return first, period, first + whole
