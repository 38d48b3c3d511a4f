"""Reads a page the way a test needs it: strict about nesting, tables as rows of cells, one text of everything."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}  # HTML elements without an end tag
FETCHING = ("src", "href", "srcset", "data", "action", "poster", "xlink:href", "background")


class Page(HTMLParser):
    """Parses a page and holds what was found; unbalanced tags raise AssertionError."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.pieces: list[str] = []
        self.sections: dict[str, list[str]] = {}
        self.within: dict[str, list[str]] = {}
        self.scripts: list[str] = []
        self._region = self._section = ""
        self._cell: list[str] | None = None
        self.feed(html)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.tags.append((tag, found))
        self.within.setdefault(self._section, []).append(tag)
        if found.get("role") == "region":
            self._region = found["aria-label"]
            self.tables[self._region] = []
        if tag == "section":
            self._section = found["id"]
        if tag == "tr":
            self.tables[self._region].append([])
        if tag in ("td", "th"):
            self._cell = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> is out of place"
        if tag in ("td", "th") and self._cell is not None:
            self.tables[self._region][-1].append(clean("".join(self._cell)))
            self._cell = None
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts.append(data)
        if "style" in self.open or "script" in self.open:
            return
        self.pieces.append(data)
        self.sections.setdefault(self._section, []).append(data)
        if self._cell is not None:
            self._cell.append(data)

    @property
    def text(self) -> str:
        """Everything a reader sees, with single spaces."""
        return clean(" ".join(self.pieces))

    def section(self, name: str) -> str:
        """The text of one section; empty where it is not there."""
        return clean(" ".join(self.sections.get(name, [])))

    def named(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of that name."""
        return [attributes for found, attributes in self.tags if found == tag]

    def fetched(self) -> list[str]:
        """What a browser would load for this page."""
        return [value for _, attributes in self.tags for key, value in attributes.items() if key in FETCHING]


def clean(text: str) -> str:
    """Single ordinary spaces."""
    return " ".join(text.replace("\u00a0", " ").split())


def rows_of(text: str, first: str) -> list[list[str]]:
    """The cells of the Markdown table whose head begins with `first`, without head and rule."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    assert len({len(row) for row in rows}) == 1
    return rows[2:]
