"""What a recipe says of other decoders: in which ones the published model is tried, and on how many utterances."""

from __future__ import annotations

from pydantic import Field

from speech_analogy.foundation.options import Options


class OtherDecodersOptions(Options):
    """The published model in decoders that people use, beside ours on the same test utterances."""

    decoders: tuple[str, ...] = Field(
        default=("transformers pipeline",), min_length=1, description="names of `export.other_decoders.DECODERS`"
    )
    utterances: int = Field(default=40, ge=1, description="of the test, a seeded choice; each fills a 30 s window")
