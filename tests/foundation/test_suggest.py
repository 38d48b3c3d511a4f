"""Advice for a wrong name: the nearest one, else all."""

from __future__ import annotations

import pytest

from speech_analogy.foundation import suggest


@pytest.mark.parametrize(
    ("name", "known", "advice"),
    [
        ("flit", ["bark", "flite"], "did you mean 'flite'?"),
        ("x", ["bark", "flite"], "use one of bark, flite"),
        ("x", [], "there is none"),
        ("zzz", [f"name{i}" for i in range(45)], "and 5 more"),
    ],
)
def test_advice_for_an_unknown_name(name: str, known: list[str], advice: str) -> None:
    assert advice in suggest.nearest(name, known)
