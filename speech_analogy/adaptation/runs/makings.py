"""What made the stages of a run, from what each says of itself."""

from __future__ import annotations

from typing import Any

from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.records.making import made_here
from speech_analogy.evaluation.environment import Making
from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.digests import canonical_json


def makings(plan: Plan, earlier: Results | None, command: str) -> list[Making]:
    """Each command, set of versions and machine that made stages of a finished plan, that of most stages first.

    Args:
        earlier: what the run's results said before: of stages that say nothing themselves.
        command: of now, where there is neither.
    """
    unsaid = made_here(command) if earlier is None else _as_reported(earlier)
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for stage in plan:
        made = dict(plan.mark(stage.name).made) or unsaid
        found.setdefault(canonical_json(made), (made, []))[1].append(stage.name)
    listed = [Making(**made, stages=stages) for made, stages in found.values()]
    return sorted(listed, key=lambda one: -len(one.stages))


def _as_reported(earlier: Results) -> dict[str, Any]:
    return {"command": earlier.command, "versions": earlier.versions, "machine": earlier.machine}
