"""Lines over points as one SVG file with its own style, several panels in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from speech_analogy.report.figures import share, ticks

PANEL_PX, HEIGHT_PX = 360, 220  # of the area that is drawn in
LEFT_PX, TOP_PX, RIGHT_PX, BOTTOM_PX = 60, 50, 20, 44  # around it
COLOURS = ("#1b6ca8", "#c1571f", "#4b8b3b")
STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#ddd}"
    "polyline{fill:none;stroke-width:2}svg{background:#fff}"
)


@dataclass(frozen=True)
class Panel:
    """One pair of axes, both from zero, and the points of each line by its name."""

    title: str
    across: str
    lines: dict[str, Sequence[tuple[float, float]]]


def write_plot(path: Path, panels: Sequence[Panel], columns: int = 2) -> None:
    """Write the panels, row by row."""
    wide, high = PANEL_PX + LEFT_PX + RIGHT_PX, HEIGHT_PX + TOP_PX + BOTTOM_PX
    drawn = Markup("").join(
        Markup('<g transform="translate({} {})">{}</g>').format(
            (number % columns) * wide + LEFT_PX, (number // columns) * high + TOP_PX, _panel(panel)
        )
        for number, panel in enumerate(panels)
    )
    size = (columns * wide, -(-len(panels) // columns) * high)
    svg = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}">'
        "<style>{2}</style><rect width='100%' height='100%' fill='#fff'/>{3}</svg>\n"
    )
    path.write_text(str(svg.format(*size, Markup(STYLE), drawn)), encoding="utf-8")


def _panel(panel: Panel) -> Markup:
    points = [point for line in panel.lines.values() for point in line]
    marks_x = ticks(0.0, max(x for x, _ in points))
    marks_y = ticks(0.0, max(y for _, y in points))
    parts = Markup('<text class="title" x="0" y="-32">{}</text>').format(panel.title)
    for mark in marks_y:
        height = _y(mark, marks_y)
        parts += Markup('<line class="grid" x1="0" x2="{0}" y1="{1:.1f}" y2="{1:.1f}"/>').format(PANEL_PX, height)
        parts += Markup('<text x="-6" y="{:.1f}" text-anchor="end">{:g}</text>').format(height + 4, mark)
    for mark in marks_x:
        parts += Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>').format(
            _x(mark, marks_x), HEIGHT_PX + 18, mark
        )
    parts += Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
        PANEL_PX / 2, HEIGHT_PX + 36, panel.across
    )
    for number, (name, line) in enumerate(panel.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        corners = [(_x(x, marks_x), _y(y, marks_y)) for x, y in line]
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        parts += Markup('<polyline points="{}" stroke="{}"/>').format(told, colour)
        for (left, top), (x, y) in zip(corners, line, strict=True):
            parts += Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"><title>{}</title></circle>').format(
                left, top, colour, f"{name}, {x:g}: {y:.4g}"
            )
        parts += Markup('<text x="{}" y="-14" style="fill:{}">{}</text>').format(number * 130, colour, name)
    return parts


def _x(value: float, marks: Sequence[float]) -> float:
    return PANEL_PX * share(value, marks[0], marks[-1]) / 100


def _y(value: float, marks: Sequence[float]) -> float:
    return HEIGHT_PX * (1 - share(value, marks[0], marks[-1]) / 100)
