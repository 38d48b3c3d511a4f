"""What every stage's parameters have in common: outputs by name, the outputs they use, the JSON that is hashed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, SerializerFunctionWrapHandler, model_serializer

from speech_analogy.systems.catalogue import BASE

CUTS_FILE, TEXTS_FILE = "cuts.jsonl.gz", "target_texts.jsonl"
MODEL_FOLDER = "model"
SCORE_FILE, HYPOTHESES_FILE = "score.json", "hypotheses.jsonl"
DECODERS_FILE = "decoders.json"
CHOICE_FILE, CURVE_FILE = "choice.json", "curve.json"
CLUSTERS_FILE, WEIGHTS_FILE = "clusters.json", "weights.json"


@dataclass(frozen=True)
class Output:
    """A file or folder that a stage makes; to use it is to depend on the stage."""

    stage: str
    file: str


Located = Annotated[Output, PlainSerializer(lambda output: [output.stage, output.file], return_type=list[str])]
"""An output whose record is `[stage, file]`."""
Made = Annotated[Output, PlainSerializer(lambda output: output.stage, return_type=str)]
"""An output whose record is its stage: what it is says which file."""
Corner = Annotated[
    Output | None, PlainSerializer(lambda output: BASE if output is None else output.stage, return_type=str)
]
"""A model among those that are combined: an output, or None for the base."""
Labelled = Annotated[
    tuple[tuple[Output, str], ...],
    PlainSerializer(lambda pairs: {output.stage: label for output, label in pairs}, return_type=dict[str, str]),
]
"""Outputs, each with a label; recorded as stage -> label."""


class StageParams(BaseModel):
    """The parameters of one kind of stage.

    Class attributes:
        kind: the kind's name; enters the hash.
        version: of the code that does it; enters the hash: raise it when what comes out changes.
        outputs: name -> file or folder in the stage's folder.
        optional: fields that are left out of the record where they are None, which keeps names of older stages.
        uses_a_model: whether its cost grows with the size of the base.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    kind: ClassVar[str]
    version: ClassVar[int]
    outputs: ClassVar[dict[str, str]] = {}
    optional: ClassVar[tuple[str, ...]] = ()
    uses_a_model: ClassVar[bool] = True

    @model_serializer(mode="wrap")
    def _without_the_optional(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        return {name: value for name, value in values.items() if value is not None or name not in self.optional}

    def record(self) -> dict[str, Any]:
        """As JSON: what the stage's hash is taken of."""
        return self.model_dump(mode="json")

    def used(self) -> tuple[Output, ...]:
        """The outputs of other stages that it reads, in the order of its fields."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(output for value in values for output in _outputs_in(value))

    def identity(self, file: str) -> str | None:
        """What stands for this stage in the hash of a stage that reads `file`; None: its own hash."""
        return None


def _outputs_in(value: Any) -> Iterator[Output]:
    if isinstance(value, Output):
        yield value
    elif isinstance(value, dict):
        yield from _outputs_in(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _outputs_in(one)


@dataclass(frozen=True)
class Elsewhere:
    """A finished stage of another plan: it is read, but it enters no hash by itself."""

    folder: Path
