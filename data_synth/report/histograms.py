"""Histograms as inline SVG, by pure functions; colours come from the page's style sheet through class names.

Horizontal positions are percentages of the figure's width, so that a figure fits a phone and a desktop with letters
of the same size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

HEIGHT_PX, AXIS_PX, LABEL_OFFSET_PX = 180, 26, 18
BARS_MOST, BARS_LEAST = 40, 8  # fewer where there are few numbers
TICKS_WANTED = 5
GAP_SHARE = 0.12  # of a bar's width, left empty
_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


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

    def quantile(self, name: str, share: float) -> float | None:
        """The upper end of the bin in which `share` of the numbers is reached; None of none."""
        wanted, seen = share * self.count(name), 0
        for index, count in enumerate(self.series.get(name, ())):
            seen += count
            if count and seen >= wanted:
                return (index + 1) * self.width
        return None


def nice_step(span: float, wanted: int) -> float:
    """The least of 1, 2, 2.5, 5 × 10ⁿ by which `wanted` steps cover `span` (> 0)."""
    power = 10.0 ** math.floor(math.log10(span / wanted))
    return next(nice * power for nice in _NICE_STEPS if nice * power * wanted >= span * (1 - 1e-9))


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
    parts = [_grid(axis, ceiling), _numbers(left, right)]
    parts += [
        _stack(stack, names, styles, (index, len(stacks)), (left + index * step, step), ceiling, unit)
        for index, stack in enumerate(stacks)
    ]
    parts += [_threshold(value, left, right, unit) for value in data.thresholds if left <= value <= right]
    return Markup('<svg class="histogram" role="img" width="100%" height="{}" aria-label="{}">{}</svg>').format(
        HEIGHT_PX + AXIS_PX, _told(data, title, unit, names), Markup("").join(parts)
    )


def _told(data: Histogram, title: str, unit: str, names: Sequence[str]) -> str:
    """The figure in words."""
    parts = []
    for name in names:
        quantiles = ", ".join(f"{data.quantile(name, share):.3g}" for share in (0.05, 0.5, 0.95))
        parts.append(f"{name}: {data.count(name):,}, of which 5 %, 50 % and 95 % are at most {quantiles} {unit}")
    limits = f" Thresholds: {', '.join(f'{value:g}' for value in data.thresholds)}." if data.thresholds else ""
    return f"{title}. {'; '.join(parts)}.{limits}"


def _grid(axis: float, ceiling: float) -> Markup:
    lines = Markup("")
    for index in range(round(ceiling / axis) + 1):
        y = HEIGHT_PX * (1 - index * axis / ceiling)
        lines += Markup(
            '<line class="grid" x1="0" x2="100%" y1="{0:.2f}" y2="{0:.2f}"/>'
            '<text class="tick" x="-8" y="{1:.2f}" text-anchor="end">{2}</text>'
        ).format(y, y + 4, f"{index * axis:,.4g}")
    return lines


def _numbers(left: float, right: float) -> Markup:
    step = nice_step(right - left, TICKS_WANTED + 1)
    numbers = Markup("")
    for index in range(math.ceil(left / step - 1e-9), math.floor(right / step + 1e-9) + 1):
        numbers += Markup('<text class="tick" x="{:.3f}%" y="{}" text-anchor="middle">{:.4g}</text>').format(
            _share(index * step, left, right), HEIGHT_PX + LABEL_OFFSET_PX, index * step
        )
    return numbers


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
    told = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
    return Markup("<g><title>{}</title>{}</g>").format(f"{span[0]:.4g} to {sum(span):.4g} {unit}: {told}", rects)


def _threshold(value: float, left: float, right: float, unit: str) -> Markup:
    return Markup(
        '<g><title>{0}</title><line class="threshold" x1="{1:.3f}%" x2="{1:.3f}%" y1="0" y2="{2}"/></g>'
    ).format(f"threshold: {value:g} {unit}", _share(value, left, right), HEIGHT_PX)


def _share(value: float, left: float, right: float) -> float:
    return 100.0 * (value - left) / (right - left)
