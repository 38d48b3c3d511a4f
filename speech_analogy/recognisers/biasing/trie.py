"""A bonus for every token of a listed word, taken back where another word comes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class _Node:
    children: dict[int, _Node] = field(default_factory=dict)
    depth: int = 0
    whole: bool = False
    """A word ends here."""


@dataclass(frozen=True)
class Bonuses:
    """What the next token adds: `given` where it is listed; else `otherwise`, and `kept` more where a word begins."""

    given: dict[int, float]
    otherwise: float
    kept: float


class WordTrie:
    """Words as tokens, from the first token of each.

    A bonus is held while a word is being written. It is kept where the word is whole and the next token begins
    another word, is punctuation or the end; in every other case the next token takes it back.

    Args:
        words: token ids of each.
        bonus: for a token, natural logarithm.
        boundaries: the tokens that cannot continue a word.
    """

    def __init__(self, words: Iterable[Sequence[int]], bonus: float, boundaries: Collection[int]) -> None:
        self.bonus, self.boundaries = bonus, frozenset(boundaries)
        self._root = _Node()
        self._known: dict[tuple[int, ...], Bonuses] = {}
        for word in words:
            node = self._root
            for token in word:
                node = node.children.setdefault(token, _Node(depth=node.depth + 1))
            node.whole = node is not self._root

    def bonuses(self, written: Sequence[int]) -> Bonuses:
        """Of every token behind these tokens of a text."""
        start = len(written) - 1
        while start > 0 and written[start] not in self.boundaries:
            start -= 1
        word = tuple(written[max(start, 0) :])
        if word not in self._known:
            self._known[word] = self._after(self._reached(word))
        return self._known[word]

    def _reached(self, word: Sequence[int]) -> _Node:
        node = self._root
        for token in word:
            node = node.children.get(token) or self._root.children.get(token) or self._root
        return node

    def _after(self, node: _Node) -> Bonuses:
        held = node.depth * self.bonus
        kept = held if node.whole else 0.0
        given = {
            token: self.bonus - held + (kept if token in self.boundaries else 0.0) for token in self._root.children
        }
        given.update(dict.fromkeys(node.children, self.bonus))
        return Bonuses(given, -held, kept)
