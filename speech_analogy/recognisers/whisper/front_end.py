"""What every Whisper needs around its weights, whoever computes them: features in, prompt, texts out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor, WhisperTokenizer

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.foundation.digests import sha256
from speech_analogy.recognisers.biasing.building import TextKnowledge, Writing, knowledge_of, prompt_tokens, step_scores
from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.biasing.scoring import StepScores
from speech_analogy.recognisers.hugging_face import loading
from speech_analogy.recognisers.log_mel import log_mel, spoken_log_mel
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.windows import Padding

# Tokens capped by duration: fast English speech is about 5 words, 6 tokens a second; loops are longer.
TOKENS_PER_SECOND = 8.0
TOKENS_AT_LEAST = 10
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "normalizer.json", "added_tokens.json",
    "special_tokens_map.json",
)  # fmt: skip
KEPT_TOKENIZERS = 2  # a process rarely meets more than one; each holds some tens of MB

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

    model_type = "whisper"

    def __init__(
        self, folder: Path, config: Any, generation: Any, language: str, like: WhisperFrontEnd | None = None
    ) -> None:
        self.tokenizer: Any
        self.extractor: WhisperFeatureExtractor
        if like is not None:
            self.tokenizer, self.extractor = like.tokenizer, like.extractor
        else:
            require_tokenizer(folder)
            with loading(folder, "a Whisper model"):
                self.tokenizer = tokenizer_of(folder)
                self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        require_generation(folder, generation)
        self.folder, self.language = folder, language
        self.prompt = prompt_of_model(config, generation, language)
        self.no_speech_token = int(generation.no_timestamps_token_id) - 1  # in every vocabulary of Whisper's
        self._most_new_tokens = config.max_target_positions - len(self.prompt)
        self._scored = int(config.vocab_size)
        self.step_scores: StepScores | None = None
        """What text adds to each step of decoding."""
        self.preceding: list[int] = []
        """What the prompt says was said before, <|startofprev|> first."""

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
        return log_mel(self.extractor, waveforms, window_s, padding)

    def voice(self, waveform: np.ndarray, duration_s: float) -> torch.Tensor:
        """See `spoken_log_mel`; with as many mels as the model has."""
        return spoken_log_mel(waveform, duration_s, self.extractor)

    def limits(self, durations_s: Sequence[float]) -> list[int]:
        """The most new tokens a row."""
        return [min(token_limit(duration), self._most_new_tokens) for duration in durations_s]

    def bias_by(self, bias: TextBias) -> None:
        """Let a domain's text bias what is decoded from now on, in place of an earlier one."""
        writing, known = self._writing, self.text_knowledge(bias)
        self.step_scores = step_scores(known, writing)
        tokens = prompt_tokens(known, writing)
        before = self.no_speech_token - 1  # <|startofprev|>, in every vocabulary of Whisper's
        self._most_new_tokens += len(self.preceding)
        self.preceding = [before, *tokens] if tokens else []
        self._most_new_tokens -= len(self.preceding)

    def text_knowledge(self, bias: TextBias) -> TextKnowledge:
        """What its tokens say of a domain's texts."""
        return knowledge_of(bias, self._writing)

    @property
    def _writing(self) -> Writing:
        return Writing(self.written_tokens, self._pieces, self._scored, int(self.tokenizer.eos_token_id))

    def written_tokens(self, text: str) -> list[int]:
        """A text as Whisper writes it: one space before the first word."""
        tokens: list[int] = self.tokenizer(" " + text.strip(), add_special_tokens=False).input_ids
        return tokens

    def _pieces(self) -> list[str]:
        count = min(self._scored, len(self.tokenizer))
        pieces: list[str] = self.tokenizer.convert_ids_to_tokens(list(range(count)))
        return pieces

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Transcripts of token ids, prompt left out."""
        return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]


def require_tokenizer(folder: Path) -> None:
    """Refuse a folder without its tokenizer, which transformers would replace by an empty one.

    Raises:
        CheckpointError: the file that is missing, and whose to copy.
    """
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        base = provenance(folder).get("base", "the model it was tuned from")
        do = f"copy the tokenizer's files ({', '.join(TOKENIZER_FILES)}) from {base}"
        raise CheckpointError("the tokenizer is missing", file=folder / "tokenizer.json", do=do)


def require_generation(folder: Path, generation: Any) -> None:
    """Refuse a model that does not say which token means no time stamps, without which no prompt can be made.

    Raises:
        CheckpointError: generation_config.json is missing, or of a time before it said so.
    """
    if getattr(generation, "no_timestamps_token_id", None) is None:
        raise CheckpointError(
            "must be there, and hold no_timestamps_token_id",
            file=folder / "generation_config.json",
            do=f"copy it from {provenance(folder).get('base', 'the model it was tuned from')}",
        )


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
            raise ConfigError("the model does not support this language", field="language", value=language)
        prompt += [languages[token], generation.task_to_id["transcribe"]]
    elif language != "en":
        raise ConfigError("an English-only model supports no other language", field="language", value=language)
    return [*prompt, generation.no_timestamps_token_id]
