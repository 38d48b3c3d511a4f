"""Whisper in torch, behind the recogniser protocol: labels, loss and decoding, in full or trimmed windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList
from transformers.generation.utils import GenerationMixin
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from speech_analogy.errors import DataError
from speech_analogy.foundation.files import follow_umask
from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.biasing.scoring import StepScores
from speech_analogy.recognisers.hugging_face import loading, no_bars, whole_model
from speech_analogy.recognisers.protocol import IGNORED_LABEL, REPEATED_TOKENS, Attempt, Backend, Compute, WindowText
from speech_analogy.recognisers.whisper.attention import ATTENTION
from speech_analogy.recognisers.whisper.completing import complete_folder
from speech_analogy.recognisers.whisper.front_end import WhisperFrontEnd
from speech_analogy.recognisers.whisper.trainable import TrainableWhisper, trimmable
from speech_analogy.recognisers.windows import FULL_WINDOW_S

TIMESTAMP_STEP_S = 0.02

# What the decoder calls its keys and values: transformers renames it, and warns on every process's first batch.
CACHE = "cache" if "cache" in signature(WhisperDecoder.forward).parameters else "past_key_values"


class TokensByDuration(StoppingCriteria):
    """Stops each row at its own number of tokens, so that a loop costs no more than a long sentence."""

    def __init__(self, limits: torch.Tensor) -> None:
        self.limits = limits  # (utterances,) int64, prompt included

    def __call__(self, input_ids: torch.Tensor, scores: Any, **options: Any) -> torch.Tensor:
        candidates = len(input_ids) // len(self.limits)  # a beam search asks for several rows an utterance
        return (input_ids.shape[1] >= self.limits.to(input_ids.device)).repeat_interleave(candidates)


class AddedScores(LogitsProcessor):
    """What text adds to the scores of each candidate of a beam search, this step's alone."""

    def __init__(self, scores: StepScores, prompt: int) -> None:
        self.scores, self.prompt = scores, prompt  # tokens of it

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return self.scores.added(scores, input_ids[:, self.prompt :].tolist())


