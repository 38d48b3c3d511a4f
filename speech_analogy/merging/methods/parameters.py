"""Parameters of merge methods: name, type, bounds, meaning, the role one plays in the merger, and its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from speech_analogy.errors import ConfigError

Definitions = Literal["paper", "mergekit"]
"""Whose definition holds where a parameter is not given and the two differ (`MethodParameter.mergekit`)."""

KIND_IN_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a word"}


class Role(StrEnum):
    """What the merger does with a parameter. One without a role is for the method alone."""

    WEIGHT = "weight"
    """Of each input: what it is multiplied by. An input of weight 0 is checked and left out."""

    SCALE = "scale"
    """What the merged difference is multiplied by before it is added to the base."""

    GROWTH = "growth"
    """What is added to the scale at the deepest layer, and in proportion to the depth above it."""

    DENSITY = "density"
    """Of each input: the share of its entries that stay."""

    TRIM = "trim"
    """Whether a density is of each tensor, or of the whole vector (`global`): then the input's tensor comes with the
    magnitude from which its entries stay."""

    NORMALIZE = "normalize"
    """Whether the sum is divided by the sum of the weights."""

    SEED = "seed"
    """Of the random numbers: each input's tensor comes with a generator of its own."""


GLOBAL = "global"
"""The value of a `Role.TRIM` parameter under which a density is of the whole vector."""


@dataclass(frozen=True)
class MethodParameter:
    """A parameter of a merge method.

    Args:
        meaning: what it does, in a few words, for `merge --methods`.
        default: the value if none is given (the paper's choice); None: it must be given.
        mergekit: the default under `definitions: mergekit`, where it differs.
        per_model: it belongs to each input, not to the merge.
        low, high: inclusive bounds of a number.
        choices: the values that a string may have.
        role: what the merger does with it; None: nothing.
        synonyms: other values and what they stand for, such as mergekit's booleans, by whose definitions hold.
    """

    name: str
    kind: type
    meaning: str
    default: Any = None
    mergekit: Any = None
    per_model: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    role: Role | None = None
    synonyms: Mapping[Definitions, Mapping[Any, str]] = field(default_factory=dict)

    def default_for(self, definitions: Definitions) -> Any:
        """The value if none is given."""
        return self.mergekit if definitions == "mergekit" and self.mergekit is not None else self.default

    def checked(self, value: Any, where: str, definitions: Definitions = "paper") -> Any:
        """The value in its own type.

        Raises:
            ConfigError: another type, out of bounds, not one of the choices.
        """
        for synonym, stands_for in self.synonyms.get(definitions, {}).items():
            if value is synonym:
                value = stands_for
        place = f"{where}.{self.name}"
        try:
            if isinstance(value, bool) != (self.kind is bool) or (self.kind is str and not isinstance(value, str)):
                raise ValueError
            typed = self.kind(value)
        except (TypeError, ValueError, OverflowError):
            raise ConfigError(f"must be {KIND_IN_WORDS[self.kind]}", field=place, value=value) from None
        if self.choices and typed not in self.choices:
            raise ConfigError(f"must be one of {', '.join(self.choices)}", field=place, value=typed)
        below = self.low is not None and not typed >= self.low
        above = self.high is not None and not typed <= self.high
        if below or above or typed != typed:
            raise ConfigError(f"must be {self.range()}", field=place, value=typed)
        return typed

    def range(self) -> str:
        """The values it may have, e.g. `a number from 0 to 1`, `global or tensor`."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        words = KIND_IN_WORDS[self.kind]
        if self.low is not None and self.high is not None:
            return f"{words} from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"{words} of at least {self.low:g}"
        return words if self.high is None else f"{words} of at most {self.high:g}"

    def defaults(self) -> str:
        """The values if none is given, e.g. `default global (mergekit: tensor)`."""
        if self.default is None:
            return "required"
        theirs = "" if self.mergekit in (None, self.default) else f" (mergekit: {_written(self.mergekit)})"
        return f"default {_written(self.default)}{theirs}"


def _written(value: Any) -> str:
    """As a merge file has it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
