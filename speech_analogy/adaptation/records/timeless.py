"""The digests by which files that are made again are the same: without times, logs and what made them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from speech_analogy.foundation.contents import FileContent, digest_of_text
from speech_analogy.foundation.digests import canonical_json

BY_THE_CLOCK = {
    "created", "seconds", "real_time_factor", "utterances_per_second", "command", "machine", "versions",
}  # fmt: skip
"""Keys of JSON that no later stage computes with: when, how fast and with what a file was made."""
LOG_FOLDERS, LOG_ENDS = ("training",), (".html", ".md", ".log")
MOST_HEADER_BYTES = 100_000_000


def timeless_digests(folder: Path, files: Mapping[str, FileContent]) -> dict[str, str]:
    """File -> its digest without the clock, of those whose own digest says more; logs, named by the time, are none.

    Args:
        folder: of a stage that is whole, or is being built, below `RUN/stages`; the run's path counts as nothing.
        files: path -> content.
    """
    run = str(folder.resolve().parent.parent).encode()
    found = {name: _timeless(folder / name, name, run) for name in files if not is_log(name)}
    return {name: value for name, value in found.items() if value is not None and value != files[name].digest}


def is_log(name: str) -> bool:
    """Whether a file of a stage, by its path, only says how the stage was made, or shows what others hold."""
    *folders, own = name.split("/")
    return any(part in LOG_FOLDERS for part in folders) or own.endswith(LOG_ENDS)


def _timeless(path: Path, name: str, run: bytes) -> str | None:
    """None: the file's own digest."""
    own = name.rpartition("/")[2]
    try:
        if own.endswith((".json", ".jsonl", ".jsonl.gz")):
            return _of_json(path, run)
        if own.endswith(".safetensors"):
            return _of_safetensors(path)
    except (OSError, EOFError, ValueError, RecursionError):  # it is not what its name says
        return None
    return None


def _of_json(path: Path, run: bytes) -> str:
    data = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    text = data.replace(run, b"").decode("utf-8")
    if path.name.endswith(".json"):
        return digest_of_text(canonical_json(_without_clock(json.loads(text))))
    lines = (canonical_json(_without_clock(json.loads(line))) for line in text.split("\n") if line.strip())
    return digest_of_text("\n".join(lines))


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_clock(one) for key, one in value.items() if key not in BY_THE_CLOCK}
    return [_without_clock(one) for one in value] if isinstance(value, list) else value


def _of_safetensors(path: Path) -> str:
    """The tensors alone: metadata may hold the time."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > min(MOST_HEADER_BYTES, path.stat().st_size):
            raise ValueError("no header")
        header = json.loads(file.read(size))
        header.pop("__metadata__", None)
        found = xxhash.xxh3_128(canonical_json(header).encode())
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
