"""`bias` and --text-bias: a folder of a domain's text is made and used; mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_analogy.cli.biasing import BiasChoice, bias_command, text_bias
from speech_analogy.cli.transcribing import transcribe_command
from speech_analogy.errors import ConfigError


@pytest.fixture
def menu(tmp_path: Path) -> Path:
    file = tmp_path / "menu.txt"
    file.write_text("two curries please\none naan and two curries\n")
    return file


def test_a_folder_is_made_and_decodes_as_its_texts_do(
    small_whisper: Path, menu: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tmp_path / "order.wav"
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    soundfile.write(sound, noise, 16_000)
    rest = tmp_path / "rest.txt"
    rest.write_text("one and two\n")
    settings = ["text_weight=60", "order=3"]
    bias_command(menu, str(small_whisper), tmp_path / "bias", background=rest, settings=settings)
    assert "3 words that are rare elsewhere" in capsys.readouterr().out
    assert (tmp_path / "bias" / "words.txt").read_text() == "curries\nnaan\nplease\n"
    written = []
    for texts, given in ((menu, settings), (tmp_path / "bias", None), (None, None)):
        transcribe_command([sound], str(small_whisper), texts=texts, bias_settings=given, quiet=True)
        written.append(capsys.readouterr().out)
    assert written[0] == written[1] != written[2]
    assert set(written[0].split()) <= {"order.wav", *menu.read_text().split()}


@pytest.mark.parametrize(
    ("method", "settings", "with_text", "rule"),
    [
        (BiasChoice.trie, None, False, "--bias-method: needs the domain's texts"),
        (None, ["order=3"], False, "--bias-set: needs the domain's texts"),
        (None, ["order"], True, "--bias-set: must be key=value"),
        (None, ["ordre=3"], True, "ordre: there is no such key.*order"),
        (None, ["order=0"], True, "order: .*greater than or equal to 1"),
        (None, ["background_weight=0.2"], True, "needs background texts"),
    ],
)
def test_mistakes_are_named(
    menu: Path, method: BiasChoice | None, settings: list[str] | None, with_text: bool, rule: str
) -> None:
    with pytest.raises(ConfigError, match=rule):
        text_bias(menu if with_text else None, method, None, settings)
