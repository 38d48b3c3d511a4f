"""A small run whose stages write what real ones do, files in the folder and below it; and ways to damage a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.stages import registry
from speech_analogy.adaptation.stages.params.base import Output, StageParams
from speech_analogy.adaptation.stages.work import Work

WEIGHTS = bytes(range(256)) * 400
CLIP = bytes(range(1, 101)) * 100


class FilesParams(StageParams):
    """Writes a score, weights and a clip; reads the scores of others."""

    kind: ClassVar = "files"
    version: ClassVar = 1
    outputs: ClassVar = {"score": "score.json", "model": "model"}

    label: str
    behind: tuple[Output, ...] = Field(default=(), exclude=True)


def make_files(work: Work[FilesParams]) -> None:
    """The stage's function."""
    for path, content in (("model/weights.bin", WEIGHTS), ("clips/00/a.flac", CLIP)):
        (work.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (work.folder / path).write_bytes(content)
    work.write("score.json", {"wer": 12.5, "sum": 1 + sum(work.read(one)["sum"] for one in work.params.behind)})


registry.FUNCTIONS[FilesParams] = make_files


def files_stage(name: str, *behind: Stage) -> Stage:
    """One stage, behind others."""
    return Stage(name, FilesParams(label=name, behind=tuple(one["score"] for one in behind)))


def plan_of_files(run: Path) -> Plan:
    """Two stages; the second reads the first."""
    first = files_stage("first")
    return Plan(run, [first, files_stage("second", first)])


def in_place(path: Path, change: Callable[[bytes], bytes], *, same_time: bool = False) -> None:
    """Change a file's bytes as an editor or a bad disk does.

    Args:
        same_time: as a disk does, which tells nobody.
    """
    before = path.stat()
    path.write_bytes(change(path.read_bytes()))
    later = before.st_mtime_ns + (0 if same_time else 1_000_000_000)
    os.utime(path, ns=(before.st_atime_ns, later))


def flipped(content: bytes) -> bytes:
    """One bit in the middle is another one."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def truncated(content: bytes) -> bytes:
    """The second half is lost."""
    return content[: len(content) // 2]


def zeroed(content: bytes) -> bytes:
    """As many zeros."""
    return bytes(len(content))
