"""The command line: a report at the end, one line and status 2 for a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data_synth.__main__ import main

pytestmark = pytest.mark.usefixtures("plugin")


def texts(tmp_path: Path, content: str = "turn it on\nstop\n...\n") -> str:
    path = tmp_path / "texts.txt"
    path.write_text(content)
    return str(path)


def test_text_in_speech_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = [texts(tmp_path), "--engines", "fake:low,fake:raises", "--voices-per-text", "2", "--out", str(out)]
    assert main([*arguments, "--speed", "0.9", "1.1", "--domain", "home", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "2 of 4 clips kept" in printed
    assert "rejected: engine 6, unspeakable 1" in printed
    assert "by domain: home 2/4" in printed
    assert "by voice: fake:low 2/2, fake:raises 0/2" in printed
    assert (out / "cuts.jsonl.gz").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engines", "fkae"], "did you mean 'fake'?"),
        (["--engines", "fake:raises"], "no clip was kept"),
        (["--speed", "2", "1"], "low <= high"),
        (["--voices-per-text", "0"], "voices_per_text"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    engines = [] if "--engines" in arguments else ["--engines", "fake"]
    assert main([texts(tmp_path), "--out", str(tmp_path / "out"), "--quiet", *engines, *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ")
    assert said in complaint
    assert complaint.count("\n") == 1


def test_a_file_without_a_usable_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([texts(tmp_path, "\n\n"), "--out", str(tmp_path / "out")]) == 2
    assert "no usable text" in capsys.readouterr().err


def test_starting_does_not_import_torch() -> None:
    code = "import sys, data_synth.__main__, data_synth.synthesize; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
