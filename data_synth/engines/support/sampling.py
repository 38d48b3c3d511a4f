"""Sampling a batch from a language model so that every row depends on its own seed and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass
class SeededDraw:
    """Draws each row's tokens from the row's own random numbers; a model's `custom_generate`.

    Logits are processed and warped by transformers as ever; only `torch.multinomial`, which draws a whole batch
    from one generator, is replaced: by the inverse of the cumulated probabilities at a number of the row's own.
    """

    seeds: Sequence[int]

    def __post_init__(self) -> None:
        self._dice = [np.random.default_rng(seed) for seed in self.seeds]
        self._not_finite: torch.Tensor | None = None

    def decode(
        self,
        model: Any,
        input_ids: Any,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **rest: Any,
    ) -> Any:
        """transformers' own sampling loop; what it takes as the likeliest token is the one drawn here."""
        from transformers.generation.utils import GenerationMixin

        generation_config.do_sample = False
        logits_processor.append(self)
        return GenerationMixin._sample(model, input_ids, logits_processor, stopping_criteria, generation_config, **rest)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (batch, vocabulary) -> 0 for the token drawn, −∞ for all others."""
        import torch

        cumulated = scores.double().softmax(dim=-1).cumsum(dim=-1)  # (batch, vocabulary)
        total = cumulated[:, -1:]
        invalid = total[:, 0].isnan()
        self._not_finite = invalid if self._not_finite is None else self._not_finite | invalid
        share = torch.tensor([1.0 - dice.random() for dice in self._dice], dtype=torch.float64)  # (batch,), in (0, 1]
        drawn = (cumulated < share[:, None].to(scores.device) * total).sum(dim=-1, keepdim=True)  # (batch, 1)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)

    def not_finite(self, row: int) -> bool:
        """Whether a row was ever given probabilities that are not finite."""
        return self._not_finite is not None and bool(self._not_finite[row])
