"""What every stage function is given, and the names of the files that one stage writes and another reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.corpora.read import read_cuts
from speech_analogy.evaluation.evaluate import Evaluation
from speech_analogy.evaluation.results import write_hypotheses

CUTS_FILE, MODEL_FOLDER, SCORE_FILE, HYPOTHESES_FILE = "cuts.jsonl.gz", "model", "score.json", "hypotheses.jsonl"
CHOICE_FILE, TEXTS_FILE, CURVE_FILE = "choice.json", "target_texts.jsonl", "curve.json"
FEATURES_FOLDER = "features"  # of a run, while it lasts


@dataclass(frozen=True)
class Work:
    """What a stage function is given."""

    name: str
    folder: Path  # to fill; it may hold what a killed run left
    final: Path  # what the folder will be called when the stage is whole
    params: dict[str, Any]
    inputs: dict[str, Path]  # stage name -> folder
    progress: bool

    def cuts(self, name: str, file: str = CUTS_FILE) -> CutSet:
        return read_cuts(self.inputs[name] / file)

    def model(self, name: str) -> Path:
        """The model folder that a stage has made."""
        return self.inputs[name] / MODEL_FOLDER

    def write(self, file: str, content: Any) -> None:
        (self.folder / file).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def read(self, name: str, file: str) -> Any:
        return json.loads((self.inputs[name] / file).read_text(encoding="utf-8"))


def write_evaluation(found: Evaluation, folder: Path) -> None:
    """Score and hypotheses of one system into one folder."""
    content = {"system": found.system.model_dump(), "dropped_empty_references": found.dropped_empty_references}
    (folder / SCORE_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    write_hypotheses(found.hypotheses, folder / HYPOTHESES_FILE)


CLUSTERS_STAGE, CLUSTERS_FILE, WEIGHTS_FILE = "speaker-clusters", "clusters.json", "weights.json"
