"""Mistakes in options as one line; options that came later stay out of dumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.options import Options, config_error


class Inner(Options):
    rate: float = Field(default=1.0, gt=0)
    storage: Literal["flac", "opus"] = "flac"
    bits: Literal[16, 24] = 16


class Outer(Options):
    later = ("note",)

    inner: Inner = Inner()
    maybe: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = Field(default_factory=dict)
    note: str = ""
    title: str


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"titel": "x", "title": "x"}, "f.yaml: titel: there is no such key; did you mean 'title'?"),
        ({"title": "x", "inner": {"rat": 1}}, "f.yaml: inner.rat: there is no such key; did you mean 'rate'?"),
        ({"title": "x", "maybe": {"rat": 1}}, "f.yaml: maybe.rat: there is no such key; did you mean 'rate'?"),
        ({"title": "x", "many": [{"rat": 1}]}, "f.yaml: many.0.rat: there is no such key; did you mean 'rate'?"),
        ({"title": "x", "named": {"a": {"rat": 1}}}, "f.yaml: named.a.rat: there is no such key; did you mean 'rate'?"),
        ({}, "f.yaml: title: Field required"),
        ({"title": "x", "inner": {"rate": 0}}, "f.yaml: inner.rate: Input should be greater than 0 (found 0)"),
        (
            {"title": "x", "inner": {"storage": "flak"}},
            "f.yaml: inner.storage: there is no such value (found 'flak'); did you mean 'flac'?",
        ),
        ({"title": "x", "inner": {"bits": 8}}, "f.yaml: inner.bits: there is no such value (found 8); use 16 or 24"),
        ({"title": "x", "inner": 3}, "(found 3)"),
        ({"title": "x", "inner": {"rate": float("inf")}}, "inner.rate: Input should be a finite number (found inf)"),
        ({"title": "x", "inner": {"rate": float("nan")}}, "inner.rate: Input should be a finite number (found nan)"),
    ],
)
def test_a_mistake_in_options_is_one_line(values: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    found = str(config_error(caught.value, Outer, Path("f.yaml")))
    assert line in found
    assert "\n" not in found


def test_options_that_came_later_stay_out_of_dumps_at_their_defaults() -> None:
    assert "note" not in Outer(title="x").model_dump()
    assert Outer(title="x", note="y").model_dump()["note"] == "y"
    assert Outer.parse({"title": "x"}) == Outer(title="x")
    with pytest.raises(ConfigError, match="title"):
        Outer.parse({})
