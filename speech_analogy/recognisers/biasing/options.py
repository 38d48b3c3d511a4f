"""What a domain's text does to decoding: the method, its weights, and the texts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from speech_analogy.foundation.options import Options

BiasMethod = Literal["lm", "trie", "prompt"]
"""n-gram fusion; a bonus for the domain's rare words; the words as Whisper's own prompt."""
Spelling = Literal["written", "sentence", "both"]
"""Of the texts that are counted: as they are written; with a capital and a full stop; each in both ways."""

LONGEST_ORDER = 8
MOST_PROMPT_TOKENS = 223  # openai-whisper: half of the decoder's positions, less one


class TextBiasOptions(Options):
    """How text biases decoding: log p(y|x) + α log p_T(y) − β log p_S(y) + γ tokens, or + δ for each token of a word.

    Choose the weights on domains that are not the target, each with its own texts, as tests/benchmarks/biasing does.
    """

    method: BiasMethod = "lm"
    order: int = Field(default=4, ge=1, le=LONGEST_ORDER, description="of the n-gram of the texts")
    text_weight: float = Field(default=0.3, ge=0, description="α, of the n-gram of the texts")
    background_weight: float = Field(default=0.0, ge=0, description="β, of the n-gram that is subtracted")
    background_order: int = Field(default=2, ge=1, le=LONGEST_ORDER, description="of the n-gram that is subtracted")
    token_bonus: float = Field(default=0.0, description="γ, for every token that is written, the end left out")
    word_bonus: float = Field(default=1.0, ge=0, description="δ, for every token of a rare word, if it is finished")
    spelling: Spelling = Field(default="written", description="of what is counted: written, sentence or both")
    prompt_tokens: int = Field(default=60, ge=1, le=MOST_PROMPT_TOKENS, description="of the prompt, at most")
    candidates: int = Field(
        default=5, ge=1, description="hypotheses that are scored again, where a decoder lets nobody look at each step"
    )


class TextBias(Options):
    """Options and texts; or the folder that `bias` made of them."""

    options: TextBiasOptions = Field(default_factory=TextBiasOptions)
    texts: tuple[str, ...] = Field(default=(), description="of the domain")
    background: tuple[str, ...] = Field(default=(), description="of everything else, e.g. the source's")
    folder: Path | None = Field(default=None, description="in place of texts")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.folder is None and not self.texts:
            raise ValueError("text bias needs texts")
        if self.options.background_weight and not self.background and self.folder is None:
            raise ValueError("a background weight needs background texts: give them, or leave the weight out")
        return self
