"""What a user brings: recordings with nothing but `file_name,text`, and a file of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import WORDS, make_corpus

DISHES = ["spring rolls", "two soups", "fried rice", "green tea", "noodles", "the bill"]


def make_source(folder: Path, count: int = 30, *, speakers: bool = False, seed: int = 0) -> Path:
    """Recordings that say different things; without speakers, domains and splits unless speakers are asked for."""
    make_corpus(folder, count, seed=seed)
    rows = [line.split(",") for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]]
    lines = [f"file_name,text{',speaker' if speakers else ''}"]
    for number, row in enumerate(rows):
        said = f"{WORDS[number % 15]} {WORDS[number // 15]} {WORDS[(7 * number) % 15]}"
        lines.append(f"{row[0]},{said}{f',s{number % 12}' if speakers else ''}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def make_job(folder: Path, base: Path, **more: Any) -> dict[str, Any]:
    """A source and texts in a folder, and what a recipe of them says."""
    make_source(folder / "recordings")
    (folder / "menu.txt").write_text("\n".join(DISHES) + "\n", encoding="utf-8")
    content = {"base": str(base), "source": "recordings", "target": {"texts": "menu.txt"}}
    return {**content, **more}
