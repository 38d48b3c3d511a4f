"""Stages and the order they hang together in; each stage's folder is named by a hash of all that it is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HASH_DIGITS = 12
DONE_FILE = "stage.json"


@dataclass(frozen=True)
class Stage:
    """One piece of work: a kind of stage with its parameters, and the stages whose results it reads."""

    name: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)  # JSON; enters the hash
    needs: tuple[str, ...] = ()
    cost_s: float = 1.0
    """Estimated seconds on one core; decides who goes first, never what comes out."""


class Plan:
    """The stages of a run, in an order in which they can be done.

    Args:
        run: the run's folder.
        stages: every stage behind the ones it needs.
        versions: kind -> version of the code that does it; a new version makes its stages anew.
    """

    def __init__(self, run: Path, stages: list[Stage], versions: dict[str, int]) -> None:
        self.run = run
        self.stages: dict[str, Stage] = {}
        self._hashes: dict[str, str] = {}
        for stage in stages:
            if stage.name in self.stages:
                raise ValueError(f"two stages are called {stage.name}")
            content = {
                "kind": stage.kind,
                "version": versions[stage.kind],
                "params": stage.params,
                "needs": {name: self._hashes[name] for name in stage.needs},
            }
            self.stages[stage.name] = stage
            self._hashes[stage.name] = hashlib.sha256(
                json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
            ).hexdigest()

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages.values())

    def __len__(self) -> int:
        return len(self.stages)

    def folder(self, name: str) -> Path:
        """Where the stage's results are, or will be."""
        return self.run / "stages" / f"{name}-{self._hashes[name][:HASH_DIGITS]}"

    def building(self, name: str) -> Path:
        """Where the stage is built before it is renamed; what a killed one left there is gone on from."""
        final = self.folder(name)
        return final.with_name(f".{final.name}.building")

    def digest(self) -> str:
        """Of all its stages and what they are made from."""
        names = "\n".join(self.folder(stage.name).name for stage in self)
        return hashlib.sha256(names.encode()).hexdigest()

    def is_done(self, name: str) -> bool:
        return (self.folder(name) / DONE_FILE).is_file()

    def inputs(self, name: str) -> dict[str, Path]:
        """The folders of the stages that this one reads."""
        return {need: self.folder(need) for need in self.stages[name].needs}

    def seconds(self, name: str) -> float:
        """Wall time that a finished stage took, over all of its starts."""
        content = json.loads((self.folder(name) / DONE_FILE).read_text(encoding="utf-8"))
        return float(content["seconds"])
