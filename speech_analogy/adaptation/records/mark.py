"""`stage.json`, which says that a stage is done: its time, what made it, what it was made from, its files' digests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.records.timeless import is_log, timeless_digests
from speech_analogy.errors import DataError
from speech_analogy.foundation.contents import FileContent, contents, difference, digest_of_text
from speech_analogy.foundation.digests import canonical_json
from speech_analogy.foundation.files import write_json

DONE_FILE = "stage.json"
DAMAGED_FILE = "stage.damaged.json"
"""What `stage.json` is called once a file of the stage is not what it was: the stage is not done any more."""


NOT_AS_WRITTEN = "a file of this stage is not what was written"


class DamagedStageError(DataError):
    """A finished stage's file is not what was written; `field` names the stage's folder."""


Inputs = Mapping[str, Mapping[str, str]]
"""Stage -> its output -> what it is, but for times and logs."""


@dataclass(frozen=True)
class Source:
    """An output that a stage reads: of which stage, which file or folder of it, and where the stage is."""

    stage: str
    output: str
    folder: Path


@dataclass(frozen=True)
class Mark:
    """What a finished stage says of itself.

    Attributes:
        name: of the stage.
        seconds: wall time, over all of its starts.
        made: `command`, `versions` and `machine`; empty in stages of earlier versions.
        files: path -> content; None in stages of earlier versions.
        timeless: path -> digest without the clock, where that is another one; None in stages of earlier versions.
        inputs: stage -> its output -> that output's `essence` as it was read; empty in stages of earlier versions.
    """

    name: str
    seconds: float
    made: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, FileContent] | None = None
    timeless: Mapping[str, str] | None = None
    inputs: Inputs = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it into a stage's folder."""
        content = {"name": self.name, "seconds": self.seconds, "made": dict(self.made)}
        if self.files is not None:
            content["files"] = {name: one.record() for name, one in self.files.items()}
        if self.timeless is not None:
            content |= {
                "timeless": dict(self.timeless),
                "inputs": {name: dict(one) for name, one in self.inputs.items()},
            }
        write_json(folder / DONE_FILE, {**content, "digest": _digest(content)})

    @classmethod
    def read(cls, folder: Path) -> Mark:
        """Of a finished stage.

        Raises:
            DamagedStageError: it is not what was written.
        """
        file = folder / DONE_FILE
        if not file.is_file():
            raise DamagedStageError("is missing", file=file, field=folder.name)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if "digest" in content and content.pop("digest") != _digest(content):
                raise ValueError("another content")
            listed = content.get("files")
            files = None if listed is None else {str(name): FileContent.read(one) for name, one in listed.items()}
            timeless, inputs = content.get("timeless"), content.get("inputs", {})
            return cls(
                str(content.get("name", "")),
                float(content.get("seconds", 0)),
                content.get("made", {}),
                files,
                None if timeless is None else dict(timeless),
                {str(name): dict(one) for name, one in inputs.items()},
            )
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            raise DamagedStageError("is not what was written", file=file, field=folder.name) from None

    def essence(self, output: str = "") -> str | None:
        """What an output is, but for times and logs; None where that is not recorded.

        Args:
            output: a file or a folder of the stage; empty: all of it.
        """
        if self.files is None or self.timeless is None:
            return None
        wanted = [name for name in self.files if not output or f"{name}/".startswith(f"{output}/")]
        own = {name: self.timeless.get(name, self.files[name].digest) for name in wanted if not is_log(name)}
        return digest_of_text(canonical_json(own))


def mark(folder: Path, name: str, seconds: float, made: Mapping[str, Any], sources: Iterable[Source] = ()) -> None:
    """Say that a stage's folder is whole: reads every file once.

    Args:
        sources: what it was made from.
    """
    files = contents(folder, DONE_FILE)
    Mark(name, seconds, made, files, timeless_digests(folder, files), essences(sources)).write(folder)


def essences(sources: Iterable[Source]) -> dict[str, dict[str, str]]:
    """Stage -> output -> what it is now; what is not done or not recorded is left out."""
    found: dict[str, dict[str, str]] = {}
    for one in sources:
        try:
            essence = Mark.read(one.folder).essence(one.output)
        except DamagedStageError:
            continue
        if essence is not None:
            found.setdefault(one.stage, {})[one.output] = essence
    return found


def other_source(known: Inputs, now: Inputs) -> str | None:
    """The first of the outputs that a stage was made from that is another one now: its stage and name."""
    for stage, outputs in known.items():
        for output, essence in outputs.items():
            if now.get(stage, {}).get(output, essence) != essence:
                return f"{stage}/{output}".rstrip("/")
    return None


def damage(folder: Path, *, thorough: bool = False) -> str | None:
    """What of a finished stage is not what was written; None where nothing is, or where nothing is known of its files.

    Args:
        thorough: see `difference`.
    """
    try:
        known = Mark.read(folder).files
    except DamagedStageError as error:
        return f"{DONE_FILE} {error.rule}"
    return None if known is None else difference(folder, known, thorough=thorough)


def require_whole(folder: Path) -> None:
    """Read all files of a finished stage before another stage uses them; what is damaged is not done any more.

    Raises:
        DamagedStageError: a file is not what was written, or the stage is not done.
    """
    found = damage(folder, thorough=True)
    if found is not None:
        disown(folder)
        raise DamagedStageError(f"{NOT_AS_WRITTEN}: {found}", field=folder.name, do="the next `adapt` makes it anew")


def disown(folder: Path) -> None:
    """From now on the stage counts as not done, so that the next `adapt` makes it anew."""
    with suppress(OSError):  # it is so already, or the folder is not ours to write into
        (folder / DONE_FILE).rename(folder / DAMAGED_FILE)


def _digest(content: Mapping[str, Any]) -> str:
    return digest_of_text(canonical_json(content))
