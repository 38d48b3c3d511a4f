"""Histograms as inline SVG: counted in fine bins while a ledger is read, drawn in as many bars as the counts bear."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from speech_analogy.foundation.page.svg import (
    AXIS_PX,
    LABEL_OFFSET_PX,
    TICKS_WANTED,
    between,
    figure,
    left_axis,
    lower_axis,
    nice_step,
    share,
    upright,
)

HEIGHT_PX = 180
BARS_MOST, BARS_LEAST = 40, 8  # fewer where there are few numbers
GAP_SHARE = 0.12  # of a bar's width, left empty


@dataclass
class Histogram:
    """Counts of numbers in fine bins of `width` from 0 to `limit`; what is above goes into the last bin.

    `series` maps a name to its counts; `thresholds` are drawn as dashed lines.
    """

    width: float
    limit: float
    series: dict[str, list[int]] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    thresholds: tuple[float, ...] = ()

    @property
    def bins(self) -> int:
        """How many there are."""
        return round(self.limit / self.width)

    def add(self, name: str, value: float) -> None:
        """Count one number, at least 0."""
        counts = self.series.setdefault(name, [0] * self.bins)
        counts[min(int(value / self.width + 1e-9), self.bins - 1)] += 1
        self.totals[name] = self.totals.get(name, 0.0) + value

    def count(self, name: str) -> int:
        """How many numbers a series has."""
        return sum(self.series.get(name, ()))

    def mean(self, name: str) -> float | None:
        """Of the numbers themselves, not of the bins; None of none."""
        return self.totals[name] / self.count(name) if self.count(name) else None

    def quantile(self, name: str, part: float) -> float | None:
        """The upper end of the bin in which `part` of the numbers is reached; None of none."""
        wanted, seen = part * self.count(name), 0
        for index, count in enumerate(self.series.get(name, ())):
            seen += count
            if count and seen >= wanted:
                return (index + 1) * self.width
        return None


def histogram(data: Histogram, title: str, unit: str, styles: Mapping[str, str], bars_most: int = BARS_MOST) -> Markup:
    """Stacked bars over the range that has any count.

    Args:
        data: what was counted; without a number the figure is empty.
        title: what is drawn, for readers who listen.
        unit: of the horizontal axis.
        styles: series -> class of the style sheet, from the bottom of the stack up.
        bars_most: bars at most; fine bins are put together, the more so the fewer numbers there are.
    """
    names = [name for name in styles if data.count(name)]
    if not names:
        return Markup("")
    filled = [index for name in names for index, count in enumerate(data.series[name]) if count]
    low, high = min(filled) * data.width, (max(filled) + 1) * data.width
    for threshold in data.thresholds:  # those that are near enough are kept in sight
        if low - (high - low) <= threshold <= high + (high - low):
            low, high = min(low, threshold), max(high, threshold)
    numbers = sum(map(data.count, names))
    bars = min(bars_most, max(BARS_LEAST, round(2 * math.sqrt(numbers))))
    together = max(1, round(nice_step(high - low, bars) / data.width))
    first, last = int(low / data.width + 1e-9) // together, -(-round(high / data.width) // together)
    stacks = [
        [sum(data.series[name][bar * together : (bar + 1) * together]) for name in names] for bar in range(first, last)
    ]
    step = together * data.width
    left, right = first * step, last * step
    top = max(map(sum, stacks))
    axis = nice_step(top, TICKS_WANTED - 1) if top else 1.0
    ceiling = max(math.ceil(top / axis) * axis, 1.0)
    parts = [_left_axis(axis, ceiling), _lower_axis(left, right)]
    parts += [
        _stack(stack, names, styles, (index, len(stacks)), (left + index * step, step), ceiling, unit)
        for index, stack in enumerate(stacks)
    ]
    parts += [_threshold(value, left, right, unit) for value in data.thresholds if left <= value <= right]
    return figure("histogram", HEIGHT_PX + AXIS_PX, _in_words(data, title, unit, names), parts)


def _in_words(data: Histogram, title: str, unit: str, names: Sequence[str]) -> str:
    """The figure in words."""
    parts = []
    for name in names:
        quantiles = ", ".join(f"{data.quantile(name, part):.3g}" for part in (0.05, 0.5, 0.95))
        parts.append(f"{name}: {data.count(name):,}, of which 5 %, 50 % and 95 % are at most {quantiles} {unit}")
    limits = f" Thresholds: {', '.join(f'{value:g}' for value in data.thresholds)}." if data.thresholds else ""
    return f"{title}. {'; '.join(parts)}.{limits}"


def _left_axis(step: float, ceiling: float) -> Markup:
    marks = [index * step for index in range(round(ceiling / step) + 1)]
    return left_axis((HEIGHT_PX * (1 - mark / ceiling), f"{mark:,.4g}") for mark in marks)


def _lower_axis(left: float, right: float) -> Markup:
    marks = between(left, right, nice_step(right - left, TICKS_WANTED + 1))
    return lower_axis(((share(mark, left, right), f"{mark:.4g}") for mark in marks), HEIGHT_PX + LABEL_OFFSET_PX)


def _stack(
    counts: Sequence[int],
    names: Sequence[str],
    styles: Mapping[str, str],
    place: tuple[int, int],
    span: tuple[float, float],
    ceiling: float,
    unit: str,
) -> Markup:
    """One bar number `place[0]` of `place[1]`, from `span[0]` on and `span[1]` wide."""
    if not sum(counts):
        return Markup("")
    width = 100.0 / place[1]
    rects, below = Markup(""), 0
    for name, count in zip(names, counts, strict=True):
        height = HEIGHT_PX * count / ceiling
        if count:
            rects += Markup('<rect class="{}" x="{:.3f}%" width="{:.3f}%" y="{:.2f}" height="{:.2f}"/>').format(
                styles[name],
                width * (place[0] + GAP_SHARE / 2),
                width * (1 - GAP_SHARE),
                HEIGHT_PX * (1 - below / ceiling) - height,
                height,
            )
        below += count
    label = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
    return Markup("<g><title>{}</title>{}</g>").format(f"{span[0]:.4g} to {sum(span):.4g} {unit}: {label}", rects)


def _threshold(value: float, left: float, right: float, unit: str) -> Markup:
    line = upright("threshold", share(value, left, right), 0, HEIGHT_PX)
    return Markup("<g><title>{}</title>{}</g>").format(f"threshold: {value:g} {unit}", line)