class WhisperRecogniser(WhisperFrontEnd):
    """A Whisper model with what it needs to transcribe, to be trained and to be saved.

    Args:
        folder: a complete Hugging Face folder (`resolve_weights` gives one).
        language: of a multilingual model ("en", "es", ...); English-only models take none.
        device: where the model lives.
    """

    backend: Backend = "torch"

    def __init__(self, folder: Path, *, language: str = "en", device: str | torch.device = "cpu") -> None:
        with loading(folder, "a Whisper model"):
            model: Any = whole_model(TrainableWhisper, folder, dtype=torch.float32, attn_implementation=ATTENTION)
        super().__init__(folder, model.config, model.generation_config, language)
        model.model.encoder = trimmable(model.model.encoder)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.register_forward_hook(_cast_once)
        self.config: Any = model.config
        self.model = model.eval()
        self.model.to(device)
        self.compute: Compute = "float32"

    def computing_in(self, compute: Compute) -> WhisperRecogniser:
        """The same model, weights shared, whose encoder computes in `compute`; this object stays as it is."""
        if compute == self.compute:
            return self
        other = copy(self)
        other.compute = compute
        return other

    def biased(self, bias: TextBias) -> WhisperRecogniser:
        """See `BiasableTranscriber`."""
        other = copy(self)
        other.bias_by(bias)
        return other

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def labels(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced inputs and targets.

        The targets are the text and <|endoftext|>; the prompt is given, so it is not learned. Padding is masked by
        length, never by id: <|endoftext|> is the padding token too, and must be learned where it ends a text.

        Returns:
            inputs (batch, tokens) int64 and targets (batch, tokens) int64, -100 where nothing is to be learned.

        Raises:
            DataError: a text is longer than the model can write.
        """
        return self._teacher_forced([(self.prompt, self.written_tokens(text)) for text in texts])

    @property
    def most_label_tokens(self) -> int:
        """That a label with time stamps may have, prompt and end left out."""
        return int(self.config.max_target_positions) - len(self.prompt)

    def label_tokens(self, text: str) -> int:
        """How many tokens a segment takes in a label with time stamps."""
        return len(self.written_tokens(text)) + 2

    def window_labels(self, windows: Sequence[WindowText]) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced inputs and targets of windows of several segments, as `labels` gives them of one text.

        With time stamps each segment is `<|start|> text<|end|>`, and of one that the window cuts off only the start
        is written; without, the texts follow one another (Radford et al., arXiv 2212.04356, section 2.3).
        """
        rows = []
        for window in windows:
            tokens: list[int] = []
            for segment in window.segments:
                tokens += [self._stamp(segment.start_s)] if window.timed else []
                if segment.end_s is not None:
                    tokens += self.written_tokens(segment.text)
                    tokens += [self._stamp(segment.end_s)] if window.timed else []
            rows.append((self.prompt[:-1] if window.timed else self.prompt, tokens))
        return self._teacher_forced(rows)

    def _stamp(self, seconds: float) -> int:
        """The token of a time: the first follows <|notimestamps|>, which ends the prompt."""
        return self.prompt[-1] + 1 + round(min(max(seconds, 0.0), FULL_WINDOW_S) / TIMESTAMP_STEP_S)

    def _teacher_forced(self, rows: Sequence[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of (prompt, tokens to be learned)."""
        end, most = self.config.eos_token_id, self.config.max_target_positions
        if any(len(prompt) + len(row) > most for prompt, row in rows):  # cut off, it would teach the model to stop
            raise DataError(f"a text has more than the {most} tokens that the model can write")
        whole = [[*prompt, *row, end] for prompt, row in rows]
        width = max(map(len, whole)) - 1
        inputs = torch.full((len(rows), width), end, dtype=torch.int64)
        targets = torch.full((len(rows), width), IGNORED_LABEL, dtype=torch.int64)
        for index, (row, (prompt, _)) in enumerate(zip(whole, rows, strict=True)):
            inputs[index, : len(row) - 1] = torch.tensor(row[:-1])
            targets[index, len(prompt) - 1 : len(row) - 1] = torch.tensor(row[len(prompt) :])
        return inputs, targets

    def loss(self, features: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy over the learned tokens; features (batch, mels, frames), labels (batch, tokens)."""
        found: torch.Tensor = self.model(
            input_features=features, decoder_input_ids=inputs, targets=targets, use_cache=False
        )
        return found

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Features (batch, mels, frames) -> what the decoder attends to, (batch, frames / 2, width) float32.

        With `compute` "bf16" the encoder, where nearly all of the arithmetic is, computes in bf16; the decoder never.
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.compute == "bf16"):
            return self.encoder_states(features).float()

    def encoder_states(self, features: torch.Tensor) -> torch.Tensor:
        """Features (batch, mels, frames) -> (batch, frames / 2, width), in autocast's precision if it is on."""
        states: torch.Tensor = self.model.model.encoder(features).last_hidden_state
        return states

    def decoder_states(self, encoded: torch.Tensor, inputs: torch.Tensor, *, every: bool) -> torch.Tensor:
        """The decoder's hidden states, (batch, states, tokens, width).

        Args:
            encoded: (batch, frames / 2, width), of `encoder_states`.
            inputs: (batch, tokens) int64.
            every: after each layer, and what enters the first; or after the last alone.
        """
        found = self.model.model.decoder(
            input_ids=inputs, encoder_hidden_states=encoded, use_cache=False, output_hidden_states=every
        )
        return torch.stack(found.hidden_states if every else [found.last_hidden_state], dim=1)

    @contextmanager
    def keeping_encoded(self) -> Iterator[list[torch.Tensor]]:
        """A list that collects the encoder's outputs while the block lasts, batch by batch."""
        kept: list[torch.Tensor] = []
        hook = self.model.model.encoder.register_forward_hook(
            lambda module, inputs, output: kept.append(output.last_hidden_state)
        )
        try:
            yield kept
        finally:
            hook.remove()

    @torch.inference_mode()
    def decode(self, features: torch.Tensor, durations_s: Sequence[float], beams: int = 1) -> list[str]:
        """Transcribe one batch, greedily or with a beam, each row with its own cap on tokens.

        Args:
            features: (batch, mels, frames) of equal windows.
            durations_s: seconds of speech a row, which cap its tokens.
            beams: 1 is greedy.
        """
        return [attempt.text for attempt in self._attempt(features, durations_s, beams)]

    def decode_all(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[str]]:
        """Transcribe batches of (features, durations_s), one after the other; see `decode`."""
        for features, durations_s in batches:
            yield self.decode(features, durations_s, beams)

    def attempts(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[Attempt]]:
        """See `LoopingTranscriber`."""
        for features, durations_s in batches:
            yield self._attempt(features, durations_s, beams)

    @torch.inference_mode()
    def _attempt(self, features: torch.Tensor, durations_s: Sequence[float], beams: int) -> list[Attempt]:
        limits, features = self.limits(durations_s), features.to(self.device)
        rows, sums = self._search(features, limits) if beams == 1 else self._beam(features, limits, beams)
        return [
            Attempt(text, len(row) >= limit, total / (len(row) + 1))
            for text, row, limit, total in zip(self.texts(rows), rows, limits, sums, strict=True)
        ]

    @torch.inference_mode()
    def without_repeats(self, features: torch.Tensor, durations_s: Sequence[float]) -> list[str]:
        """See `LoopingTranscriber`."""
        rows, _ = self._search(features.to(self.device), self.limits(durations_s), unrepeated=REPEATED_TOKENS)
        return self.texts(rows)

    @torch.inference_mode()
    def no_speech(self, features: torch.Tensor) -> list[float]:
        """See `LoopingTranscriber`."""
        features = features.to(self.device)
        start = torch.full((len(features), 1), self.prompt[0], device=self.device)
        state = self.decoder_states(self.encode(features), start, every=False)  # (batch, 1, 1, width)
        chances: list[float] = self.model.proj_out(state[:, 0, 0]).softmax(-1)[:, self.no_speech_token].tolist()
        return chances

    def greedy(self, features: torch.Tensor, limits: list[int]) -> list[list[int]]:
        """Token ids a row."""
        return self._search(features, limits)[0]

    def _search(
        self, features: torch.Tensor, limits: list[int], unrepeated: int = 0
    ) -> tuple[list[list[int]], list[float]]:
        """Greedy token ids a row, and the sum of their log-probabilities and the end's.

        Finished rows leave the batch, so that one looping row does not hold up the others.

        Args:
            unrepeated: so many tokens in a row are not written twice; 0: any may be.
        """
        decoder, project = self.model.model.decoder, self.model.proj_out
        encoded = self.encode(features)  # (rows, frames / 2, width)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        end, generation = self.model.config.eos_token_id, self.model.generation_config
        written: list[list[int]] = [[] for _ in limits]
        sums = torch.zeros(len(limits), device=self.device)
        alive = list(range(len(limits)))
        tokens = torch.tensor([[*self.preceding, *self.prompt]] * len(alive), device=self.device)  # (rows, prompt)
        for step in range(max(limits)):
            state = decoder(
                input_ids=tokens, encoder_hidden_states=encoded, use_cache=True, **{CACHE: cache}
            ).last_hidden_state
            logits = project(state[:, -1])  # (rows, vocabulary)
            logits[:, generation.suppress_tokens or []] = -torch.inf
            if step == 0:
                logits[:, generation.begin_suppress_tokens or []] = -torch.inf
            for place, row in enumerate(alive if unrepeated else ()):
                logits[place, _repeating(written[row], unrepeated)] = -torch.inf
            biased = logits if self.step_scores is None else self.step_scores.added(logits, [written[r] for r in alive])
            chosen = biased.argmax(-1)
            likely = logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(-1)
            sums[torch.tensor(alive, device=self.device)] += likely
            for row, token in zip(alive, chosen.tolist(), strict=True):
                if token != end:
                    written[row].append(token)
            keep = [
                index
                for index, (row, token) in enumerate(zip(alive, chosen.tolist(), strict=True))
                if token != end and len(written[row]) < limits[row]
            ]
            if not keep:
                break
            if len(keep) < len(alive):
                index = torch.tensor(keep, device=self.device)
                cache.batch_select_indices(index)
                chosen, encoded = chosen[index], encoded[index]
                alive = [alive[position] for position in keep]
            tokens = chosen[:, None]
        return written, sums.tolist()

    def _beam(self, features: torch.Tensor, limits: list[int], beams: int) -> tuple[list[list[int]], list[float]]:
        """Beam search by transformers. Whisper's own `generate` is for long audio; the plain one takes any window."""
        given = [*self.preceding, *self.prompt]
        prompt = torch.tensor([given] * len(limits), device=self.device)
        ends = torch.tensor(limits) + len(given)
        encoded = self.encode(features)
        tokens = GenerationMixin.generate(
            self.model,
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            decoder_input_ids=prompt,
            attention_mask=torch.ones(features.shape[:1] + features.shape[-1:]),  # unused by Whisper's encoder
            num_beams=beams,
            do_sample=False,
            max_length=int(ends.max()),
            stopping_criteria=StoppingCriteriaList([TokensByDuration(ends)]),
            logits_processor=LogitsProcessorList(
                [] if self.step_scores is None else [AddedScores(self.step_scores, len(given))]
            ),
        )
        end = self.model.config.eos_token_id
        padded: list[list[int]] = torch.as_tensor(tokens)[:, len(given) :].tolist()
        rows = [row[: row.index(end)] if end in row else row for row in padded]
        sums = [self._log_probability(encoded[at : at + 1], row, limits[at]) for at, row in enumerate(rows)]
        return rows, sums

    def _log_probability(self, encoded: torch.Tensor, row: list[int], limit: int) -> float:
        """The sum over a row's tokens, and the end where it came before the limit; encoded (1, frames / 2, width)."""
        targets = [*row, self.model.config.eos_token_id] if len(row) < limit else row
        given = [*self.preceding, *self.prompt]
        inputs = torch.tensor([[*given, *targets[:-1]]], device=self.device)
        states = self.decoder_states(encoded, inputs, every=False)[0, 0, len(given) - 1 :]  # (targets, width)
        chances = self.model.proj_out(states).log_softmax(-1)
        return float(chances.gather(1, torch.tensor(targets, device=self.device)[:, None]).sum())

    def save(self, folder: Path) -> None:
        """Write a complete Hugging Face folder: weights, config, generation config, tokenizer, extractor.

        A multilingual model transcribes this language by default: in short utterances it would often take another.
        """
        if getattr(self.model.generation_config, "is_multilingual", False):
            self.model.generation_config.language = self.language
            self.model.generation_config.task = "transcribe"
        with no_bars():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.extractor.save_pretrained(folder)
        complete_folder(folder)
        follow_umask(folder)


def _repeating(row: list[int], count: int) -> list[int]:
    """The tokens that would make the last ones of a row, `count` with the new one, a repeat."""
    last = row[len(row) - count + 1 :]
    return [row[at + count - 1] for at in range(len(row) - count + 1) if row[at : at + count - 1] == last]


def _cast_once(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    """A norm's output in autocast's dtype: otherwise each matrix product after it makes a copy of its own.

    The values are the same; the sum of the products' gradients is then bf16 or fp16 instead of float32.
    """
    device = output.device.type
    return output.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else output
