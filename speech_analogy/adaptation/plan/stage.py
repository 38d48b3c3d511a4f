"""Stages and the graph they form; each stage's folder is named by a hash of all that it is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.records.mark import DONE_FILE, DamagedStageError, Mark, Source, essences, other_source
from speech_analogy.adaptation.stages.params.base import Elsewhere, Output, StageParams

HASH_DIGITS = 12
STAGES_FOLDER = "stages"  # of a run


@dataclass(frozen=True)
class Resources:
    """What a stage asks of the machine that does it.

    Attributes:
        cores: that it keeps busy.
        gpu: whether it computes on a GPU where there is one.
        memory_bytes: about how much it needs at its peak; 0 where nothing is known.
    """

    cores: int = 1
    gpu: bool = False
    memory_bytes: int = 0


@dataclass(frozen=True)
class Stage:
    """One piece of work: its parameters, which name the outputs that it reads."""

    name: str
    params: StageParams
    cost_s: float = 1.0
    """Estimated seconds on one core; decides who goes first, never what comes out."""
    resources: Resources = Resources()

    def __getitem__(self, output: str) -> Output:
        """One of its outputs, by name: whoever uses it depends on this stage."""
        return Output(self.name, self.params.outputs[output])

    @property
    def kind(self) -> str:
        return self.params.kind

    @cached_property
    def record(self) -> dict[str, Any]:
        """Its parameters as JSON."""
        return self.params.record()

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The stages whose outputs it reads, each once."""
        return tuple(dict.fromkeys(output.stage for output in self.params.used()))

    @property
    def makes_a_model(self) -> bool:
        return "model" in self.params.outputs


class Plan:
    """The stages of a run, in an order in which they can be done.

    Args:
        run: the run's folder.
        stages: every stage behind the ones it needs.
        siblings: folders of other runs: what one of them has finished under the same name is taken over.
    """

    def __init__(self, run: Path, stages: Iterable[Stage], siblings: Iterable[Path] = ()) -> None:
        self.run, self.siblings = run, tuple(siblings)
        self.stages: dict[str, Stage] = {}
        self._hashes: dict[str, str] = {}
        self._left_out: frozenset[str] = frozenset()
        for stage in stages:
            if stage.name in self.stages:
                raise ValueError(f"two stages are called {stage.name}")
            content = {
                "kind": stage.params.kind,
                "version": stage.params.version,
                "params": stage.record,
                "needs": self._identities(stage),
            }
            self.stages[stage.name] = stage
            self._hashes[stage.name] = _sha256(json.dumps(content, sort_keys=True, ensure_ascii=False))

    def _identities(self, stage: Stage) -> dict[str, str]:
        """What the stage reads: each stage's hash, or what stands for the outputs that are read."""
        found: dict[str, list[str]] = {}
        for output in stage.params.used():
            identity = self.stages[output.stage].params.identity(output.file) or self._hashes[output.stage]
            of_stage = found.setdefault(output.stage, [])
            if identity not in of_stage:
                of_stage.append(identity)
        return {name: own[0] if len(own) == 1 else _sha256("\n".join(sorted(own))) for name, own in found.items()}

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages.values())

    def __len__(self) -> int:
        return len(self.stages)

    def folder(self, name: str) -> Path:
        """Where the stage's results are, or will be."""
        return self.run / STAGES_FOLDER / f"{name}-{self._hashes[name][:HASH_DIGITS]}"

    def path(self, output: Output) -> Path:
        """Where an output is, or will be."""
        return self.folder(output.stage) / output.file

    def building(self, name: str) -> Path:
        """Where the stage is built before it is renamed; what a killed one left there is gone on from."""
        final = self.folder(name)
        return final.with_name(f".{final.name}.building")

    def digest(self) -> str:
        """Of all its stages and what they are made from."""
        return _sha256("\n".join(self.folder(stage.name).name for stage in self))

    def is_done(self, name: str) -> bool:
        return name not in self._left_out and (self.folder(name) / DONE_FILE).is_file()

    def leave_out(self, names: Iterable[str]) -> None:
        """Count finished stages as undone from here on, in this object alone."""
        self._left_out = frozenset(names)

    def undone(self) -> list[Stage]:
        """The stages that are left to do."""
        return [stage for stage in self if not self.is_done(stage.name)]

    def made_elsewhere(self, name: str) -> Path | None:
        """The folder of the same stage, finished, in a sibling run."""
        folders = (run / STAGES_FOLDER / self.folder(name).name for run in self.siblings)
        return next((folder for folder in folders if (folder / DONE_FILE).is_file()), None)

    def inputs(self, name: str) -> dict[str, Path]:
        """The folders of the stages that this one reads."""
        return {need: self.folder(need) for need in self.stages[name].needs}

    def outdated(self, name: str) -> str | None:
        """The output of another stage that a finished stage was made from and that is another one now; else None."""
        if not self.is_done(name):
            return None
        try:
            known = self.mark(name).inputs
        except DamagedStageError:
            return None
        return other_source(known, essences(sources(self.stages[name].params, self.inputs(name)))) if known else None

    def seconds(self, name: str) -> float:
        """Wall time that a finished stage took, over all of its starts."""
        return self.mark(name).seconds

    def mark(self, name: str) -> Mark:
        """What a finished stage says of itself."""
        return Mark.read(self.folder(name))


def sources(params: StageParams, inputs: Mapping[str, Path]) -> list[Source]:
    """What a stage is made from.

    Args:
        inputs: stage -> folder, of every stage that this one reads.
    """
    own = [Source(output.stage, output.file, inputs[output.stage]) for output in params.used()]
    return own + [Source(folder.name, "", folder) for folder in elsewhere(params)]


def elsewhere(params: StageParams) -> list[Path]:
    """Finished stages of other plans that a stage reads."""
    values = [getattr(params, name) for name in type(params).model_fields]
    listed = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    return [one.folder for one in listed if isinstance(one, Elsewhere)]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
