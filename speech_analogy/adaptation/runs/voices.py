"""What each voice spoke for a run: clips, speech, licence."""

from __future__ import annotations

from typing import Literal

from data_synth.engines import load_engine
from data_synth.engines.base import facts_of
from data_synth.report.yields import measure
from data_synth.store.ledger import LEDGER_NAME
from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.evaluation.results import SpokenBy

SIDES: tuple[Literal["target", "source"], ...] = ("target", "source")


def spoken_by(plan: Plan) -> list[SpokenBy]:
    """Every voice of a finished run's synthesis, the target's first."""
    found = []
    for side in SIDES:
        stage = names.synthesis(side)
        ledger = plan.folder(stage) / LEDGER_NAME if stage in plan.stages else None
        if ledger is not None and ledger.is_file():
            found += [
                SpokenBy(
                    side=side,
                    voice=voice.name,
                    asked=voice.asked,
                    kept=voice.kept,
                    attempts=voice.attempts,
                    seconds=round(voice.seconds, 3),
                    licence=_licence(voice.name),
                )
                for voice in measure(ledger).by_voice
            ]
    return found


def _licence(name: str) -> str:
    """What the engine says of its voice; empty where it says nothing, or is not on this machine any more."""
    engine, _, voice = name.partition(":")
    try:
        return facts_of(load_engine(engine), voice).licence
    except SpeechAnalogyError:
        return ""
