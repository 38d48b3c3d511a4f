"""A plan whose stages run in worker processes: their parameters are found there by import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.stages import registry
from speech_analogy.adaptation.stages.params.base import StageParams
from speech_analogy.adaptation.stages.work import Work


class MarkParams(StageParams):
    """Writes a file, or ends its process."""

    kind: ClassVar = "mark"
    version: ClassVar = 1
    outputs: ClassVar = {"mark": "mark.json"}

    deadly: bool


def mark(work: Work[Any]) -> None:
    if work.params.deadly:
        os._exit(9)
    work.write("mark.json", os.getpid())


registry.FUNCTIONS[MarkParams] = mark


def plan_of_processes(run: Path, *, deadly: bool = False) -> Plan:
    """Three stages that wait for nothing."""
    stages = [Stage(name, MarkParams(deadly=False)) for name in ("one", "two")]
    return Plan(run, [*stages, Stage("deadly" if deadly else "three", MarkParams(deadly=deadly))])
