"""Whisper behind the recogniser protocol: features, labels, loss and decoding, in full or trimmed windows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import (
    DynamicCache,
    EncoderDecoderCache,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList
from transformers.generation.utils import GenerationMixin
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils import logging

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ

IGNORED_LABEL = -100  # torch's ignore_index
FRAME_STRIDE = 2  # the encoder's second convolution halves the mel frames
# Tokens capped by duration: fast English speech is about 5 words, 6 tokens a second; loops are longer.
TOKENS_PER_SECOND = 8.0
TOKENS_AT_LEAST = 10


class TrimmedEncoder(WhisperEncoder):
    """Whisper's encoder for any window up to 30 s: the sinusoidal positions are sliced to the frames there are."""

    def forward(self, input_features: torch.Tensor, attention_mask: Any = None, **options: Any) -> BaseModelOutput:
        """input_features: (batch, mels, frames), frames even -> last_hidden_state (batch, frames / 2, width)."""
        hidden = F.gelu(self.conv1(input_features))
        hidden = F.gelu(self.conv2(hidden)).permute(0, 2, 1)  # (batch, frames / 2, width)
        hidden = hidden + self.embed_positions.weight[: hidden.shape[1]]
        hidden = F.dropout(hidden, p=self.dropout, training=self.training)
        for layer in self.layers:
            hidden = layer(hidden, None)
        return BaseModelOutput(last_hidden_state=self.layer_norm(hidden))


class TokensByDuration(StoppingCriteria):
    """Stops each row at its own number of tokens, so that a loop costs no more than a long sentence."""

    def __init__(self, limits: torch.Tensor) -> None:
        self.limits = limits  # (utterances,) int64, prompt included

    def __call__(self, input_ids: torch.Tensor, scores: Any, **options: Any) -> torch.Tensor:
        candidates = len(input_ids) // len(self.limits)  # a beam search asks for several rows an utterance
        return (input_ids.shape[1] >= self.limits.to(input_ids.device)).repeat_interleave(candidates)


def token_limit(duration_s: float) -> int:
    """The most tokens that an utterance of this length may be transcribed with."""
    return TOKENS_AT_LEAST + math.ceil(TOKENS_PER_SECOND * duration_s)


