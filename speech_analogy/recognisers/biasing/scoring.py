"""What text adds to a recogniser's scores, step by step: for all tokens of a batch at once, or of one transcript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from speech_analogy.recognisers.biasing.ngram import NgramModel
from speech_analogy.recognisers.biasing.trie import WordTrie


@dataclass(frozen=True)
class WeightedNgram:
    """An n-gram and its weight; a negative one subtracts it."""

    model: NgramModel
    weight: float


@dataclass(frozen=True)
class StepScores:
    """α log p_T − β log p_S + γ a token, and the bonuses of words: the increment of each step, never a sum of several.

    It depends on a row's own tokens alone, so a batch is what its rows are one by one.

    Attributes:
        token_bonus: γ, for every token but the end.
    """

    vocabulary: int
    end: int
    ngrams: tuple[WeightedNgram, ...] = ()
    token_bonus: float = 0.0
    trie: WordTrie | None = None

    @cached_property
    def _everywhere(self) -> torch.Tensor:
        """What every step adds, (vocabulary,) float32."""
        found = torch.full((self.vocabulary,), self.token_bonus)
        found[self.end] = 0.0
        for ngram in self.ngrams:
            found += ngram.weight * ngram.model.unigram
        return found

    @cached_property
    def _begins(self) -> torch.Tensor:
        """1 at the tokens that cannot continue a word, (vocabulary,) float32."""
        found = torch.zeros(self.vocabulary)
        if self.trie is not None:
            found[torch.tensor(sorted(self.trie.boundaries), dtype=torch.int64)] = 1.0
        return found

    def added(self, scores: torch.Tensor, written: Sequence[Sequence[int]]) -> torch.Tensor:
        """Scores with this step's increments.

        Args:
            scores: logits or log-probabilities of the next token, (rows, vocabulary).
            written: each row's tokens so far, without the prompt.
        """
        shifts = [0.0] * len(written)
        kept = [0.0] * len(written)
        rows: list[torch.Tensor] = []
        ids: list[torch.Tensor] = []
        values: list[torch.Tensor] = []

        def listed(row: int, where: torch.Tensor, what: torch.Tensor) -> None:
            rows.append(torch.full_like(where, row))
            ids.append(where)
            values.append(what)

        for row, tokens in enumerate(written):
            for ngram in self.ngrams:
                found = ngram.model.next_tokens(tokens)
                shifts[row] += ngram.weight * found.shift
                listed(row, found.ids, ngram.weight * found.differences)
            if self.trie is not None:
                bonuses = self.trie.bonuses(tokens)
                shifts[row] += bonuses.otherwise
                kept[row] = bonuses.kept
                where = torch.tensor(list(bonuses.given), dtype=torch.int64)
                above = torch.tensor(list(bonuses.given.values())) - bonuses.otherwise
                listed(row, where, above - bonuses.kept * self._begins[where])
        place = scores.device
        total = scores + self._everywhere.to(place) + torch.tensor(shifts, device=place)[:, None]
        if any(kept):
            total += torch.tensor(kept, device=place)[:, None] * self._begins.to(place)
        if rows:
            at = (torch.cat(rows).to(place), torch.cat(ids).to(place))
            total.index_put_(at, torch.cat(values).to(place), accumulate=True)
        return total

    def total(self, row: Sequence[int], *, ended: bool) -> float:
        """What a whole transcript is given: the sum of its steps' increments.

        Args:
            ended: the end was written, and not cut off.
        """
        tokens = [*row, self.end] if ended else list(row)
        found = 0.0
        for at, token in enumerate(tokens):
            before = tokens[:at]
            found += sum(ngram.weight * ngram.model.log_probability(token, before) for ngram in self.ngrams)
            found += self.token_bonus if token != self.end else 0.0
            if self.trie is not None:
                bonuses = self.trie.bonuses(before)
                kept = bonuses.kept if token in self.trie.boundaries else 0.0
                found += bonuses.given.get(token, bonuses.otherwise + kept)
        return found
