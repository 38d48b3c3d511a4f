"""Parameters of merge methods: names, types, bounds, and what holds where nothing is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from speech_analogy.errors import ConfigError

Definitions = Literal["paper", "mergekit"]
"""Whose definition holds where a parameter is not given and the two differ (`Parameter.mergekit`)."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a method.

    Args:
        default: what holds if it is not given (the paper's choice); None: it must be given.
        mergekit: what holds instead under `definitions: mergekit`.
        per_model: it belongs to each input, not to the merge.
        low, high: inclusive bounds of a number.
        choices: the values a string may have.
    """

    name: str
    kind: type
    default: Any = None
    mergekit: Any = None
    per_model: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def default_for(self, definitions: Definitions) -> Any:
        """The value that holds if none is given."""
        return self.mergekit if definitions == "mergekit" and self.mergekit is not None else self.default

    def checked(self, value: Any, where: str) -> Any:
        """The value in its own type.

        Raises:
            ConfigError: another type, out of bounds, none of the choices.
        """
        try:
            if self.kind is bool and not isinstance(value, bool):
                raise ValueError
            if self.kind in (int, float) and isinstance(value, bool):
                raise ValueError
            if self.kind is str and not isinstance(value, str):
                raise ValueError
            typed = self.kind(value)
        except (TypeError, ValueError):
            raise ConfigError(
                f"the parameter must be a {self.kind.__name__}", field=f"{where}.{self.name}", value=value
            ) from None
        if self.choices and typed not in self.choices:
            raise ConfigError(f"must be one of {', '.join(self.choices)}", field=f"{where}.{self.name}", value=typed)
        below = self.low is not None and not typed >= self.low
        above = self.high is not None and not typed <= self.high
        if below or above or (self.kind is float and typed != typed):
            raise ConfigError(f"must lie between {self.low} and {self.high}", field=f"{where}.{self.name}", value=typed)
        return typed

    def described(self) -> str:
        """Name and defaults, e.g. `density* (1.0)`; `*`: it belongs to each input."""
        values = "must be given" if self.default is None else f"{self.default}"
        if self.mergekit is not None and self.mergekit != self.default:
            values += f" / {self.mergekit}"
        return f"{self.name}{'*' if self.per_model else ''} ({values})"
