"""The base of this package's options: frozen, every key known, mistakes named in one line."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.suggest import nearest

Range: TypeAlias = float | tuple[float, float]
"""One value, or the lowest and the highest of what is drawn anew for every clip."""
LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
DRAWN_DIGITS = 4  # decimals of a drawn value


def language_code(value: str) -> str:
    """The code of a language itself. A name, `english`, would be taken for a language that nothing is known of.

    Raises:
        ValueError: it is none.
    """
    if LANGUAGE.fullmatch(value) is None:
        raise ValueError("must be the code of a language, such as en, de or pt-BR")
    return value


LanguageCode = Annotated[str, AfterValidator(language_code)]
"""Of ISO 639, with a region or a script behind it where that matters."""


Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""Of a generator: what torch's take."""


class Options(BaseModel):
    """Options that cannot be changed and refuse unknown keys; `parse` turns mistakes into ConfigError."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    later: ClassVar[tuple[str, ...]] = ()
    """Options that came after runs had been made: at their defaults they are left out of dumps, which enter the
    names of stages and the keys of clips, so that what was made before them keeps both."""

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        left_out = self.left_out()
        return {name: value for name, value in values.items() if name not in left_out}

    def left_out(self) -> set[str]:
        """The keys that dumps do not have."""
        fields = type(self).model_fields
        return {
            name for name in self.later if getattr(self, name) == fields[name].get_default(call_default_factory=True)
        }

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """The options in `values`, e.g. from a recipe or a command line.

        Raises:
            ConfigError: a key is unknown (the nearest valid one is named) or a value breaks its rule.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise config_error(error, cls) from None


def config_error(error: ValidationError, model: type[BaseModel], file: Path | None = None) -> ConfigError:
    """The first mistake that pydantic found, as one line: the key, the rule, the value, the nearest valid name.

    Args:
        error: of validating `model`.
        file: that holds the values, if they come from one.
    """
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"] if not str(part).startswith("literal[")]  # a branch of a union
    field = ".".join(loc) or (None if file else model.__name__)
    if first["type"] == "extra_forbidden":
        do = nearest(loc[-1], valid_keys(model, loc[:-1]))
        return ConfigError("there is no such key", file=file, field=field, do=do)
    # A rule between keys names its values itself, a missing key has none, and whole sections are not repeated.
    value = None if not loc or first["type"] == "missing" else first["input"]
    value = None if isinstance(value, dict | list) else value
    if first["type"] == "literal_error":
        expected = first["ctx"]["expected"]
        known = re.findall(r"'([^']*)'", expected)
        do = nearest(str(value), known) if known else f"use {expected}"  # numbers have no quotes around them
        return ConfigError("there is no such value", file=file, field=field, value=value, do=do)
    return ConfigError(first["msg"].removeprefix("Value error, "), file=file, field=field, value=value)


def valid_keys(model: type[BaseModel], loc: Sequence[str]) -> list[str]:
    """The keys that a section of a model may have; `loc` leads to it."""
    current: Any = model
    for part in loc:
        found = current.model_fields.get(part)
        if found is None:
            continue
        choices = [found.annotation, *get_args(found.annotation)]
        nested = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]
        if nested:
            current = nested[0]
    return list(current.model_fields)


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
