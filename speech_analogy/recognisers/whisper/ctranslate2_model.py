"""Whisper run by CTranslate2: models converted on the fly, kept by content, decoded in any window."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.disk.cache_folder import cache_folder
from speech_analogy.foundation.files import fill_once
from speech_analogy.foundation.model_files import require_modest_config
from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.hugging_face import loading, require_whole
from speech_analogy.recognisers.protocol import REPEATED_TOKENS, Attempt, Backend, Compute
from speech_analogy.recognisers.whisper.front_end import WhisperFrontEnd
from speech_analogy.recognisers.whisper.model import WhisperRecogniser

CONVERSIONS_KEPT = 8  # in the cache; the least recently used goes first
CONVERSION_VERSION = 1  # raise it when the same folder would be converted to something else
MOST_WORKERS = 4  # batches decoded side by side, each by threads of its own
CONVERTED_FROM = ("*.safetensors", "*.bin", "config.json", "generation_config.json", "tokenizer*.json", "vocab.json")
CONVERTED_TYPE = "float32"  # int8 and others are made of it when it is loaded
WHAT = "a Whisper model"
_QUEUED_PER_WORKER = 2  # the next batch's features are made while one is decoded

Pending = tuple[list[Any], list[int]]  # CTranslate2's answers of one batch, and the limits of its rows


class CTranslate2Transcriber(WhisperFrontEnd):
    """A Whisper model that transcribes and cannot be trained.

    Each batch is decoded by one worker; of `threads` threads there are as many workers, up to `MOST_WORKERS`, which
    share the threads. Rows that are finished leave the batch.

    Args:
        folder: the Hugging Face folder: tokenizer, extractor, prompt.
        converted: the same model in CTranslate2's format; it is read whole, and may then be removed.
        language: see `WhisperFrontEnd`.
        compute: int8 (weights and activations of matrix products are quantised) or float32.
        threads: in all; None takes torch's number.
        like: see `WhisperFrontEnd`.

    Raises:
        CheckpointError: one of the folders is broken.
    """

    backend: Backend = "ctranslate2"
    device = torch.device("cpu")

    def __init__(
        self,
        folder: Path,
        converted: Path,
        *,
        language: str = "en",
        compute: Compute = "int8",
        threads: int | None = None,
        like: WhisperFrontEnd | None = None,
    ) -> None:
        import ctranslate2

        require_modest_config(folder)
        with loading(folder, WHAT):
            config = WhisperConfig.from_pretrained(folder)
            generation = GenerationConfig.from_pretrained(folder)
        super().__init__(folder, config, generation, language, like)
        self.compute = compute
        before = torch.get_num_threads()
        total = threads or before
        workers = min(total, MOST_WORKERS)
        self._most_waiting = _QUEUED_PER_WORKER * workers
        with loading(converted, WHAT):
            self._model = ctranslate2.models.Whisper(
                str(converted),
                device="cpu",
                compute_type=compute,
                inter_threads=workers,
                intra_threads=total // workers,
            )
        torch.set_num_threads(before)  # CTranslate2 sets OpenMP's number for this thread, which is torch's too
        self._suppressed: list[int] = list(generation.suppress_tokens or [])
        self._candidates = 1

    def biased(self, bias: TextBias) -> CTranslate2Transcriber:
        """See `BiasableTranscriber`. CTranslate2 lets nobody look at a step: its best hypotheses are scored again."""
        other = copy(self)
        other.bias_by(bias)
        other._candidates = bias.options.candidates if other.step_scores is not None else 1
        return other

    def decode(self, features: torch.Tensor, durations_s: Sequence[float], beams: int = 1) -> list[str]:
        """Transcribe one batch; see `WhisperRecogniser.decode`."""
        return [attempt.text for attempt in self._collect(self._submit(features, durations_s, beams))]

    def decode_all(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[str]]:
        """Transcribe batches of (features, durations_s), several at a time, in order."""
        for found in self.attempts(batches, beams):
            yield [attempt.text for attempt in found]

    def attempts(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[Attempt]]:
        """See `LoopingTranscriber`; several batches at a time, in order."""
        waiting: deque[Pending] = deque()
        for features, durations_s in batches:
            waiting.append(self._submit(features, durations_s, beams))
            if len(waiting) >= self._most_waiting:
                yield self._collect(waiting.popleft())
        while waiting:
            yield self._collect(waiting.popleft())

    def without_repeats(self, features: torch.Tensor, durations_s: Sequence[float]) -> list[str]:
        """See `LoopingTranscriber`."""
        pending = self._submit(features, durations_s, 1, no_repeat_ngram_size=REPEATED_TOKENS)
        return [attempt.text for attempt in self._collect(pending)]

    def no_speech(self, features: torch.Tensor) -> list[float]:
        """See `LoopingTranscriber`."""
        alone = copy(self)
        alone.preceding, alone._candidates = [], 1
        answers, _ = alone._submit(features, [0.0] * len(features), 1, return_no_speech_prob=True)
        return [float(answer.result().no_speech_prob) for answer in answers]

    def _submit(self, features: torch.Tensor, durations_s: Sequence[float], beams: int, **options: Any) -> Pending:
        import ctranslate2

        limits = self.limits(durations_s)
        if self._candidates > 1:
            beams = max(beams, self._candidates)
            options |= {"num_hypotheses": beams}
        answers = self._model.generate(
            ctranslate2.StorageView.from_array(features.contiguous().numpy()),
            [[*self.preceding, *self.prompt]] * len(limits),
            asynchronous=True,
            beam_size=beams,
            max_length=2 * max(limits),  # CTranslate2 writes at most half of it
            suppress_tokens=self._suppressed,
            return_scores=True,
            **options,
        )
        return answers, limits

    def _collect(self, pending: Pending) -> list[Attempt]:
        chosen = [self._best(answer.result(), limit) for answer, limit in zip(*pending, strict=True)]
        # CTranslate2's score is a mean over the tokens and the end.
        scores = [float(answer.result().scores[best]) for answer, best in zip(pending[0], chosen, strict=True)]
        rows, limits = self._rows(pending, chosen), pending[1]
        return [
            Attempt(text, len(row) >= limit, score)
            for text, row, limit, score in zip(self.texts(rows), rows, limits, scores, strict=True)
        ]

    def _best(self, answer: Any, limit: int) -> int:
        """Which hypothesis the model and the text like best together."""
        if self.step_scores is None:
            return 0
        totals = [
            score * (len(row) + 1) + self.step_scores.total(row[:limit], ended=len(row) < limit)
            for row, score in zip(answer.sequences_ids, answer.scores, strict=True)
        ]
        return totals.index(max(totals))

    @staticmethod
    def _rows(pending: Pending, chosen: Sequence[int] | None = None) -> list[list[int]]:
        """Token ids of a batch, awaited. A row is cut at its own limit, where a greedy search would have stopped.

        Args:
            chosen: the number of each row's hypothesis; None: the first.
        """
        answers, limits = pending
        numbers = chosen or [0] * len(answers)
        rows = [answer.result().sequences_ids[number] for answer, number in zip(answers, numbers, strict=True)]
        return [row[:limit] for row, limit in zip(rows, limits, strict=True)]


def open_folder(folder: Path, **options: Any) -> CTranslate2Transcriber:
    """A Hugging Face folder, converted unless the cache has it; `options` as for `CTranslate2Transcriber`."""
    return CTranslate2Transcriber(folder, convert(folder), **options)


def open_in_memory(recogniser: WhisperRecogniser, **options: Any) -> CTranslate2Transcriber:
    """What a loaded recogniser holds now, by way of a temporary folder that is gone when this returns."""
    with tempfile.TemporaryDirectory(prefix="speech-analogy-") as temporary:
        converted = Path(temporary) / "model"
        write_converted(recogniser.folder, converted, loaded=recogniser)
        return CTranslate2Transcriber(
            recogniser.folder, converted, language=recogniser.language, like=recogniser, **options
        )


def convert(folder: Path) -> Path:
    """A folder in CTranslate2's format, float32, by CTranslate2's own converter; int8 is made when it is loaded.

    It is kept in the cache under a digest of what it is made from, so that a changed model is never taken for an
    old one. Another process may do the same at the same time.

    Raises:
        CheckpointError: the folder is broken, or not a Whisper model.
    """
    out = converted_path(folder)
    if out.is_dir():
        os.utime(out)
        return out
    fill_once(out, lambda building: write_converted(folder, building), CheckpointError)
    _forget_oldest(out.parent)
    return out


def converted_path(folder: Path) -> Path:
    """Where `convert` keeps this folder's model, whether it is there or not."""
    digest = hashlib.sha256(f"{CONVERSION_VERSION}".encode())
    for file in sorted({file for pattern in CONVERTED_FROM for file in folder.glob(pattern)}):
        with file.open("rb") as stream:
            digest.update(f"{file.name} ".encode() + hashlib.file_digest(stream, "sha256").digest())
    return cache_folder() / "ctranslate2" / digest.hexdigest()[:24]


