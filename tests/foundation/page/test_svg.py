"""The axes of every chart: round marks that enclose or lie between two numbers, and well-formed pieces."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.foundation.page import svg
from speech_analogy.foundation.page.templating import template_environment

SPANS = st.floats(min_value=1e-3, max_value=1e6)


@pytest.mark.parametrize(
    ("span", "wanted", "step"), [(80, 5, 20), (1, 5, 0.2), (10, 4, 2.5), (0.9, 5, 0.2), (3, 5, 1), (7, 1, 10)]
)
def test_the_least_nice_step_that_covers_the_span(span: float, wanted: int, step: float) -> None:
    assert svg.nice_step(span, wanted) == pytest.approx(step)


@given(SPANS, SPANS, st.integers(2, 9))
def test_marks_enclose_or_lie_between(low: float, span: float, wanted: int) -> None:
    high, step = low + span, svg.nice_step(span, wanted)
    around, inside = svg.enclosing(low, high, step), svg.between(low, high, step)
    slack = 1e-6 * step + 1e-9 * high
    assert around[0] <= low + slack
    assert around[-1] >= high - slack
    assert len(around) <= wanted + 2
    assert all(low - slack <= mark <= high + slack for mark in inside)
    assert all(b - a == pytest.approx(step, rel=1e-3, abs=1e-9) for a, b in pairwise(around))


def test_a_figure_is_one_well_formed_picture_with_a_label() -> None:
    parts = [
        svg.left_axis([(0.0, "10"), (90.5, "<0>")]),
        svg.lower_axis([(0.0, "0"), (50.0, "1")], 118, inside=True),
        svg.upright("chosen", 25.0, 0, 100),
    ]
    picture = ElementTree.fromstring(str(svg.figure("curve", 126, 'a "curve" & more', parts)))
    assert picture.attrib == {
        "class": "curve", "role": "img", "width": "100%", "height": "126", "aria-label": 'a "curve" & more',
    }  # fmt: skip
    assert [text.text for text in picture.findall("text")] == ["10", "<0>", "0", "1"]
    assert [text.get("text-anchor") for text in picture.findall("text")] == ["end", "end", "start", "middle"]
    assert [(line.get("class"), line.get("y1"), line.get("y2")) for line in picture.findall("line")] == [
        ("grid", "0.00", "0.00"), ("grid", "90.50", "90.50"), ("chosen", "0", "100"),
    ]  # fmt: skip


@pytest.mark.parametrize("package", ["speech_analogy.report", "data_synth.report"])
def test_both_reports_can_include_the_base(package: str) -> None:
    css = template_environment(package).get_template("base.css").render()
    assert css.count("{") == css.count("}") > 40


@given(st.floats(0.001, 1e6), st.integers(1, 50))
def test_nice_steps_cover_their_span(span: float, wanted: int) -> None:
    step = svg.nice_step(span, wanted)
    assert step * wanted >= span * (1 - 1e-6)
    assert step * wanted <= 2.6 * span
    assert f"{step:e}".startswith(("1.000000", "2.000000", "2.500000", "5.000000"))
