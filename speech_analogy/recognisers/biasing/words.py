"""Which words of a domain are rare elsewhere, and which tokens can stand at a word's beginning or behind its end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

SPACE = "Ġ"  # how byte-level BPE writes a space
FEWEST_LETTERS = 3

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")


def words_of(text: str) -> list[str]:
    """Words without digits, as they are spelled."""
    return _WORD.findall(text)


def rare_words(texts: Iterable[str], background: Sequence[str], tokens: Callable[[str], Sequence[int]]) -> list[str]:
    """The domain's words that are rare elsewhere, the most frequent in the domain first.

    With background texts: those that do not occur in them. Without: those that the recogniser spells with several
    tokens, since its single tokens are the frequent words of the text that its vocabulary was made of.

    Args:
        tokens: of a word inside a text.
    """
    common = {word.casefold() for text in background for word in words_of(text)}
    counted: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for text in texts:
        for word in words_of(text):
            counted[word.casefold()] += 1
            spelled.setdefault(word.casefold(), word)
    return [
        spelled[folded]
        for folded, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        if len(folded) >= FEWEST_LETTERS and (folded not in common if background else len(tokens(spelled[folded])) > 1)
    ]


def boundary_tokens(pieces: Iterable[str]) -> list[int]:
    """The ids of the tokens that cannot continue a word: a space, punctuation or a special token comes first.

    Args:
        pieces: the vocabulary of a byte-level BPE, in the order of its ids.
    """
    return [
        token
        for token, piece in enumerate(pieces)
        if piece.startswith(SPACE) or (piece[:1].isascii() and not piece[:1].isalnum())
    ]
