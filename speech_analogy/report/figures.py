"""Inline SVG from numbers, by pure functions: WER bars with interval whiskers, and a curve over λ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from speech_analogy.foundation.page import svg, wording

ROW_PX, BAR_TOP_PX, BAR_PX, LABEL_PX = 48, 22, 14, 15
CAP_PX = 4  # half the height of a whisker's end
CURVE_PX = 220
LABEL_LETTERS = 28  # more would run into the numbers on a phone
SPAN_LEAST = 1.0  # points of WER; a flatter curve is drawn flat
LABELS_MOST = 9  # λ labels that fit side by side on a phone


@dataclass(frozen=True)
class WerBar:
    """One system: its WER and the ends of its interval, in percent; `style` is a class of the style sheet."""

    label: str
    value: float
    low: float
    high: float
    style: str = "plain"


@dataclass(frozen=True)
class CurvePoint:
    """One λ of a curve; `low` and `high` are the ends of the interval where there is one."""

    scale: float
    value: float
    low: float | None = None
    high: float | None = None


def ticks(low: float, high: float, wanted: int = svg.TICKS_WANTED) -> list[float]:
    """At most `wanted` + 2 round values that enclose [low, high], in steps of 1, 2, 2.5 or 5 × 10ⁿ."""
    return svg.enclosing(low, high, svg.nice_step(max(high - low, SPAN_LEAST), wanted))


def bars(rows: Sequence[WerBar]) -> Markup:
    """Horizontal bars on one axis from zero: a bar is value / axis end of the figure's width."""
    if not rows:
        return Markup("")
    limit = max(max(row.value, row.high) for row in rows) or 1.0  # nothing but zeros still has an axis
    marks = [mark for mark in ticks(0.0, limit) if mark <= limit]
    height = ROW_PX * len(rows) + svg.AXIS_PX
    numbers = svg.lower_axis([(svg.share(mark, 0.0, limit), f"{mark:g}") for mark in marks], height - 6, inside=True)
    parts = [numbers, *(_bar(row, index * ROW_PX, limit, marks) for index, row in enumerate(rows))]
    values = "; ".join(
        f"{row.label}: {wording.rate(row.value)} ({wording.interval((row.low, row.high))})" for row in rows
    )
    return svg.figure("bars", height, f"Word error rate in percent with 95 % confidence interval. {values}", parts)


def _bar(row: WerBar, top: int, limit: float, marks: Sequence[float]) -> Markup:
    bar_top = top + BAR_TOP_PX
    grid = Markup("").join(
        svg.upright("grid", svg.share(mark, 0.0, limit), bar_top - CAP_PX, bar_top + BAR_PX + CAP_PX) for mark in marks
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
        width=svg.share(row.value, 0.0, limit),
        height=BAR_PX,
        whisker=_whisker(
            svg.share(max(row.low, 0.0), 0.0, limit), svg.share(row.high, 0.0, limit), bar_top + BAR_PX / 2
        ),
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
    points: Sequence[CurvePoint],
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
    y_marks = ticks(min(everything), max(everything), svg.TICKS_WANTED - 1)
    scales = [point.scale for point in points] + [*span] + ([] if chosen is None else [chosen])
    left, right = min(scales), max(scales)
    if left == right:
        left, right = left - 0.5, right + 0.5
    values = "; ".join(f"λ {wording.scale(p.scale)}: {wording.rate(p.value)}" for p in points)
    marked = "" if chosen is None else f" Chosen: λ = {wording.scale(chosen)}."
    parts = [
        svg.left_axis((_y_px(mark, y_marks), f"{mark:g}") for mark in y_marks),
        svg.lower_axis(
            (
                (svg.share(point.scale, left, right), wording.scale(point.scale))
                for point in points[:: math.ceil(len(points) / LABELS_MOST)]
            ),
            CURVE_PX + svg.LABEL_OFFSET_PX,
        ),
        *([] if chosen is None else [svg.upright("chosen", svg.share(chosen, left, right), 0, CURVE_PX)]),
        _line_and_band(points, y_marks, left, right),
        _dots(points, y_marks, left, right, chosen),
    ]
    return svg.figure(f"curve {style}", CURVE_PX + svg.AXIS_PX, f"{title}, in percent. {values}.{marked}", parts)


def _y_px(value: float, marks: Sequence[float]) -> float:
    return CURVE_PX - CURVE_PX * svg.share(value, marks[0], marks[-1]) / 100.0


def _line_and_band(points: Sequence[CurvePoint], marks: Sequence[float], left: float, right: float) -> Markup:
    """The shapes, in a box of 100 × 100 that is stretched over the figure; line widths are not stretched."""

    def corner(point: CurvePoint, value: float) -> str:
        return f"{svg.share(point.scale, left, right):.3f},{100.0 - svg.share(value, marks[0], marks[-1]):.3f}"

    banded = [(p, p.low, p.high) for p in points if p.low is not None and p.high is not None]
    outline = [corner(p, high) for p, _, high in banded] + [corner(p, low) for p, low, _ in reversed(banded)]
    band = Markup('<polygon class="band" points="{}"/>').format(" ".join(outline)) if outline else Markup("")
    return Markup(
        '<svg x="0" y="0" width="100%" height="{}" viewBox="0 0 100 100" preserveAspectRatio="none">'
        '{}<polyline class="line" vector-effect="non-scaling-stroke" points="{}"/></svg>'
    ).format(CURVE_PX, band, " ".join(corner(p, p.value) for p in points))


def _dots(
    points: Sequence[CurvePoint], marks: Sequence[float], left: float, right: float, chosen: float | None
) -> Markup:
    dots = Markup("")
    for point in points:
        ci = "" if point.low is None or point.high is None else f" ({wording.interval((point.low, point.high))})"
        dots += Markup('<circle class="{}" cx="{:.3f}%" cy="{:.2f}" r="{}"><title>{}</title></circle>').format(
            "dot picked" if point.scale == chosen else "dot",
            svg.share(point.scale, left, right),
            _y_px(point.value, marks),
            6 if point.scale == chosen else 4,
            escape(f"λ = {wording.scale(point.scale)}: {wording.rate(point.value)} %{ci}"),
        )
    return dots
