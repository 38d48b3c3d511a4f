"""What is in a folder of clips, to be compared."""

from __future__ import annotations

import gzip
from pathlib import Path


def files(out: Path) -> dict[str, bytes]:
    """Every file's bytes; in the cuts of loose clips, and there alone, the folder's own path is left out."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    if "cuts.jsonl.gz" in found:
        found["cuts.jsonl.gz"] = gzip.decompress(found["cuts.jsonl.gz"]).replace(str(out).encode(), b"OUT")
    return found


def folders(out: Path) -> set[str]:
    """Every folder within."""
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_dir()}


def clips_of(out: Path) -> dict[str, bytes]:
    """Every loose clip's bytes, by its key."""
    return {path.name: path.read_bytes() for path in (out / "clips").rglob("*.flac")}
