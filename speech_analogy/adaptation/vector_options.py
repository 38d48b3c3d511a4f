"""A ready-made gap vector in a recipe: which one, and how much of it is added."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from speech_analogy.foundation.options import Options

GAP_SCALE = 0.5  # λ of a gap that other speech has taught; tests/benchmarks/gaps/RESULTS.md


class GivenVector(Options):
    """A ready-made τ_B − τ_A; as a string or a list, the files alone."""

    later: ClassVar = ()

    path: tuple[str, ...] = Field(
        min_length=1,
        description="files, relative to the recipe's folder, or names that `vector gaps` lists; several: their mean",
    )
    scale: float = Field(default=GAP_SCALE, description="λ; it is not chosen, since there is nothing to choose it on")

    @model_validator(mode="before")
    @classmethod
    def _from_a_string(cls, value: Any) -> Any:
        if isinstance(value, str | list | tuple):
            value = {"path": value}
        if isinstance(value, dict) and isinstance(value.get("path"), str):
            value = {**value, "path": [value["path"]]}
        return value
