"""Many λ for the price of their decoding: one model in memory, moved from θ_C along θ_B − θ_A, never written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch
from lhotse import CutSet
from torch import Tensor

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.evaluation.evaluate import Evaluation, score
from speech_analogy.evaluation.grouping import Cluster
from speech_analogy.evaluation.transcribe import DecodingBatch, Transcript, Transcription, batch_seconds, batches
from speech_analogy.foundation.progress import bar
from speech_analogy.merging.arithmetic import Scale, cast_piece, scale_of, shifted
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.merging.tensors import Weights, accumulator, as_source, pieces, require_finite, require_same_layout
from speech_analogy.recognisers.checking.decode import Decoded, decode_batches, speech_batch
from speech_analogy.recognisers.decoding import DEFAULT_DECODING, DecodingOptions
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import load_transcriber
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, Window, padding_of, window_kind

# Features are made once for all λ; those of this much window are held at a time (38 MB with 80 mels).
HELD_WINDOW_S = 1200.0

Point = TypeVar("Point", contravariant=True)
"""What says which weights are meant: a λ, or the weights of a sum."""


class ScaleSweep:
    """A recogniser whose weights are set to θ_C + λ(θ_B − θ_A), for one λ after the other.

    θ_C and τ = θ_B − θ_A are held once each beside the weights in use, so the memory is three models whatever the
    number of λ. Every λ starts from the pristine θ_C: nothing accumulates, and the bits are those that
    `merging.analogy` writes.

    Args:
        recogniser: of C's sizes; its weights are written over.
        c, plus, minus: θ_C, θ_B and θ_A.
        change: what stands for τ, tensor by tensor: (name, flat τ) -> flat tensor; None: τ itself.

    Raises:
        CheckpointError: other names or shapes than C's, NaN or infinity.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        c: Weights,
        plus: Weights,
        minus: Weights,
        *,
        change: Callable[[str, Tensor], Tensor] | None = None,
    ) -> None:
        sources = [as_source(c, "C"), as_source(plus, "B (plus)"), as_source(minus, "A (minus)")]
        require_same_layout(sources)
        self.recogniser = recogniser
        self._moved: list[tuple[str, Tensor, Tensor, Tensor]] = []  # name, weights in use, θ_C, τ
        state: dict[str, Tensor] = recogniser.model.state_dict()
        for name in sources[0]:
            if name not in state or not sources[0].is_float(name):
                continue
            for source in sources:
                require_finite(source, name)
            compute = accumulator(torch.float32)
            for source in sources:
                compute = accumulator(source.dtype(name), compute)
            tau = sources[1][name].to(compute, copy=True).sub_(sources[2][name].to(compute))
            tau = tau.reshape(-1) if change is None else change(name, tau.reshape(-1))
            self._moved.append((name, state[name].view(-1), sources[0][name].clone().reshape(-1), tau))

    @torch.no_grad()
    def move(self, scale: Scale) -> Recogniser:
        """The recogniser, holding θ_C + λτ in C's dtype; piece by piece, so in no memory of its own.

        Args:
            scale: λ: one number, or one for each tensor by name.

        Raises:
            CheckpointError: λ is not finite, or a weight would be beyond its dtype's range.
        """
        scales = [scale_of(scale, name) for name, *_ in self._moved]
        for (name, weights, theta, tau), factor in zip(self._moved, scales, strict=True):
            for start, stop in pieces(len(theta)):
                start_c = theta[start:stop].to(tau.dtype)
                values = start_c if factor == 0 else shifted(start_c, tau[start:stop], factor)
                weights[start:stop].copy_(cast_piece(values, theta.dtype, name, []))
        return self.recogniser


