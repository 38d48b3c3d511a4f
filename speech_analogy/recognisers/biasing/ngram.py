"""n-gram models over a recogniser's tokens: estimated in closed form, asked for all tokens at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import torch

START = -1  # what stands before a text's first token, in contexts

Context: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Continuations:
    """What is known of the tokens behind one context."""

    log_probabilities: Mapping[int, float]
    """Natural logarithms, by token."""
    log_backoff: float
    """Added to the shorter context's log-probability of every other token."""


@dataclass(frozen=True)
class NextTokens:
    """log p(token | context) of every token: `shift` + the unigram's, and at `ids` that + `differences`."""

    shift: float
    ids: torch.Tensor  # (listed,) int64
    differences: torch.Tensor  # (listed,) float32


@dataclass(frozen=True)
class NgramModel:
    """A backing-off n-gram, as an ARPA file holds one. Every text ends with the token `end`.

    Attributes:
        vocabulary: how many tokens there are.
        unlisted: log-probability of each token without a unigram of its own.
        unigrams: token -> log-probability.
        contexts: of one to `order` - 1 tokens, `START` among them.
    """

    order: int
    vocabulary: int
    end: int
    unlisted: float
    unigrams: Mapping[int, float]
    contexts: Mapping[Context, Continuations]
    _known: dict[Context, NextTokens] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def unigram(self) -> torch.Tensor:
        """Log-probabilities without a context, (vocabulary,) float32."""
        found = torch.full((self.vocabulary,), self.unlisted)
        if self.unigrams:
            found[torch.tensor(list(self.unigrams))] = torch.tensor(list(self.unigrams.values()))
        return found

    def context(self, written: Sequence[int]) -> Context:
        """The longest context that the model knows behind these tokens of a text."""
        most = self.order - 1
        history = (*written[-most:],) if most else ()
        if len(written) < most:
            history = (START, *history)
        while history and history not in self.contexts:
            history = history[1:]
        return history

    def next_tokens(self, written: Sequence[int]) -> NextTokens:
        """Of every token behind these tokens of a text."""
        context = self.context(written)
        if context not in self._known:
            self._known[context] = self._walked(context)
        return self._known[context]

    def _walked(self, context: Context) -> NextTokens:
        listed: dict[int, float] = {}
        shift = 0.0
        for start in range(len(context) - 1, -1, -1):
            found = self.contexts.get(context[start:])
            if found is not None:
                listed = {token: value + found.log_backoff for token, value in listed.items()}
                listed.update(found.log_probabilities)
                shift += found.log_backoff
        values = [value - shift - self.unigrams.get(token, self.unlisted) for token, value in listed.items()]
        return NextTokens(shift, torch.tensor(list(listed), dtype=torch.int64), torch.tensor(values))

    def log_probability(self, token: int, written: Sequence[int]) -> float:
        """Natural logarithm of p(token | the text's tokens before it)."""
        context, shift = self.context(written), 0.0
        while context:
            found = self.contexts.get(context)
            if found is not None:
                if token in found.log_probabilities:
                    return shift + found.log_probabilities[token]
                shift += found.log_backoff
            context = context[1:]
        return shift + self.unigrams.get(token, self.unlisted)


def witten_bell(texts: Iterable[Sequence[int]], order: int, vocabulary: int, end: int) -> NgramModel:
    """Estimate an n-gram by interpolated Witten-Bell smoothing, down to the uniform distribution.

    p(w | h) = (c(h w) + t(h) p(w | h')) / (c(h) + t(h)), with t(h) the number of different tokens seen behind h and h'
    one token shorter; below the unigram stands 1 / vocabulary (Witten and Bell 1991, method C; Chen and Goodman 1999,
    section 2.5). It needs no counts of counts, which a few hundred texts do not give Kneser and Ney.

    Args:
        texts: token ids, without the end, which is added.
    """
    counts: dict[Context, Counter[int]] = {}
    for text in texts:
        padded = [START, *text, end]
        for at in range(1, len(padded)):
            for length in range(min(order - 1, at) + 1):
                counts.setdefault(tuple(padded[at - length : at]), Counter())[padded[at]] += 1
    seen = counts.pop((), Counter())
    tokens, kinds = seen.total(), len(seen)
    uniform = 1 / vocabulary
    share = kinds * uniform / (tokens + kinds) if tokens else uniform
    unigrams = {token: count / (tokens + kinds) + share for token, count in seen.items()}
    plain: dict[Context, dict[int, float]] = {(): unigrams}
    for context in sorted(counts, key=len):
        behind = counts[context]
        total, kinds = behind.total(), len(behind)
        shorter = plain[context[1:]]
        plain[context] = {token: (count + kinds * shorter[token]) / (total + kinds) for token, count in behind.items()}
    return NgramModel(
        order,
        vocabulary,
        end,
        math.log(share),
        {token: math.log(value) for token, value in unigrams.items()},
        {
            context: Continuations(
                {token: math.log(value) for token, value in plain[context].items()},
                math.log(len(behind) / (behind.total() + len(behind))),
            )
            for context, behind in counts.items()
        },
    )
