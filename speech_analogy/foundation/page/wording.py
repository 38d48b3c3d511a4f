"""Numbers as a reader meets them: one way to write a rate, a difference, a p-value, a duration."""

from __future__ import annotations

import sys
from collections.abc import Sequence

P_FLOOR = 0.001
"""Below this a p-value is written as `< 0.001`: a test of a few thousand draws cannot resolve less."""
P_CLEAR = 0.05
"""At or above this a difference is not called one."""
MINUS = "−"
NBSP = "\u00a0"
LARGEST_SCALE = "It is the largest λ that was tried; a larger one may do better: add some to the recipe's scales."


def rate(value: float) -> str:
    """A percentage to one decimal, without the sign: `41.9`."""
    return f"{value:.1f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A difference in points with its sign: `−12.9`, `+0.4`; what rounds to zero has none."""
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def interval(low_high: tuple[float, float]) -> str:
    """A confidence interval of rates: `38.6–45.2`."""
    low, high = low_high
    return f"{rate(low)}–{rate(high)}"


def signed_interval(low_high: tuple[float, float]) -> str:
    """A confidence interval of differences: `−16.1 to −9.8`."""
    low, high = low_high
    return f"{signed(low)} to {signed(high)}"


def p_value(value: float | None) -> str:
    """A p-value to three decimals, or `< 0.001`, or a dash where there is none."""
    if value is None:
        return "–"
    return f"< {P_FLOOR}" if value < P_FLOOR else f"{value:.3f}"


def p_clause(value: float | None) -> str:
    """A p-value in a sentence: `p < 0.001`, `p = 0.021`, `no p`."""
    if value is None:
        return "no p"
    return f"p {p_value(value)}" if value < P_FLOOR else f"p = {p_value(value)}"


def relative(value: float) -> str:
    """A relative change as more or fewer errors: −0.235 is `23.5 % fewer errors`."""
    share = f"{abs(100 * value):.1f}"
    if float(share) == 0:
        return "as many errors"
    return f"{share} % {'fewer' if value < 0 else 'more'} errors"


def scale(value: float) -> str:
    """λ without trailing zeros: `1`, `0.75`."""
    return f"{value:g}".replace("-", MINUS)


def amount(value: object) -> str:
    """Any number or text of a results file, short and exact enough: `2,187`, `0.62`, `3e-5`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return "∞" if value > 0 else f"{MINUS}∞"
    if float(value).is_integer() and abs(value) < 1e15:  # beyond this a float holds no exact integers
        return f"{int(value):,}".replace("-", MINUS)
    return f"{value:,.3g}".replace("-", MINUS) if abs(value) >= P_FLOOR else f"{value:g}".replace("e-0", "e-")


def duration(seconds: float) -> str:
    """Wall time in the two largest units: `0 s`, `8.4 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds == 0:
        return "0 s"
    if seconds < 9.95:  # above this the tenth is noise
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def listing(items: Sequence[str]) -> str:
    """Words as a list in a sentence: `food, animals and places`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, noun: str) -> str:
    """`1 utterance`, `2,187 utterances`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