def write_converted(
    folder: Path, out: Path, quantization: str = CONVERTED_TYPE, loaded: WhisperRecogniser | None = None
) -> None:
    """Convert a folder, or what was loaded from it and holds other weights now, by CTranslate2's own converter.

    Args:
        quantization: one of CTranslate2's types for the weights in the file.

    Raises:
        CheckpointError: the folder is broken, or CTranslate2 cannot convert it.
    """
    from ctranslate2.converters import TransformersConverter

    class _Converter(TransformersConverter):  # type: ignore[misc]
        def load_model(self, model_class: Any, name: str, **options: Any) -> Any:
            return loaded.model if loaded is not None else super().load_model(model_class, name, **options)

        def load_tokenizer(self, tokenizer_class: Any, name: str, **options: Any) -> Any:
            return loaded.tokenizer if loaded is not None else super().load_tokenizer(tokenizer_class, name, **options)

    with loading(folder, WHAT):
        if loaded is None:
            require_whole(WhisperForConditionalGeneration, folder)
        try:
            _Converter(str(folder)).convert(str(out), quantization=quantization, force=True)
        except (TypeError, AttributeError, NotImplementedError) as error:
            raise CheckpointError(f"CTranslate2 cannot convert it: {error}", file=folder) from None


def _forget_oldest(cache: Path) -> None:
    kept = [path for path in cache.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(kept, key=lambda path: path.stat().st_mtime, reverse=True)[CONVERSIONS_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
