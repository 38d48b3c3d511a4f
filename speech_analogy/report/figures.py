"""Inline SVG from numbers, by pure functions: WER bars with interval whiskers, and a curve over λ.

Horizontal positions are percentages of the figure's width, so that a figure fits a phone and a desktop with
letters of the same size; colours come from the page's style sheet through class names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from speech_analogy.foundation.page import wording

ROW_PX, BAR_TOP_PX, BAR_PX, LABEL_PX, AXIS_PX = 48, 22, 14, 15, 26
CAP_PX = 4  # half the height of a whisker's end
CURVE_PX = 220
LABEL_LETTERS = 28  # more would run into the numbers on a phone
TICKS_WANTED = 5
SPAN_LEAST = 1.0  # points of WER; a flatter curve is drawn flat
LABELS_MOST = 9  # λ labels that fit side by side on a phone
_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Bar:
    """One system: its WER and the ends of its interval, in percent; `style` is a class of the style sheet."""

    label: str
    value: float
    low: float
    high: float
    style: str = "plain"


@dataclass(frozen=True)
class Point:
    """One λ of a curve; `low` and `high` are the ends of the interval where there is one."""

    scale: float
    value: float
    low: float | None = None
    high: float | None = None


def ticks(low: float, high: float, wanted: int = TICKS_WANTED) -> list[float]:
    """At most `wanted` + 2 round values that enclose [low, high], in steps of 1, 2, 2.5 or 5 × 10ⁿ."""
    span = max(high - low, SPAN_LEAST)
    power = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(nice * power for nice in _NICE_STEPS if nice * power * wanted >= span * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def share(value: float, low: float, high: float) -> float:
    """Where `value` lies between `low` and `high`, in percent."""
    return 100.0 * (value - low) / (high - low)


def bars(rows: Sequence[Bar]) -> Markup:
    """Horizontal bars on one axis from zero: a bar is value / axis end of the figure's width."""
    if not rows:
        return Markup("")
    limit = max(max(row.value, row.high) for row in rows) or 1.0  # nothing but zeros still has an axis
    marks = [mark for mark in ticks(0.0, limit) if mark <= limit]
    height = ROW_PX * len(rows) + AXIS_PX
    parts = [_bar_axis(marks, limit, height)]
    parts += [_bar(row, index * ROW_PX, limit, marks) for index, row in enumerate(rows)]
    told = "; ".join(
        f"{row.label}: {wording.rate(row.value)} ({wording.interval((row.low, row.high))})" for row in rows
    )
    return Markup('<svg class="bars" role="img" width="100%" height="{}" aria-label="{}">{}</svg>').format(
        height, f"Word error rate in percent with 95 % confidence interval. {told}", Markup("").join(parts)
    )


def _bar_axis(marks: Sequence[float], limit: float, height: int) -> Markup:
    numbers = Markup("")
    for mark in marks:
        anchor = "middle" if mark else "start"
        numbers += Markup('<text class="tick" x="{:.3f}%" y="{}" text-anchor="{}">{:g}</text>').format(
            share(mark, 0.0, limit), height - 6, anchor, mark
        )
    return numbers


def _bar(row: Bar, top: int, limit: float, marks: Sequence[float]) -> Markup:
    bar_top = top + BAR_TOP_PX
    grid = Markup("").join(
        Markup('<line class="grid" x1="{0:.3f}%" x2="{0:.3f}%" y1="{1}" y2="{2}"/>').format(
            share(mark, 0.0, limit), bar_top - CAP_PX, bar_top + BAR_PX + CAP_PX
        )
        for mark in marks
    )
    return Markup(
        '<g class="bar {style}"><title>{full}</title>{grid}<text class="label" x="0" y="{label_y}">{label}</text>'
        '<text class="value" x="100%" y="{label_y}" text-anchor="end">{wer} %'
        '<tspan class="ci" dx="8">{ci}</tspan></text>'
        '<rect x="0" y="{bar_top}" width="{width:.3f}%" height="{height}" rx="2"/>{whisker}</g>'
    ).format(
        style=row.style,
        grid=grid,
        label_y=top + LABEL_PX,
        full=row.label,
        label=row.label if len(row.label) <= LABEL_LETTERS else row.label[: LABEL_LETTERS - 1] + "…",
        wer=wording.rate(row.value),
        ci=wording.interval((row.low, row.high)),
        bar_top=bar_top,
        width=share(row.value, 0.0, limit),
        height=BAR_PX,
        whisker=_whisker(share(max(row.low, 0.0), 0.0, limit), share(row.high, 0.0, limit), bar_top + BAR_PX / 2),
    )


def _whisker(low: float, high: float, middle: float) -> Markup:
    """The interval from `low` to `high` (percent of the width), with a halo that sets it off from its bar."""
    lines = Markup(
        '<line x1="{low:.3f}%" x2="{high:.3f}%" y1="{middle}" y2="{middle}"/>'
        '<line x1="{low:.3f}%" x2="{low:.3f}%" y1="{top}" y2="{bottom}"/>'
        '<line x1="{high:.3f}%" x2="{high:.3f}%" y1="{top}" y2="{bottom}"/>'
    ).format(low=low, high=high, middle=middle, top=middle - CAP_PX, bottom=middle + CAP_PX)
    return Markup('<g class="halo">{0}</g><g class="whisker">{0}</g>').format(lines)


