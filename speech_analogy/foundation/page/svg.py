"""What every chart is made of: round marks, an axis on the left and one below, dashed lines, the frame.

Horizontal positions are percentages of the figure's width, so that a figure fits a phone and a desktop with letters
of the same size; colours come from the page's style sheet through class names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup

AXIS_PX = 26  # the height that the labels below a chart take
LABEL_OFFSET_PX = 18  # from the chart's lower edge to the base line of these labels
TICKS_WANTED = 5
_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_NOTHING = 1e-9  # what rounding may add to a quotient


def nice_step(span: float, wanted: int = TICKS_WANTED) -> float:
    """The least of 1, 2, 2.5, 5 × 10ⁿ by which `wanted` steps cover `span` (> 0)."""
    power = 10.0 ** math.floor(math.log10(span / wanted))
    return next(nice * power for nice in _NICE_STEPS if nice * power * wanted >= span * (1 - _NOTHING))


def enclosing(low: float, high: float, step: float) -> list[float]:
    """Multiples of `step` from the last at or below `low` to the first at or above `high`; at least two."""
    first, last = math.floor(low / step + _NOTHING), math.ceil(high / step - _NOTHING)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def between(low: float, high: float, step: float) -> list[float]:
    """Multiples of `step` in [low, high]."""
    first, last = math.ceil(low / step - _NOTHING), math.floor(high / step + _NOTHING)
    return [index * step for index in range(first, last + 1)]


def share(value: float, low: float, high: float) -> float:
    """Where `value` lies between `low` and `high`, in percent."""
    return 100.0 * (value - low) / (high - low)


def left_axis(marks: Iterable[tuple[float, str]]) -> Markup:
    """A line across the chart for each (y in px, label), the label to its left."""
    return Markup("").join(
        Markup(
            '<line class="grid" x1="0" x2="100%" y1="{0:.2f}" y2="{0:.2f}"/>'
            '<text class="tick" x="-8" y="{1:.2f}" text-anchor="end">{2}</text>'
        ).format(y, y + 4, label)
        for y, label in marks
    )


def lower_axis(marks: Iterable[tuple[float, str]], y: float, *, inside: bool = False) -> Markup:
    """A label for each (x in percent, label), at the base line `y` px; `inside`: the one at 0 begins there."""
    return Markup("").join(
        Markup('<text class="tick" x="{:.3f}%" y="{}" text-anchor="{}">{}</text>').format(
            x, y, "start" if inside and not x else "middle", label
        )
        for x, label in marks
    )


def upright(style: str, x: float, top: float, bottom: float) -> Markup:
    """A vertical line at `x` percent from `top` to `bottom` px; `style` is a class of the style sheet."""
    return Markup('<line class="{0}" x1="{1:.3f}%" x2="{1:.3f}%" y1="{2}" y2="{3}"/>').format(style, x, top, bottom)


def figure(style: str, height: int, label: str, content: Iterable[Markup]) -> Markup:
    """The frame: as wide as the page allows; `label` is for screen readers."""
    return Markup('<svg class="{}" role="img" width="100%" height="{}" aria-label="{}">{}</svg>').format(
        style, height, label, Markup("").join(content)
    )
