"""What every stage function is given: typed parameters, the folder to fill, and the outputs of other stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lhotse import CutSet

from speech_analogy.adaptation.stages.params.base import HYPOTHESES_FILE, SCORE_FILE, Output, StageParams
from speech_analogy.corpora.read import read_cuts
from speech_analogy.evaluation.evaluate import Evaluation
from speech_analogy.evaluation.results import write_hypotheses
from speech_analogy.foundation.files import write_json
from speech_analogy.foundation.user_files.json_text import read_json

FEATURES_FOLDER = "features"  # of a run, while it lasts

P_co = TypeVar("P_co", bound=StageParams, covariant=True)


@dataclass(frozen=True)
class Work(Generic[P_co]):
    """What a stage function is given.

    Attributes:
        name: of the stage.
        folder: to fill; it may hold what a killed run left.
        final: what the folder will be called when the stage is whole.
        inputs: stage -> folder, of every stage whose outputs `params` uses.
        progress: whether it is shown.
    """

    name: str
    folder: Path
    final: Path
    params: P_co
    inputs: dict[str, Path]
    progress: bool

    @property
    def features(self) -> Path:
        """Where the run keeps features that several fine-tunings share."""
        return self.final.parents[1] / FEATURES_FOLDER

    def path(self, output: Output) -> Path:
        """Where an output of another stage is."""
        return self.inputs[output.stage] / output.file

    def cuts(self, output: Output) -> CutSet:
        return read_cuts(self.path(output))

    def read(self, output: Output) -> Any:
        """The JSON of an output."""
        return read_json(self.path(output))

    def write(self, file: str, content: Any) -> None:
        """Write JSON into the stage's own folder."""
        write_json(self.folder / file, content)


def write_evaluation(found: Evaluation, folder: Path) -> None:
    """Score and hypotheses of one system into one folder."""
    content = {"system": found.system.model_dump(), "dropped_empty_references": found.dropped_empty_references}
    write_json(folder / SCORE_FILE, content)
    write_hypotheses(found.hypotheses, folder / HYPOTHESES_FILE)
