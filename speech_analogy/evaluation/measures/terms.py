"""Names, products and other terms: which of those that were spoken were written, and which were written wrongly."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from speech_analogy.errors import DataError
from speech_analogy.evaluation.measures.records import TermCount, TermScore
from speech_analogy.foundation.user_files.plain import read_text

RARE = "words of the target's texts that neither the source's nor Whisper's vocabulary has"
SHORTEST_RARE = 3  # letters


def read_terms(path: Path) -> list[str]:
    """One term a line, of one word or several; blank lines and what follows a `#` at a line's start are left out.

    Raises:
        DataError: there is no such file, it is not UTF-8, or it has no term.
    """
    lines = (line.strip() for line in read_text(path, missing="there is no list of terms").split("\n"))
    found = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not found:
        raise DataError("has no term", file=path, do="write one a line")
    return found


def rare_terms(own_words: Iterable[str], language: str = "en") -> list[str]:
    """Of the words that only the target has, those that are rare in general text, sorted.

    General text is what Whisper's vocabulary was made of: it holds as one token each word that is frequent there.
    Words with a digit, and those of fewer than SHORTEST_RARE letters, are no terms.
    """
    common = _frequent("gpt2" if language.lower().split("-")[0] == "en" else "multilingual")
    return sorted(
        word
        for word in set(own_words)
        if len(word) >= SHORTEST_RARE
        and word.isalpha()
        and not any(f" {form}".encode() in common for form in (word, word.capitalize(), word.upper()))
    )


@lru_cache(maxsize=2)
def _frequent(vocabulary: str) -> frozenset[bytes]:
    import whisper

    file = Path(whisper.__file__).parent / "assets" / f"{vocabulary}.tiktoken"
    return frozenset(b64decode(line.split()[0]) for line in file.read_bytes().splitlines() if line.strip())


def term_score(
    references: Sequence[str],
    hypotheses: Sequence[str],
    terms: Iterable[str],
    normalise: Callable[[str], str],
    chosen: str,
) -> TermScore:
    """How often terms were spoken, found and written falsely, utterance by utterance; texts are normalised.

    Args:
        terms: of one word or several; normalised here.
        chosen: where they come from, in words.
    """
    listed = sorted({text for term in terms if (text := normalise(term).strip())})
    said, heard = [_spaced(text) for text in references], [_spaced(text) for text in hypotheses]
    counts: dict[str, TermCount] = {}
    for term in listed:
        pattern = _spaced(term)
        spoken = [_times(text, pattern) for text in said]
        written = [_times(text, pattern) for text in heard]
        if any(spoken) or any(written):
            found = sum(map(min, spoken, written))
            counts[term] = TermCount(spoken=sum(spoken), found=found, false=sum(written) - found)
    return TermScore(
        chosen=chosen,
        listed=len(listed),
        spoken=sum(one.spoken for one in counts.values()),
        found=sum(one.found for one in counts.values()),
        false=sum(one.false for one in counts.values()),
        terms=counts,
    )


def times(text: str, words: str) -> int:
    """How often a text has some words one after the other, not overlapping; both normalised."""
    return _times(_spaced(text), _spaced(words))


def _spaced(text: str) -> str:
    """With two spaces between words, so that one word's end is not the next one's beginning."""
    return f" {'  '.join(text.split())} "


def _times(text: str, pattern: str) -> int:
    return text.count(pattern)
