"""What every Whisper needs around its weights, whoever computes them: features in, prompt, texts out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor, WhisperTokenizer
from transformers.utils import logging

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.foundation.digests import sha256
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, Padding, pad

# Tokens capped by duration: fast English speech is about 5 words, 6 tokens a second; loops are longer.
TOKENS_PER_SECOND = 8.0
TOKENS_AT_LEAST = 10
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "normalizer.json", "added_tokens.json",
    "special_tokens_map.json",
)  # fmt: skip
KEPT_TOKENIZERS = 2  # a process rarely meets more than one; each holds some tens of MB
SILENCE_MADE_S = 0.1  # of frames behind the longest utterance: the last of them, 25 ms long, hears nothing

_tokenizers: dict[tuple[tuple[str, str], ...], WhisperTokenizer] = {}


def token_limit(duration_s: float) -> int:
    """The most tokens that an utterance of this length may be transcribed with."""
    return TOKENS_AT_LEAST + math.ceil(TOKENS_PER_SECOND * duration_s)


class WhisperFrontEnd:
    """Feature extractor, tokenizer and prompt of a Whisper folder.

    Args:
        folder: a complete Hugging Face folder (`resolve_weights` gives one).
        config: its `WhisperConfig`.
        generation: its `GenerationConfig`.
        language: of a multilingual model ("en", "es", ...); English-only models take none.
        like: another front end of the same folder, whose tokenizer and extractor are used.

    Raises:
        CheckpointError: the tokenizer or the extractor cannot be loaded.
        ConfigError: a language that the model does not know.
    """

    family = "whisper"

    def __init__(
        self, folder: Path, config: Any, generation: Any, language: str, like: WhisperFrontEnd | None = None
    ) -> None:
        self.tokenizer: Any
        self.extractor: WhisperFeatureExtractor
        if like is not None:
            self.tokenizer, self.extractor = like.tokenizer, like.extractor
        else:
            with loading(folder):
                self.tokenizer = tokenizer_of(folder)
                self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        self.folder, self.language = folder, language
        self.prompt = prompt_of_model(config, generation, language)
        self._most_new_tokens = config.max_target_positions - len(self.prompt)

    @property
    def kind_of_features(self) -> str:
        """What tells this model's features from another's."""
        made = self.extractor
        return f"log-mel {made.feature_size} {made.n_fft} {made.hop_length} {made.sampling_rate} {made.dither}"

    def features(self, waveforms: Sequence[np.ndarray], window_s: float, padding: Padding = "silence") -> torch.Tensor:
        """Log-mel features of waveforms padded to one window.

        Args:
            waveforms: float32, mono, 16 kHz, each (samples,); what is longer than the window is cut.
            window_s: seconds; a whole number of encoder frames (20 ms).
            padding: what follows the speech.

        Returns:
            (batch, mels, frames) float32, frames = 100 x window_s.
        """
        samples = round(window_s * SAMPLING_RATE_HZ)
        stop = samples
        if padding == "silence":  # behind some silence every frame is the same: the last one made stands for them
            spoken = max(len(waveform) for waveform in waveforms) + round(SILENCE_MADE_S * SAMPLING_RATE_HZ)
            stop = min(samples, -(-spoken // self.extractor.hop_length) * self.extractor.hop_length)
        batch = np.stack([pad(waveform, stop, padding) for waveform in waveforms])  # (batch, samples)
        made = self.extractor._torch_extract_fbank_features(batch)  # what its __call__ runs on the padded batch
        mel = torch.from_numpy(np.asarray(made))
        rest = (samples - stop) // self.extractor.hop_length
        return torch.cat([mel, mel[..., -1:].expand(-1, -1, rest)], dim=-1) if rest else mel

    def limits(self, durations_s: Sequence[float]) -> list[int]:
        """The most new tokens a row."""
        return [min(token_limit(duration), self._most_new_tokens) for duration in durations_s]

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Transcripts of token ids, prompt left out."""
        return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]


def tokenizer_of(folder: Path) -> WhisperTokenizer:
    """The tokenizer of a folder, not to be changed: folders with equal files share one, as loading takes half a second.

    Raises:
        OSError, ValueError: transformers cannot load it.
    """
    key = tuple((path.name, sha256(path.read_bytes())) for name in TOKENIZER_FILES if (path := folder / name).is_file())
    found = _tokenizers.pop(key, None)
    if found is None:
        found = WhisperTokenizer.from_pretrained(folder)
    _tokenizers[key] = found  # the last one used is the last one in order
    while len(_tokenizers) > KEPT_TOKENIZERS:
        _tokenizers.pop(next(iter(_tokenizers)), None)
    return found


def prompt_of_model(config: Any, generation: Any, language: str) -> list[int]:
    """<|startoftranscript|> [language, transcribe] <|notimestamps|>."""
    prompt = [config.decoder_start_token_id]
    languages = getattr(generation, "lang_to_id", None)
    if getattr(generation, "is_multilingual", bool(languages)) and languages:
        token = f"<|{language}|>"
        if token not in languages:
            raise ConfigError("this model does not know the language", field="language", value=language)
        prompt += [languages[token], generation.task_to_id["transcribe"]]
    elif language != "en":
        raise ConfigError("an English-only model takes no other language", field="language", value=language)
    return [*prompt, generation.no_timestamps_token_id]


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """Loading from a model folder: without transformers' bars, and what goes wrong is one CheckpointError."""
    try:
        with no_bars():
            yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        message = str(error).strip().splitlines()[0]
        raise CheckpointError(f"cannot be loaded as a Whisper model: {message}", file=folder) from None
    except Exception as error:  # safetensors raises its own type for a corrupt file
        if type(error).__name__ != "SafetensorError":
            raise
        raise CheckpointError(f"is corrupt: {error}", file=folder / "model.safetensors") from None


@contextmanager
def no_bars() -> Iterator[None]:
    """Without transformers' bars for what takes a moment."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
