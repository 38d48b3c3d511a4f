"""What was spoken: a row a voice, and a warning where a licence forbids what users may want."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.evaluation.results import Results, SpokenBy
from speech_analogy.report.details.voices import voices
from speech_analogy.report.markdown import render
from speech_analogy.report.report import write_report
from tests.report.fake_run import make_run

HEART = SpokenBy(
    side="target", voice="hibari:heart", asked=1200, kept=1150, attempts=1300, seconds=3600.0, licence="MIT"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices") / "run"
    make_run(folder)
    return folder


def with_voices(run: Path, *spoken: SpokenBy) -> Results:
    results = Results.read(run / "results.json").model_copy(update={"spoken_by": list(spoken)})
    results.write(run / "results.json")
    return results


def test_nothing_is_said_where_nothing_is_known(run: Path) -> None:
    assert voices(with_voices(run)) is None
    assert 'id="voices"' not in write_report(run).read_text(encoding="utf-8")


def test_a_row_a_voice_in_the_page_and_in_markdown(run: Path) -> None:
    results = with_voices(run, HEART, HEART.model_copy(update={"side": "source", "kept": 1, "seconds": 90.0}))
    found = voices(results)
    assert found is not None
    assert found.rows == [
        ["hibari:heart", "the target's texts", "1,150 of 1,200", "150", "60.0", "MIT"],
        ["hibari:heart", "the source's texts", "1 of 1,200", "1,299", "1.5", "MIT"],
    ]
    assert found.notes == []
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count(">hibari:heart</th>") == 2
    assert "| hibari:heart | the target's texts | 1,150 of 1,200 | 150 | 60.0 | MIT |" in render(results)


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("CC-BY-NC-4.0", "Not for commercial use, and so perhaps the model: x:y (CC-BY-NC-4.0)."),
        ("Coqui, non-commercial", "Not for commercial use, and so perhaps the model: x:y (Coqui, non-commercial)."),
        ("", "The licence is not known of x:y: look before you use the model for more."),
        ("NCSA", None),
        ("CC0", None),
    ],
)
def test_licences_that_forbid_and_those_that_nobody_knows(run: Path, licence: str, said: str | None) -> None:
    found = voices(with_voices(run, HEART, HEART.model_copy(update={"voice": "x:y", "licence": licence})))
    assert found is not None
    assert found.notes == ([] if said is None else [said])
