"""Engines and voices as lists: lines, JSON, samples to hear, and one line where nobody speaks a language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from data_synth.plan.inventory import list_voices
from speech_analogy.cli.main import app
from speech_analogy.foundation.listing import print_table
from tests.data_synth.installed import needs
from tests.data_synth.program import status_of

pytestmark = pytest.mark.usefixtures("plugin")


def test_engines_are_listed_with_what_they_lack(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["engines"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert "ready" in lines["fake"]
    assert lines["fake"].endswith("low, high")
    assert "not ready" in lines["broken"]
    assert status_of(["engines", "--json"]) == 0
    found = {record["name"]: record for record in json.loads(capsys.readouterr().out)}
    assert found["fake"]["ready"]
    assert not found["broken"]["ready"]
    assert found["broken"]["lack"]


def test_voices_are_those_of_the_language(capsys: pytest.CaptureFixture[str]) -> None:
    needs("espeak-ng", "flite")
    assert status_of(["voices", "--language", "de", "--json"]) == 0
    found = [record for record in json.loads(capsys.readouterr().out) if record["engine"] in ("espeak-ng", "flite")]
    assert found
    assert {record["engine"] for record in found} == {"espeak-ng"}
    assert {language for record in found for language in record["languages"]} == {"de"}
    assert {"female", "male"} <= {record["sex"] for record in found}
    flite = {record.voice: record for record in list_voices("en", ["flite"])}
    assert (flite["slt"].sex, flite["slt"].default, flite["slt"].here) == ("female", True, True)


def test_a_language_or_an_engine_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["voices", "--engines", "flit"]) == 2
    assert "did you mean 'flite'?" in capsys.readouterr().err
    assert status_of(["voices", "--engines", "broken"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_sample_of_each_voice_is_written_and_one_that_fails_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "hear"
    assert status_of(["voices", "--engines", "flite", "--language", "en", "--listen", str(out), "-q"]) == 0
    written = sorted(out.iterdir())
    assert {path.name for path in written} >= {"flite-slt.flac", "flite-rms.flac"}
    samples, rate = soundfile.read(out / "flite-slt.flac")
    assert 1.0 < len(samples) / rate < 6.0
    assert f"{len(written)} samples" in capsys.readouterr().out


def test_a_voice_that_fails_does_not_take_the_others_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from data_synth.cli.samples import write_samples
    from data_synth.plan.inventory import VoiceRecord

    voices = [VoiceRecord("fake", name, ("en",), "", "", True, True) for name in ("low", "raises", "high")]
    written, failed = write_samples(voices, tmp_path / "out", None, progress=False)
    assert [path.name for path in written] == ["fake-low.flac", "fake-high.flac"]
    assert failed == ["fake:raises: ValueError: no such word"]


def test_lines_are_aligned_where_no_terminal_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "b"], [["long name", "x"], ["y", ""]])
    assert capsys.readouterr().out == "a          b\nlong name  x\ny\n"


def test_both_programs_have_the_same_verbs() -> None:
    names = {command.name for command in app.registered_commands}
    assert {"doctor", "engines", "voices", "systems"} <= names