def evaluate_scales(
    cuts: str | Path | CutSet,
    c: str | Path,
    plus: str | Path,
    minus: str | Path,
    scales: Sequence[Scale],
    *,
    change: Callable[[str, Tensor], Tensor] | None = None,
    decoding: DecodingOptions = DEFAULT_DECODING,
    name: str = "analogy",
    cluster: Cluster = "speaker",
    progress: bool = True,
) -> list[Evaluation]:
    """Transcribe and score recordings with θ_C + λ(θ_B − θ_A), in the order of `scales`, with torch.

    Audio is read and turned into features once for all λ.

    Args:
        c, plus, minus: model folders of C, B and A.
        scales: λs; one that is a function of the tensor's name leaves `scale` of its evaluation empty.
        change: as of `ScaleSweep`.
        decoding: as of `transcribe`, without the backend: torch decodes. A window of None takes C's own.

    Raises:
        DataError, CheckpointError: as `evaluate`; other bases, names or shapes than C's.
    """
    eager = cuts_of(cuts)
    corners = [open_checkpoint(path) for path in (c, plus, minus)]
    require_same_base(corners)
    recogniser = load_transcriber(c, decoding.model_copy(update={"backend": "torch"}))
    sweep = ScaleSweep(cast("Recogniser", recogniser), *corners, change=change)
    chosen = decoding.window or native_window(sweep.recogniser.folder)
    transcriptions = transcribe_points(list(eager), sweep, scales, chosen, decoding, progress)
    return [
        score(eager, transcription, name=name, scale=_number(scale), language=decoding.language, cluster=cluster)
        for scale, transcription in zip(scales, transcriptions, strict=True)
    ]


def _number(scale: Scale) -> float | None:
    return float(scale) if isinstance(scale, int | float) else None


class Moving(Protocol[Point]):
    """A recogniser whose weights can be set to one point after the other."""

    recogniser: Recogniser

    def move(self, point: Point, /) -> Recogniser:
        """The recogniser, with the point's weights."""
        ...


def transcribe_points(
    cuts: list[Any],
    moving: Moving[Point],
    points: Sequence[Point],
    window: Window,
    decoding: DecodingOptions,
    progress: bool,
) -> list[Transcription]:
    """Transcribe with every point; audio is read and turned into features once for all of them.

    Returns:
        one transcription a point; each one's seconds are its own decoding, features not counted.
    """
    together_s = batch_seconds(moving.recogniser)
    plan = batches([cut.duration for cut in cuts], window, [cut.id for cut in cuts], together_s)
    found = [[Decoded("", "")] * len(cuts) for _ in points]
    seconds = [0.0] * len(points)
    shown = bar(len(cuts) * len(points), f"λ sweep ({window_kind(window)})", "utterances", show=progress)
    with shown, torch.inference_mode():
        for group in _groups(plan):
            held = [
                speech_batch(
                    moving.recogniser,
                    [load_audio(cuts[row], SAMPLING_RATE_HZ) for row in batch.rows],
                    [cuts[row].duration for row in batch.rows],
                    batch.window_s,
                    padding_of(window),
                )
                for batch in group
            ]
            for index, point in enumerate(points):
                start = time.perf_counter()
                decoded = decode_batches(moving.move(point), held, beams=decoding.beams, fallback=decoding.fallback)
                for batch, own in zip(group, decoded, strict=True):
                    for row, one in zip(batch.rows, own, strict=True):
                        found[index][row] = one
                    shown.update(len(batch.rows))
                seconds[index] += time.perf_counter() - start
    return [
        Transcription(
            [Transcript.of(cut.id, one, cut.duration) for cut, one in zip(cuts, own, strict=True)], window, taken
        )
        for own, taken in zip(found, seconds, strict=True)
    ]


def _groups(plan: list[DecodingBatch]) -> list[list[DecodingBatch]]:
    """Batches whose features are held at a time."""
    groups: list[list[DecodingBatch]] = [[]]
    held_s = 0.0
    for batch in plan:
        size_s = batch.window_s * len(batch.rows)
        if groups[-1] and held_s + size_s > HELD_WINDOW_S:
            groups.append([])
            held_s = 0.0
        groups[-1].append(batch)
        held_s += size_s
    return groups
