"""What would fail in a run, looked for before any work: weights that cannot be had, engines, voices, their language."""

from __future__ import annotations

from collections.abc import Iterable

from data_synth.plan.checks import check_speech
from data_synth.plan.options import SynthesisOptions
from speech_analogy.adaptation.execution.protocol import RunError
from speech_analogy.adaptation.plan.estimate import weights_bytes
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.stages.params.speech_params import SpeechParams, SynthesisParams
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.disk.refusals import require_room
from speech_analogy.recognisers.weights import resolve_weights


def check_run(recipe: Recipe, plans: Iterable[Plan]) -> None:
    """Raise where what is left of a recipe's plans cannot be done; what is finished needs nothing any more.

    Raises:
        WeightsUnavailableError, CheckpointError: the base is neither on this machine nor to be had, or is broken.
        SynthesisError: an engine, a voice, its package or its weights are missing, a voice speaks another language
            than the texts, or an engine takes no such parameter; the nearest name and the command to install are said.
        ConfigError: nobody who is installed speaks the language.
    """
    undone = [stage for plan in plans for stage in plan.undone()]
    if not undone:
        return
    resolve_weights(recipe.base)
    asked: list[SynthesisOptions] = []
    for stage in undone:
        if isinstance(stage.params, SynthesisParams | SpeechParams) and stage.params.options not in asked:
            asked.append(stage.params.options)
    for options in asked:
        _check(recipe, options)


def require_room_for(recipe: Recipe, plan: Plan) -> None:
    """Refuse to begin a run whose models the disk cannot hold; speech and features come on top of them.

    Raises:
        RunError: with the bytes needed and the bytes free.
    """
    made = [stage for stage in plan.undone() if stage.makes_a_model and plan.made_elsewhere(stage.name) is None]
    require_room(plan.run, len(made) * weights_bytes(recipe.base), error=RunError)


def _check(recipe: Recipe, options: SynthesisOptions) -> None:
    """`check_speech`; the error says which side of the recipe asks for it."""
    try:
        check_speech(options)
    except SynthesisError as error:
        sides = {"source": recipe.spoken.source, "target": recipe.spoken.target}
        asking = [side for side, its in sides.items() if its.engines == options.engines]
        where = f"synthesis.{asking[0]}: " if len(asking) == 1 else "synthesis: "
        field = where + (error.field or "engines")
        raise type(error)(error.rule, file=error.file, field=field, value=error.value, do=error.do) from None
