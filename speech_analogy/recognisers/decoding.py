"""How speech is decoded: one object in place of many keywords."""

from __future__ import annotations

from pydantic import Field

from speech_analogy.foundation.options import LanguageCode, Options
from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.devices import AUTO
from speech_analogy.recognisers.protocol import Backend, Compute
from speech_analogy.recognisers.windows import Window

MOST_BEAMS = 100


class DecodingOptions(Options):
    """How speech is decoded; the defaults decode greedily with torch, in the window that the model was tuned in."""

    window: Window | None = Field(
        default=None, description="of the encoder; None: the one that the checkpoint was tuned in"
    )
    beams: int = Field(default=1, ge=1, le=MOST_BEAMS, description="1 is greedy")
    backend: Backend = Field(
        default="torch", description="what decodes: torch, ctranslate2, or auto; see `choose_backend`"
    )
    compute: Compute = Field(
        default="int8",
        description="CTranslate2: int8 or float32; torch: bf16 in the encoder, or else float32",
    )
    fallback: bool = Field(
        default=True,
        description="a transcript that repeats itself is cut, or decoded again without repeats, and silence gives no "
        "words; off: whatever one pass writes",
    )
    language: LanguageCode = Field(default="en", description="of the speech, for a model that is not loaded yet")
    device: str = Field(
        default=AUTO,
        description="of a model that is not loaded yet: auto (a GPU if torch sees one and the backend is not "
        "CTranslate2), cpu, cuda or cuda:1",
    )
    text_bias: TextBias | None = Field(default=None, description="the domain's texts, and what they do")


DEFAULT_DECODING = DecodingOptions()
