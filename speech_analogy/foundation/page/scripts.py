"""The one script that a page may carry: DataTables (MIT) and what starts it, allowed by its digest and nothing else."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
DATATABLES, DATATABLES_LICENCE, TABLE = "datatables-3.1.5.min.js", "datatables-LICENSE.txt", "table.js"


@dataclass(frozen=True)
class InlineScript:
    """`text` stands between the tags of one script element; `source` names it in a Content-Security-Policy."""

    text: Markup
    source: str


@cache
def table_script() -> InlineScript:
    """Makes the table of utterances one to sort, filter and search; the licence stands at its head."""
    licence, library, start = (
        (TEMPLATES / name).read_text(encoding="utf-8").strip() for name in (DATATABLES_LICENCE, DATATABLES, TABLE)
    )
    text = f"/*! {licence} */\n{library}\n{start}\n"
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return InlineScript(Markup(text), f"'sha256-{digest}'")
