"""The base of this package's options: frozen, every key known, mistakes told in one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from speech_analogy.errors import ConfigError


class Options(BaseModel):
    """Options that cannot be changed and refuse unknown keys; `parse` turns mistakes into ConfigError."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
                raise ConfigError(message, field=field, value=value) from None
            near = difflib.get_close_matches(str(first["loc"][-1]), cls.model_fields, n=1, cutoff=0.4)
            do = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(cls.model_fields)}"
            raise ConfigError("there is no such option", field=field, do=do) from None
