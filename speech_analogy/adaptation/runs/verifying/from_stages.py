"""What `results.json` has taken over from stages: times, choices, the estimate, other decoders, held-out scores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.stage import HASH_DIGITS, STAGES_FOLDER
from speech_analogy.adaptation.records.mark import DONE_FILE, DamagedStageError, Mark
from speech_analogy.adaptation.runs.verifying.differing import differing, nearest
from speech_analogy.adaptation.runs.verifying.figures import label
from speech_analogy.adaptation.stages.params.base import CHOICE_FILE, DECODERS_FILE, SCORE_FILE
from speech_analogy.adaptation.stages.params.stand_in_params import DECISION_FILE
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.evaluation.results import Results
from speech_analogy.foundation.user_files.json_text import read_json

COPIED = ("seconds", "words_on_silence")  # of a system's score by its stage
STAGE_NAME = re.compile(rf"(.+)-[0-9a-f]{{{HASH_DIGITS}}}")


class Records:
    """The finished stages of a run by name, without its plan; of one name there may be several."""

    def __init__(self, run: Path) -> None:
        self.folders: dict[str, list[Path]] = {}
        stages = run / STAGES_FOLDER
        for folder in sorted(stages.iterdir()) if stages.is_dir() else ():
            named = STAGE_NAME.fullmatch(folder.name)
            if named and (folder / DONE_FILE).is_file():
                self.folders.setdefault(named.group(1), []).append(folder)

    def read(self, name: str, file: str) -> list[Any]:
        """The JSON of a file of each stage of this name; what cannot be read is left out."""
        found = []
        for folder in self.folders.get(name, ()):
            try:
                found.append(read_json(folder / file))
            except SpeechAnalogyError:
                continue
        return found

    def seconds(self, name: str) -> list[float]:
        """The time that each stage of this name took."""
        found = []
        for folder in self.folders.get(name, ()):
            try:
                found.append(Mark.read(folder).seconds)
            except DamagedStageError:
                continue
        return found

    def scores(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Stage -> the system's score in it, of every stage that has one."""
        for name in self.folders:
            for content in self.read(name, SCORE_FILE):
                if isinstance(content, dict) and isinstance(content.get("system"), dict):
                    yield name, content["system"]


def not_of_stages(run: Path, results: Results) -> list[str]:
    """Figures that no stage of the run says."""
    records = Records(run)
    found: list[str] = []
    for name, said in results.seconds.items():
        found += nearest(records.seconds(name), said, f"seconds[{name}]")
    found += _of_choices(records, results)
    if results.other_decoders:
        own = records.read(names.IN_DECODERS, DECODERS_FILE)
        found += nearest(own, [one.model_dump() for one in results.other_decoders], "other_decoders")
    found += _of_systems(records, results)
    return found


def _of_choices(records: Records, results: Results) -> Iterator[str]:
    if results.estimate is not None:
        decisions = records.read(names.CHOOSE_SCALE, DECISION_FILE)
        yield from nearest(decisions, results.estimate.model_dump(mode="json"), "estimate")
    chosen = results.selection
    if chosen is None:
        return
    said: dict[str, Any] = {"scale": chosen.scale, "chosen_on": chosen.scale_chosen_on}
    own = [{name: one.get(name) for name in said} for one in records.read(names.CHOOSE_SCALE, CHOICE_FILE)]
    yield from nearest(own, said, "selection")
    if chosen.scale_curve:
        curves = [one.get("curve") for one in records.read(names.CHOOSE_SCALE, CHOICE_FILE)]
        yield from nearest(curves, [one.model_dump() for one in chosen.scale_curve], "selection.scale_curve")
    if chosen.training_trials:
        trials = [one.get("trials") for one in records.read(names.CHOOSE_TRAINING, CHOICE_FILE)]
        yield from nearest(trials, chosen.training_trials, "selection.training_trials")
    for one in chosen.strategies:
        stage = names.CHOOSE_SCALE if one.taken else names.choose_scale_by(one.strategy)
        scales = [choice.get("scale") for choice in records.read(stage, CHOICE_FILE)]
        yield from nearest(scales, one.scale, f"selection.strategies[{one.strategy}].scale")


def _of_systems(records: Records, results: Results) -> Iterator[str]:
    """Of systems that one stage has evaluated; several seeds are pooled."""
    scores = list(records.scores())
    for one in results.systems:
        if one.wer_of_seeds:
            continue
        same = [score for _, score in scores if not list(differing(score.get("wer"), one.wer, ""))]
        own = [{name: score.get(name) for name in COPIED} for score in same]
        yield from nearest(own, {name: getattr(one, name) for name in COPIED}, label(one))
        kept = [score.get("wer") for name, score in scores if name.endswith("-on-source_dev")]
        if one.source_wer is not None:
            yield from nearest(kept, one.source_wer, f"{label(one)}.source_wer")
