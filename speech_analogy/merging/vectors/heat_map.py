"""Heat maps as one self-contained SVG document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

CELL_WIDTH, CELL_HEIGHT = 64, 22  # px
LABEL_WIDTH, TITLE_HEIGHT, GAP = 190, 52, 26  # px
CHARACTER_WIDTH = 7.0  # px, of the label font
MAX_LABEL = 26  # characters
BLUE, WHITE, RED = (33, 102, 172), (247, 247, 247), (178, 24, 43)
DARK = 0.55  # how far from white a cell must be for white letters


@dataclass(frozen=True)
class Panel:
    """One heat map.

    Args:
        values: one row for each of `rows`, one column for each of `columns`.
        low, high: the ends of the colour scale; a scale below zero is blue, white, red, else white to red.
            None: the largest value.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    low: float
    high: float | None


def draw_heat_maps(panels: Sequence[Panel]) -> str:
    """All panels, one below the other."""
    width = LABEL_WIDTH + CELL_WIDTH * max((len(panel.columns) for panel in panels), default=1) + GAP
    body: list[str] = []
    top = 0
    for panel in panels:
        body.append(f'<g transform="translate(0,{top})">{_panel(panel)}</g>')
        top += TITLE_HEIGHT + CELL_HEIGHT * len(panel.rows) + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" viewBox="0 0 {width} {top}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _panel(panel: Panel) -> str:
    high = panel.high
    if high is None:
        high = max((value for row in panel.values for value in row), default=0.0) or 1.0
    parts = [f'<text x="4" y="18" font-size="13" font-weight="bold">{escape(panel.title)}</text>']
    for column, name in enumerate(panel.columns):
        x = LABEL_WIDTH + CELL_WIDTH * (column + 0.5)
        label = _short(name, int(CELL_WIDTH / CHARACTER_WIDTH))
        parts.append(
            f'<text x="{x}" y="{TITLE_HEIGHT - 8}" text-anchor="middle">{label}<title>{escape(name)}</title></text>'
        )
    for row, (name, values) in enumerate(zip(panel.rows, panel.values, strict=True)):
        y = TITLE_HEIGHT + CELL_HEIGHT * row
        middle = y + CELL_HEIGHT * 0.68
        parts.append(
            f'<text x="{LABEL_WIDTH - 8}" y="{middle}" text-anchor="end">{_short(name, MAX_LABEL)}'
            f"<title>{escape(name)}</title></text>"
        )
        for column, value in enumerate(values):
            x = LABEL_WIDTH + CELL_WIDTH * column
            fill, ink = _colour(value, panel.low, high)
            parts.append(f'<rect x="{x}" y="{y}" width="{CELL_WIDTH}" height="{CELL_HEIGHT}" fill="{fill}"/>')
            parts.append(
                f'<text x="{x + CELL_WIDTH / 2}" y="{middle}" text-anchor="middle" fill="{ink}">{value:.3f}</text>'
            )
    return "".join(parts)


def _short(name: str, longest: int) -> str:
    """The end of a long label: paths and tensor names differ there."""
    return escape(name if len(name) <= longest else "…" + name[-(longest - 1) :])


def _colour(value: float, low: float, high: float) -> tuple[str, str]:
    """Fill and ink."""
    span = max(abs(low), abs(high)) if low < 0 else high - low
    distance = max(-1.0, min(1.0, (value if low < 0 else value - low) / span)) if span else 0.0
    end = RED if distance >= 0 else BLUE
    share = abs(distance)
    mixed = tuple(round(white + (full - white) * share) for white, full in zip(WHITE, end, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed), "white" if share > DARK else "black"
