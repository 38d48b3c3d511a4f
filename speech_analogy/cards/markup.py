"""Words of strangers as Markdown: one line, and no markup of their own."""

from __future__ import annotations

import re

from speech_analogy.plain_text import shown


def text(raw: str) -> str:
    """Text of a corpus or recipe as Markdown text: one line, no markup, no new table cell."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", shown(" ".join(raw.split()))).replace("&", "&amp;").replace("<", "&lt;")


def code(raw: str) -> str:
    """Text for between two backticks."""
    return shown(" ".join(raw.split())).replace("`", "").replace("|", "")
