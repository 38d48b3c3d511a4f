"""The figures' geometry: closed forms."""

from __future__ import annotations

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_analogy.report.figures import CURVE_PX, CurvePoint, WerBar, bars, curve, ticks

RATES = st.floats(min_value=0.5, max_value=400, allow_nan=False)


def percent(value: str | None) -> float:
    assert value is not None
    assert value.endswith("%")
    return float(value[:-1])


def drawn(rows: list[WerBar]) -> ElementTree.Element:
    return ElementTree.fromstring(str(bars(rows)))


@given(st.lists(st.tuples(RATES, RATES, RATES).map(sorted), min_size=1, max_size=9))
def test_bars_are_proportional_to_wer_and_whiskers_span_the_interval(rows: list[list[float]]) -> None:
    svg = drawn([WerBar(f"s{i}", value, low, high) for i, (low, value, high) in enumerate(rows)])
    limit = max(high for _, _, high in rows)
    groups = svg.findall("g[@class='bar plain']")
    assert len(groups) == len(rows)
    for group, (low, value, high) in zip(groups, rows, strict=True):
        assert percent(group.find("rect").get("width")) == pytest.approx(100 * value / limit, abs=1e-3)  # type: ignore[union-attr]
        (line, left, right) = group.findall("g[@class='whisker']/line")
        assert percent(line.get("x1")) == percent(left.get("x1")) == pytest.approx(100 * low / limit, abs=1e-3)
        assert percent(line.get("x2")) == percent(right.get("x1")) == pytest.approx(100 * high / limit, abs=1e-3)


def test_bars_of_a_hand_made_case() -> None:
    svg = drawn([WerBar("C", 50, 40, 60), WerBar("D", 25, 20, 80, "accent")])
    assert [rect.get("width") for rect in svg.iter("rect")] == ["62.500%", "31.250%"]  # of 80
    assert [text.text for text in svg.findall("text")] == ["0", "20", "40", "60", "80"]
    assert svg.get("aria-label") == (
        "Word error rate in percent with 95 % confidence interval. C: 50.0 (40.0–60.0); D: 25.0 (20.0–80.0)"
    )


def test_nothing_to_draw_and_only_zeros() -> None:
    assert str(bars([])) == str(curve([], "WER")) == ""
    assert [rect.get("width") for rect in drawn([WerBar("C", 0, 0, 0)]).iter("rect")] == ["0.000%"]


def test_labels_are_escaped() -> None:
    (label,) = drawn([WerBar("<script>&", 1, 1, 1)]).findall("g/text[@class='label']")
    assert label.text == "<script>&"


def test_long_labels_are_cut_in_the_figure_and_whole_for_readers_who_listen() -> None:
    name = "a control that somebody added later, λ = 0.75"
    svg = drawn([WerBar(name, 1, 1, 1)])
    (label,) = svg.findall("g/text[@class='label']")
    assert label.text == "a control that somebody add…"
    assert svg.findtext("g/title") == name
    assert name in (svg.get("aria-label") or "")


@given(RATES, RATES)
def test_ticks_enclose_the_values_in_equal_round_steps(one: float, other: float) -> None:
    low, high = sorted((one, other))
    marks = ticks(low, high)
    assert marks[0] <= low + 1e-6
    assert marks[-1] >= high - 1e-6
    assert 2 <= len(marks) <= 7
    steps = [b - a for a, b in pairwise(marks)]
    assert max(steps) == pytest.approx(min(steps))
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0] * (1 + 1e-9)))
    assert any(mantissa == pytest.approx(nice) for nice in (1, 2, 2.5, 5))


def test_curve_of_a_hand_made_case() -> None:
    points = [CurvePoint(0, 40, 30, 50), CurvePoint(0.5, 30, 20, 40), CurvePoint(1, 35, 25, 45)]
    svg = ElementTree.fromstring(str(curve(points, "WER", chosen=0.5)))
    line, band = svg.find("svg/polyline"), svg.find("svg/polygon")
    assert line is not None
    assert band is not None
    # the axis runs from 20 to 50, so 40 lies a third from the top of the box of 100 × 100
    assert line.get("points") == "0.000,33.333 50.000,66.667 100.000,50.000"
    assert band.get("points") == ("0.000,0.000 50.000,33.333 100.000,16.667 100.000,83.333 50.000,100.000 0.000,66.667")
    assert [dot.get("class") for dot in svg.findall("circle")] == ["dot", "dot picked", "dot"]
    assert [float(dot.get("cy") or 0) for dot in svg.findall("circle")] == pytest.approx(
        [CURVE_PX / 3, 2 * CURVE_PX / 3, CURVE_PX / 2], abs=0.01
    )
    (chosen,) = svg.findall("line[@class='chosen']")
    assert chosen.get("x1") == "50.000%"


def test_curves_that_share_a_span_put_equal_scales_above_each_other() -> None:
    long = curve([CurvePoint(0, 3), CurvePoint(0.5, 2), CurvePoint(2, 1)], "WER")
    short = curve([CurvePoint(0.5, 30)], "WER", span=(0, 2))
    assert 'cx="25.000%"' in long
    assert 'cx="25.000%"' in short


def test_one_point_stands_in_the_middle() -> None:
    assert 'cx="50.000%"' in curve([CurvePoint(1, 30)], "WER", chosen=1)


def test_many_scales_do_not_crowd_the_axis() -> None:
    svg = ElementTree.fromstring(str(curve([CurvePoint(i / 20, 30 + i) for i in range(41)], "WER")))
    below = [text for text in svg.findall("text") if text.get("text-anchor") == "middle"]
    assert len(below) <= 9
    assert len(svg.findall("circle")) == 41
