"""Many sums of the same trained models for the price of their decoding: one recogniser in memory, nothing written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from lhotse import CutSet
from torch import Tensor

from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.errors import CheckpointError
from speech_analogy.evaluation.evaluate import Evaluation, score
from speech_analogy.evaluation.grouping import Cluster
from speech_analogy.evaluation.sweep import transcribe_points
from speech_analogy.merging.arithmetic import cast_piece
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.tensors import Weights, accumulator, as_source, pieces, require_finite, require_same_layout
from speech_analogy.recognisers.decoding import DEFAULT_DECODING, DecodingOptions
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import load_transcriber
from speech_analogy.recognisers.protocol import Recogniser

Shares = Mapping[str, float]
"""Model -> its weight in the sum."""


class SumSweep:
    """A recogniser whose weights are set to Σ w_i θ_i, for one set of weights w after the other.

    Sums are made in float32 (float64 where a model has it), in the order of the models, and cast once. A tensor that
    is no number of floating point is the first model's.

    Args:
        recogniser: of the models' sizes; its weights are written over.
        models: name -> weights; all of one layout.

    Raises:
        CheckpointError: other names or shapes than the first's, NaN or infinity.
    """

    def __init__(self, recogniser: Recogniser, models: Mapping[str, Weights]) -> None:
        sources = {name: as_source(weights, name) for name, weights in models.items()}
        require_same_layout(list(sources.values()))
        self.recogniser = recogniser
        self._held: list[tuple[str, Tensor, dict[str, Tensor]]] = []  # tensor's name, weights in use, of each model
        first = next(iter(sources.values()))
        state: dict[str, Tensor] = recogniser.model.state_dict()
        for name in first:
            if name not in state or not first.is_float(name):
                continue
            for source in sources.values():
                require_finite(source, name)
            own = {model: source[name].clone().reshape(-1) for model, source in sources.items()}
            self._held.append((name, state[name].view(-1), own))

    @torch.no_grad()
    def move(self, shares: Shares, /) -> Recogniser:
        """The recogniser, holding Σ w_i θ_i; piece by piece, so in no memory of its own.

        Raises:
            CheckpointError: a model that is not held, or a weight beyond its dtype's range.
        """
        for name, weights, own in self._held:
            unknown = sorted(set(shares) - set(own))
            if unknown:
                raise CheckpointError("no such model is in the sum", field="weights", value=", ".join(unknown))
            compute = accumulator(torch.float32)
            for model in shares:
                compute = accumulator(own[model].dtype, compute)
            for start, stop in pieces(len(weights)):
                total = torch.zeros(stop - start, dtype=compute)
                for model, share in shares.items():
                    total.add_(own[model][start:stop].to(compute), alpha=share)
                weights[start:stop].copy_(cast_piece(total, weights.dtype, name, []))
        return self.recogniser


def evaluate_sums(
    cuts: str | Path | CutSet,
    models: Mapping[str, str | Path],
    sums: Sequence[tuple[str, float | None, Shares]],
    *,
    decoding: DecodingOptions = DEFAULT_DECODING,
    cluster: Cluster = "speaker",
    progress: bool = True,
) -> list[Evaluation]:
    """Transcribe and score recordings with sums of trained models, in the order of `sums`, with torch.

    Audio is read and turned into features once for all sums.

    Args:
        models: name -> model folder; all tuned from one base, or that base. The first one's window and tokens serve.
        sums: of each its system, its λ, and the weights of the models.
        decoding: as of `transcribe`, without the backend: torch decodes. A window of None takes the first model's own.

    Raises:
        DataError, CheckpointError: as `evaluate`; other bases, names or shapes than the first's.
    """
    eager = cuts_of(cuts)
    opened = {name: open_checkpoint(path) for name, path in models.items()}
    require_same_base(list(opened.values()))
    first = next(iter(models.values()))
    recogniser = load_transcriber(first, decoding.model_copy(update={"backend": "torch"}))
    sweep = SumSweep(cast("Recogniser", recogniser), opened)
    window = decoding.window or native_window(sweep.recogniser.folder)
    points = [shares for _, _, shares in sums]
    transcriptions = transcribe_points(list(eager), sweep, points, window, decoding, progress)
    return [
        score(eager, transcription, name=system, scale=scale, language=decoding.language, cluster=cluster)
        for (system, scale, _), transcription in zip(sums, transcriptions, strict=True)
    ]