class WhisperRecogniser:
    """A Whisper model with what it needs to hear, to be taught and to write.

    Args:
        folder: a complete Hugging Face folder (`resolve_weights` gives one).
        language: of a multilingual model ("en", "es", ...); English-only models take none.
        device: where the model lives.
    """

    family = "whisper"

    def __init__(self, folder: Path, *, language: str = "en", device: str | torch.device = "cpu") -> None:
        try:
            with _no_bars():
                model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
            self.tokenizer = WhisperTokenizer.from_pretrained(folder)
            self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            message = str(error).strip().splitlines()[0]
            raise CheckpointError(f"cannot be loaded as a Whisper model: {message}", file=folder) from None
        except Exception as error:  # safetensors raises its own type for a corrupt file
            if type(error).__name__ != "SafetensorError":
                raise
            raise CheckpointError(f"is corrupt: {error}", file=folder / "model.safetensors") from None
        model.model.encoder = _trimmable(model.model.encoder)
        self.model: Any = model.eval()
        self.model.to(device)
        self.folder, self.language = folder, language
        self.prompt = self._prompt()

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @property
    def config(self) -> Any:
        return self.model.config

    def _prompt(self) -> list[int]:
        """<|startoftranscript|> [language, transcribe] <|notimestamps|>."""
        generation = self.model.generation_config
        prompt = [self.model.config.decoder_start_token_id]
        languages = getattr(generation, "lang_to_id", None)
        if getattr(generation, "is_multilingual", bool(languages)) and languages:
            token = f"<|{self.language}|>"
            if token not in languages:
                raise ConfigError("this model does not know the language", field="language", value=self.language)
            prompt += [languages[token], generation.task_to_id["transcribe"]]
        elif self.language != "en":
            raise ConfigError("an English-only model takes no other language", field="language", value=self.language)
        return [*prompt, generation.no_timestamps_token_id]

    def features(self, waveforms: Sequence[np.ndarray], window_s: float) -> torch.Tensor:
        """Log-mel features of waveforms padded with silence to one window.

        Args:
            waveforms: float32, mono, 16 kHz, each (samples,); what is longer than the window is cut.
            window_s: seconds; a whole number of encoder frames (20 ms).

        Returns:
            (batch, mels, frames) float32, frames = 100 x window_s.
        """
        samples = round(window_s * SAMPLING_RATE_HZ)
        batch = np.zeros((len(waveforms), samples), dtype=np.float32)
        for row, waveform in zip(batch, waveforms, strict=True):
            count = min(len(waveform), samples)
            row[:count] = waveform[:count]
        mel = self.extractor._torch_extract_fbank_features(batch)  # what its __call__ runs on the padded batch
        return torch.from_numpy(np.asarray(mel))

    def labels(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced inputs and targets.

        The targets are the text and <|endoftext|>; the prompt is given, so it is not learned. Padding is masked by
        length, never by id: <|endoftext|> is the padding token too, and must be learned where it ends a text.

        Returns:
            inputs (batch, tokens) int64 and targets (batch, tokens) int64, -100 where nothing is to be learned.
        """
        end = self.model.config.eos_token_id
        most = self.model.config.max_target_positions
        rows = [self.tokenizer(self.written(text), add_special_tokens=False).input_ids for text in texts]
        rows = [[*[*self.prompt, *row][:most], end] for row in rows]
        width = max(len(row) for row in rows) - 1
        inputs = torch.full((len(rows), width), end, dtype=torch.int64)
        targets = torch.full((len(rows), width), IGNORED_LABEL, dtype=torch.int64)
        for index, row in enumerate(rows):
            inputs[index, : len(row) - 1] = torch.tensor(row[:-1])
            targets[index, len(self.prompt) - 1 : len(row) - 1] = torch.tensor(row[len(self.prompt) :])
        return inputs, targets

    @staticmethod
    def written(text: str) -> str:
        """As Whisper writes a transcript: one space before the first word."""
        return " " + text.strip()

    def loss(self, features: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy over the learned tokens; features (batch, mels, frames), labels (batch, tokens)."""
        logits = self.model(input_features=features, decoder_input_ids=inputs, use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED_LABEL)

    @torch.inference_mode()
    def decode(self, features: torch.Tensor, durations_s: Sequence[float], beams: int = 1) -> list[str]:
        """Transcribe one batch, greedily or with a beam, each row with its own cap on tokens.

        Args:
            features: (batch, mels, frames) of equal windows.
            durations_s: seconds of speech a row, which cap its tokens.
            beams: 1 is greedy.
        """
        most = self.model.config.max_target_positions
        limits = [min(token_limit(duration), most - len(self.prompt)) for duration in durations_s]
        features = features.to(self.device)
        rows = self._greedy(features, limits) if beams == 1 else self._beam(features, limits, beams)
        return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]

    def _greedy(self, features: torch.Tensor, limits: list[int]) -> list[list[int]]:
        """Token ids a row. Finished rows leave the batch, so that one looping row does not hold up the others."""
        decoder, project = self.model.model.decoder, self.model.proj_out
        heard = self.model.model.encoder(features).last_hidden_state  # (rows, frames / 2, width)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        end, generation = self.model.config.eos_token_id, self.model.generation_config
        written: list[list[int]] = [[] for _ in limits]
        alive = list(range(len(limits)))
        tokens = torch.tensor([self.prompt] * len(alive), device=self.device)  # (rows, prompt)
        for step in range(max(limits)):
            state = decoder(
                input_ids=tokens, encoder_hidden_states=heard, past_key_values=cache, use_cache=True
            ).last_hidden_state
            logits = project(state[:, -1])  # (rows, vocabulary)
            logits[:, generation.suppress_tokens or []] = -torch.inf
            if step == 0:
                logits[:, generation.begin_suppress_tokens or []] = -torch.inf
            chosen = logits.argmax(-1)
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
                chosen, heard = chosen[index], heard[index]
                alive = [alive[position] for position in keep]
            tokens = chosen[:, None]
        return written

    def _beam(self, features: torch.Tensor, limits: list[int], beams: int) -> list[list[int]]:
        """Beam search by transformers. Whisper's own `generate` is for long audio; the plain one takes any window."""
        prompt = torch.tensor([self.prompt] * len(limits), device=self.device)
        ends = torch.tensor(limits) + len(self.prompt)
        tokens = GenerationMixin.generate(
            self.model,
            features,
            decoder_input_ids=prompt,
            attention_mask=torch.ones(features.shape[:1] + features.shape[-1:]),  # unused by Whisper's encoder
            num_beams=beams,
            do_sample=False,
            max_length=int(ends.max()),
            stopping_criteria=StoppingCriteriaList([TokensByDuration(ends)]),
        )
        rows: list[list[int]] = torch.as_tensor(tokens).tolist()
        return [row[len(self.prompt) :] for row in rows]

    def save(self, folder: Path) -> None:
        """Write a complete Hugging Face folder: weights, config, generation config, tokenizer, extractor."""
        with _no_bars():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.extractor.save_pretrained(folder)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Without transformers' bars for what takes a moment."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _trimmable(encoder: WhisperEncoder) -> TrimmedEncoder:
    """The same parameters in an encoder that takes any window."""
    with torch.device("meta"):
        trimmed = TrimmedEncoder(encoder.config)
    trimmed.load_state_dict(encoder.state_dict(), assign=True)
    trimmed.embed_positions.requires_grad_(False)  # sinusoids
    trimmed.train(encoder.training)
    return trimmed
