"""Adapt a speech recogniser to a domain with text but no recorded speech: τ_D = τ_C + λ(τ_B − τ_A)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["TaskVector", "adapt", "analogy", "evaluate", "finetune", "shorten", "transcribe", "widen"]

_HOMES = {
    "TaskVector": "speech_analogy.merging.vectors.task_vector",
    "analogy": "speech_analogy.merging.analogy",
    "finetune": "speech_analogy.training.finetune",
    "shorten": "speech_analogy.training.distilling.shorten",
    "transcribe": "speech_analogy.long_audio.transcribe",
    "evaluate": "speech_analogy.evaluation.evaluate",
    "widen": "speech_analogy.training.distilling.widen",
    "adapt": "speech_analogy.adaptation.runs.adapt",
}

if TYPE_CHECKING:
    from speech_analogy.adaptation.runs.adapt import adapt
    from speech_analogy.evaluation.evaluate import evaluate
    from speech_analogy.long_audio.transcribe import transcribe
    from speech_analogy.merging.analogy import analogy
    from speech_analogy.merging.vectors.task_vector import TaskVector
    from speech_analogy.training.distilling.shorten import shorten
    from speech_analogy.training.distilling.widen import widen
    from speech_analogy.training.finetune import finetune


def __getattr__(name: str) -> object:
    """Import the public names when they are first used, so that `import speech_analogy` stays instant."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
