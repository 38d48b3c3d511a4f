"""A test whose recordings or speakers would be in training is refused before any work, or every table says so."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.adaptation.runs.adapt import plan_of
from speech_analogy.adaptation.runs.domains import plan_domains
from speech_analogy.adaptation.runs.overlap import met_in, spoken_in
from speech_analogy.errors import DataError
from speech_analogy.evaluation.evaluate import score
from speech_analogy.evaluation.results import Overlap
from speech_analogy.evaluation.transcribe import Transcript, Transcription
from speech_analogy.foundation.hash_sets import short_hash
from tests.conftest import REPOSITORY, make_corpus


@pytest.fixture
def recipe(tmp_path: Path, small_whisper: Path) -> Path:
    """Speakers of the source are none of the target's."""
    make_corpus(tmp_path / "data", 24, domains=("a", "b"))
    content = {
        "title": "noises",
        "base": str(small_whisper),
        "corpus": {"kind": "folder", "path": "data"},
        "split": {"target_domains": ["a"], "source_dev": {"prompts": 2}},
        "synthesis": {side: {"engines": ["hibari"], "gates": None} for side in ("source", "target")},
        "systems": ["source_real", "target_synthetic"],
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(content))
    return tmp_path


def _changed(recipe: Path, column: str, value: str, row: int) -> None:
    table = recipe / "data/metadata.csv"
    rows = list(csv.DictReader(table.open()))
    rows[row][column] = value
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_other_speakers_are_a_test(recipe: Path) -> None:
    plan_of(recipe, recipe / "run")


@pytest.mark.parametrize("systems", ["[source_real]", "[target_synthetic, mixed]"])
def test_a_speaker_of_the_source_is_refused_in_the_test(recipe: Path, systems: str) -> None:
    for row in range(1, 24, 2):
        _changed(recipe, "speaker", "s0", row)  # all of the source, and a third of the target
    refused = r"speakers of the test were in training .*1 of 3.* --allow-overlap"
    with pytest.raises(DataError, match=refused) as caught:
        plan_of(recipe, recipe / "run", overrides=[f"systems={systems}"])
    assert "\n" not in str(caught.value)
    assert not (recipe / "run").exists()
    with pytest.raises(DataError, match=refused):
        plan_domains(recipe, recipe / "run", domains=["a"], overrides=[f"systems={systems}"])
    allowed = plan_of(recipe, recipe / "run", overrides=[f"systems={systems}", "allow_overlap=speakers"])[1]
    anything = plan_of(recipe, recipe / "run", overrides=[f"systems={systems}", "allow_overlap=recordings"])[1]
    assert allowed.digest() == anything.digest()  # the key changes nothing that is done
    plan_of(recipe, recipe / "run", overrides=["systems=[target_synthetic]"])  # no real speech is trained on


def test_a_recording_of_the_source_is_refused_in_the_test_under_any_name(recipe: Path) -> None:
    shutil.copyfile(recipe / "data/001.wav", recipe / "data/000.wav")
    for allowed in ([], ["allow_overlap=speakers"]):
        with pytest.raises(DataError, match=r"recordings of the test were in training .*1 of 12"):
            plan_of(recipe, recipe / "run", overrides=allowed)
    plan_of(recipe, recipe / "run", overrides=["allow_overlap=recordings"])


def test_unknown_speakers_are_not_known_to_overlap(recipe: Path) -> None:
    for row in range(24):
        _changed(recipe, "speaker", "unknown", row)
    plan_of(recipe, recipe / "run")


@pytest.mark.parametrize("name", ["phone_line", "phone_line_es", "phone_line_fr", "phone_line_it", "slurp"])
def test_recipes_of_one_voice_say_so(name: str) -> None:
    assert load_recipe(REPOSITORY / "recipes" / name)[0].allow_overlap == "speakers"


def test_what_was_met_and_spoken_is_counted(noises: CutSet) -> None:
    heard = Transcription([Transcript(cut.id, "x", cut.duration) for cut in noises], "trimmed", 1.0)
    rows = score(noises, heard).hypotheses
    trained = list(noises)[:1]
    assert met_in(rows, trained, recordings=False) == Overlap(recordings=0, speakers=1, utterances=4)
    assert met_in(rows, trained, recordings=True) == Overlap(recordings=1, speakers=1, utterances=4)
    made = trained[0].with_id("made")
    made.custom = {**made.custom, "kind": "synthetic"}
    assert met_in(rows, [made], recordings=True) == Overlap(recordings=0, speakers=0, utterances=0)
    said = made.supervisions[0].text
    assert spoken_in([made, trained[0]], str.upper) == {short_hash(said.upper())}
