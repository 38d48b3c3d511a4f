"""The base of this package's options: frozen, every key known, mistakes told in one line."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.digests import derive

Range: TypeAlias = float | tuple[float, float]
"""One value, or the lowest and the highest of what is drawn anew for every clip."""
DRAWN_DIGITS = 4  # decimals of a drawn value


class Options(BaseModel):
    """Options that cannot be changed and refuse unknown keys; `parse` turns mistakes into ConfigError."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    later: ClassVar[tuple[str, ...]] = ()
    """Options that came after runs had been made: at their defaults they are left out of dumps, which enter the
    names of stages and the keys of clips, so that what was made before them keeps both."""

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        for name in self.later:
            if getattr(self, name) == type(self).model_fields[name].get_default(call_default_factory=True):
                values.pop(name, None)
        return values

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """The options in `values`, e.g. from a recipe or a command line.

        Raises:
            ConfigError: a key is unknown (the nearest valid one is named) or a value breaks its rule.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or cls.__name__
            if first["type"] != "extra_forbidden":
                message = first["msg"].removeprefix("Value error, ")
                value = first["input"] if first["loc"] else None  # a rule between fields names its values itself
                if first["type"] == "literal_error" and (near_value := nearest_of(first)):
                    raise ConfigError("there is no such value", field=field, value=value, do=near_value) from None
                raise ConfigError(message, field=field, value=value) from None
            near = difflib.get_close_matches(str(first["loc"][-1]), cls.model_fields, n=1, cutoff=0.4)
            do = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(cls.model_fields)}"
            raise ConfigError("there is no such option", field=field, do=do) from None


def nearest_of(error: Mapping[str, Any]) -> str | None:
    """What to do about a value that is none of a list's: the nearest one; None if none is near.

    Args:
        error: pydantic's, of the type literal_error.
    """
    known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    near = difflib.get_close_matches(str(error["input"]), known, n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else None


def within(lowest: float, highest: float) -> AfterValidator:
    """A `Range` between two bounds, its lower end first."""

    def check(value: Range) -> Range:
        low, high = ends(value)
        if not lowest <= low <= high <= highest:
            raise ValueError(f"must be a number, or a range low <= high, from {lowest:g} to {highest:g}")
        return value

    return AfterValidator(check)


def ends(value: Range) -> tuple[float, float]:
    """Lowest and highest."""
    return value if isinstance(value, tuple) else (value, value)


def draw(value: Range, *seeds: str | int) -> float:
    """The value itself, or one of its range: uniform, the same for the same seeds."""
    if not isinstance(value, tuple):
        return value
    low, high = value
    return round(low + random.Random(derive(*seeds)).random() * (high - low), DRAWN_DIGITS)


def in_words(value: Range) -> str:
    """`8`, or `5 to 15`."""
    low, high = ends(value)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
