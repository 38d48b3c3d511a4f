"""What a system is trained on, and whose base it keeps."""

from __future__ import annotations

import json
from pathlib import Path

from lhotse import CutSet

from speech_analogy.adaptation.stages.finetuning import keep_base, training_cuts
from speech_analogy.adaptation.stages.params.training_params import FinetuneParams
from speech_analogy.training.options import FinetuneOptions
from tests.adaptation.building import DEV, work_of


def test_training_sets_by_domain_and_replay(inputs: dict[str, Path], noises: CutSet, tmp_path: Path) -> None:
    sets = dict.fromkeys(("target_synthetic", "source_real"), DEV)
    plain = FinetuneParams(system="x", sets=sets, base="x", base_key="", training=FinetuneOptions())
    count = len(noises)
    for number, (more, expected) in enumerate(
        [
            ({}, 2 * count),
            ({"domains": ("a",)}, count),
            ({"without": ("a",)}, count),
            ({"replay": 0.25}, count + count // 4),
        ]
    ):
        work = work_of(tmp_path / f"cuts{number}", plain.model_copy(update=more), inputs)
        assert len(training_cuts(work)) == expected


def test_a_model_that_goes_on_from_another_is_still_of_the_base(tmp_path: Path) -> None:
    for name, content in (("start", {"base_fingerprint": "0"}), ("model", {"base_fingerprint": "1", "window": "full"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "provenance.json").write_text(json.dumps(content))
    for _ in range(2):  # killed behind the rewriting, it is done again
        keep_base(tmp_path / "model", tmp_path / "start")
        record = json.loads((tmp_path / "model" / "provenance.json").read_text())
        assert record == {"base_fingerprint": "0", "window": "full", "continued_from": "1"}
