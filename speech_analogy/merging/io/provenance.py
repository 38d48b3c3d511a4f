"""Where a vector or a merged model comes from: typed, and carried in the header of every file we write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.hash_sets import packed, unpacked
from speech_analogy.foundation.options import config_error
from speech_analogy.merging.naming import known_as

CARRIED = ("window", "language")
"""Keys of a tuned folder's `provenance.json` that also hold for models made from it, if all parents agree."""

SEEN = "seen"
"""The key under which a record has, by kind, the short hashes of what was trained on: those of all parents hold."""

GAP, MEAN_OF_GAPS = "gap", "mean of gaps"
"""The operations that gap vectors, τ_B − τ_A, name."""


Name = Annotated[str, AfterValidator(known_as)]
"""What a record calls a file: a path that is given, or that an older file holds, is left out."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parent(_Record):
    """One of the vectors a vector was made of."""

    weight: float = 1.0
    name: Name = ""
    base_fingerprint: str = ""
    provenance: Provenance = Field(default_factory=lambda: Provenance())


class Provenance(_Record):
    """What is recorded about a task vector."""

    tuned_on: str | dict[str, Any] = Field(default="", description="the data, in words or as counts and digests")
    hyper_parameters: dict[str, Any] = Field(default_factory=dict)
    licence: str = ""
    creator: str = ""
    created: str = Field(default="", description="ISO 8601, UTC")
    metrics: dict[str, float] = Field(default_factory=dict)
    operation: str = Field(default="", description="how it was made from its parents, e.g. 'add', 'ties'")
    parents: list[Parent] = Field(default_factory=list)
    settings: dict[str, Any] = Field(
        default_factory=dict, description="what a user of the tuned model must know (`CARRIED`)"
    )
    compression: dict[str, Any] = Field(default_factory=dict, description="method, and what was lost by it")


class BaseModelIdentity(_Record):
    """The base a vector was taken from."""

    name: Name
    fingerprint: str


def make_provenance(**fields: Any) -> Provenance:
    """A Provenance with `created` set to now where it is not given.

    Raises:
        ConfigError: an unknown field (with the nearest valid one) or a value of the wrong type.
    """
    try:
        return Provenance(**({"created": now()} | fields))
    except ValidationError as error:
        raise config_error(error, Provenance) from None


def parse_provenance(text: str, file: str) -> Provenance:
    """The provenance in a file's header."""
    try:
        return Provenance.model_validate_json(text)
    except ValidationError as error:
        raise CheckpointError(
            f"the header's provenance must be readable: {error.errors()[0]['msg']}",
            file=file,
            field="provenance",
        ) from None


def carried(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The `CARRIED` keys on which all records agree that have them, and what any was trained on."""
    found: dict[str, Any] = {}
    for key in CARRIED:
        values = [record[key] for record in records if key in record]
        if values and all(value == values[0] for value in values):
            found[key] = values[0]
    return found | seen_by(records)


def seen_by(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What any of the models or vectors was trained on, under SEEN; nothing where none says."""
    known = [record[SEEN] for record in records if isinstance(record.get(SEEN), Mapping)]
    kinds = dict.fromkeys(kind for one in known for kind in one)
    together = {kind: packed(set().union(*(unpacked(str(one.get(kind, ""))) for one in known))) for kind in kinds}
    return {SEEN: together} if together else {}


def without_seen(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as it is kept of a parent: what the child carries itself is not kept twice."""
    return {key: value for key, value in record.items() if key != SEEN}


def now() -> str:
    """The time of day in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
