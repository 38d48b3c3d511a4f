"""What makes a stage: the command, the versions of the toolkit and of its libraries, the machine."""

from __future__ import annotations

from typing import Any

from speech_analogy.evaluation.environment import library_versions, machine_record


def made_here(command: str) -> dict[str, Any]:
    """What this process makes a stage with.

    Args:
        command: what the user typed.
    """
    return {"command": command, "versions": library_versions(), "machine": machine_record()}