def curve(
    points: Sequence[Point],
    title: str,
    chosen: float | None = None,
    style: str = "plain",
    span: Sequence[float] = (),
) -> Markup:
    """WER over λ, its interval as a band, the chosen λ as a dashed line; the axis need not start at zero.

    Args:
        points: at least one λ; none gives an empty figure.
        title: what is drawn, for readers who listen.
        chosen: the λ to mark.
        style: a class of the style sheet.
        span: further λ that the horizontal axis must reach, so that two figures can share it.
    """
    points = sorted(points, key=lambda point: point.scale)
    if not points:
        return Markup("")
    everything = [x for p in points for x in (p.value, p.low, p.high) if x is not None]
    y_marks = ticks(min(everything), max(everything), TICKS_WANTED - 1)
    scales = [point.scale for point in points] + [*span] + ([] if chosen is None else [chosen])
    left, right = min(scales), max(scales)
    if left == right:
        left, right = left - 0.5, right + 0.5
    told = "; ".join(f"λ {wording.scale(p.scale)}: {wording.rate(p.value)}" for p in points)
    marked = "" if chosen is None else f" Chosen: λ = {wording.scale(chosen)}."
    return Markup('<svg class="curve {}" role="img" width="100%" height="{}" aria-label="{}">{}{}{}{}</svg>').format(
        style,
        CURVE_PX + AXIS_PX,
        f"{title}, in percent. {told}.{marked}",
        _curve_axes(points, y_marks, left, right),
        _chosen_line(chosen, left, right),
        _line_and_band(points, y_marks, left, right),
        _dots(points, y_marks, left, right, chosen),
    )


def _y_px(value: float, marks: Sequence[float]) -> float:
    return CURVE_PX - CURVE_PX * share(value, marks[0], marks[-1]) / 100.0


def _curve_axes(points: Sequence[Point], marks: Sequence[float], left: float, right: float) -> Markup:
    lines = Markup("")
    for mark in marks:
        lines += Markup(
            '<line class="grid" x1="0" x2="100%" y1="{0:.2f}" y2="{0:.2f}"/>'
            '<text class="tick" x="-8" y="{1:.2f}" text-anchor="end">{2}</text>'
        ).format(_y_px(mark, marks), _y_px(mark, marks) + 4, f"{mark:g}")
    for point in points[:: math.ceil(len(points) / LABELS_MOST)]:
        lines += Markup('<text class="tick" x="{:.3f}%" y="{}" text-anchor="middle">{}</text>').format(
            share(point.scale, left, right), CURVE_PX + 18, wording.scale(point.scale)
        )
    return lines


def _chosen_line(chosen: float | None, left: float, right: float) -> Markup:
    if chosen is None:
        return Markup("")
    return Markup(
        '<line class="chosen" x1="{0:.3f}%" x2="{0:.3f}%" y1="0" y2="{1}"/>'
    ).format(share(chosen, left, right), CURVE_PX)  # fmt: skip


def _line_and_band(points: Sequence[Point], marks: Sequence[float], left: float, right: float) -> Markup:
    """The shapes, in a box of 100 × 100 that is stretched over the figure; line widths are not stretched."""

    def corner(point: Point, value: float) -> str:
        return f"{share(point.scale, left, right):.3f},{100.0 - share(value, marks[0], marks[-1]):.3f}"

    banded = [(p, p.low, p.high) for p in points if p.low is not None and p.high is not None]
    outline = [corner(p, high) for p, _, high in banded] + [corner(p, low) for p, low, _ in reversed(banded)]
    band = Markup('<polygon class="band" points="{}"/>').format(" ".join(outline)) if outline else Markup("")
    return Markup(
        '<svg x="0" y="0" width="100%" height="{}" viewBox="0 0 100 100" preserveAspectRatio="none">'
        '{}<polyline class="line" vector-effect="non-scaling-stroke" points="{}"/></svg>'
    ).format(CURVE_PX, band, " ".join(corner(p, p.value) for p in points))


def _dots(points: Sequence[Point], marks: Sequence[float], left: float, right: float, chosen: float | None) -> Markup:
    dots = Markup("")
    for point in points:
        ci = "" if point.low is None or point.high is None else f" ({wording.interval((point.low, point.high))})"
        dots += Markup('<circle class="{}" cx="{:.3f}%" cy="{:.2f}" r="{}"><title>{}</title></circle>').format(
            "dot picked" if point.scale == chosen else "dot",
            share(point.scale, left, right),
            _y_px(point.value, marks),
            6 if point.scale == chosen else 4,
            escape(f"λ = {wording.scale(point.scale)}: {wording.rate(point.value)} %{ci}"),
        )
    return dots
