"""The command line: a report at the end, one line and status 2 for a mistake."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from data_synth.cli.app import main as program
from data_synth.engines import ENGINES
from data_synth.plan.options import SynthesisOptions
from speech_analogy.cli.main import main as speech_analogy_main
from tests.data_synth.program import status_of

pytestmark = pytest.mark.usefixtures("plugin")


class _AskedError(Exception):
    """Ends a run where synthesis would begin."""


def options_of(words: list[str]) -> SynthesisOptions:
    """What the command line asks synthesis for."""
    asked: list[SynthesisOptions] = []

    def synthesize(texts: object, out: Path, options: SynthesisOptions, **more: object) -> None:
        asked.append(options)
        raise _AskedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data_synth.synthesize.synthesize", synthesize)
        with pytest.raises(_AskedError):
            program(words)
    return asked[0]


def texts(tmp_path: Path, content: str = "turn it on\nstop\n...\n") -> str:
    path = tmp_path / "texts.txt"
    path.write_text(content)
    return str(path)


def test_text_in_speech_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = [texts(tmp_path), "--engines", "fake:low,fake:raises", "--voices-per-text", "2", "--out", str(out)]
    assert status_of([*arguments, "--speed", "0.9", "1.1", "--domain", "home", "--quiet"]) == 0
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
        (["--voices-per-text", "many"], "see python -m data_synth speak --help"),
        (["--engine", "fake"], "No such option: --engine"),
        (["--preset", "paper-brak"], "did you mean 'paper-bark'?"),
        (["--max-cer", "0.2"], "--max-cer: requires --round-trip"),
        (["--round-trip", "nobody", "--gates", "none"], "needs gates, but --gates is none"),
        (["--round-trip", "nobody"], "an entry point of data_synth.recognisers"),
        (["--gates", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--count", "3"], "--count: requires --slots"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    engines = [] if "--engines" in arguments else ["--engines", "fake"]
    assert status_of([texts(tmp_path), "--out", str(tmp_path / "out"), "--quiet", *engines, *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("python -m data_synth")
    assert said in complaint
    assert complaint.count("\n") == 1


def test_typed_comes_before_the_config_and_the_config_before_the_preset(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("voices_per_text: 3\nseed: 7\ngates: {min_level_db: -30}\n")
    plain = [texts(tmp_path), "--out", str(tmp_path / "o")]
    words = [*plain, "--preset", "paper-speecht5", "--config", str(tmp_path / "c.yaml"), "--seed", "9"]
    options = options_of(words)
    assert (options.engines, options.voices_per_text, options.seed) == (("speecht5:random",), 3, 9)
    assert options.gates is not None
    assert options.gates.min_level_db == -30
    assert options_of(plain) == SynthesisOptions()
    assert options_of([*words, "--gates", "none"]).gates is None


def test_gates_come_from_a_file_and_a_recogniser_joins_them(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text('{"max_inner_silence_s": 0.5}')
    words = [texts(tmp_path), "--out", str(tmp_path / "o"), "--gates", str(tmp_path / "g.json")]
    gates = options_of([*words, "--round-trip", "a:b", "--max-cer", "0.1"]).gates
    assert gates is not None
    assert gates.round_trip is not None
    assert (gates.max_inner_silence_s, gates.round_trip.recogniser) == (0.5, "a:b")
    assert gates.round_trip.max_character_error_rate == 0.1


def test_every_option_of_the_command_line_reaches_synthesis(tmp_path: Path) -> None:
    (tmp_path / "channel.json").write_text('{"gain_db": -3}')
    words = ["--engines=a", "--voices-per-text=2", "--seed=1", "--speed", "0.5", "1.5", "--language=fr"]
    words += ["--spoken=none", "--keep-rejected", "--attempts=2", "--timeout=9", "--workers=2", "--storage=shar-opus"]
    words += ["--channel", str(tmp_path / "channel.json"), "--gates=none"]
    assert options_of([texts(tmp_path), "--out", str(tmp_path / "o"), *words]) == SynthesisOptions.parse(
        {"engines": "a", "voices_per_text": 2, "seed": 1, "speed": (0.5, 1.5), "language": "fr", "spoken": "none"}
        | {"keep_rejected": True, "attempts": 2, "timeout_s": 9.0, "workers": 2, "storage": "shar-opus"}
        | {"channel": {"gain_db": -3}, "gates": None}
    )


def test_help_names_every_verb_and_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["--help"]) == 0
    printed = capsys.readouterr().out
    for word in ("speak", "join", "report", "engines", "--out", "--preset", "--speed", "--shard", "--llm-endpoint"):
        assert word in printed
    assert "merge" not in printed
    assert status_of(["speak", "--help"]) == status_of(["texts.txt", "--help"]) == 0


def test_the_engines_are_listed_with_their_voices_or_what_they_lack(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["engines"]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    lines = {cells[0]: cells for row in rows if (cells := re.split(r"\s{2,}", row.strip()))}
    assert tuple(lines) == ENGINES.names()
    assert (lines["fake"][1], lines["fake"][-1]) == ("ready", "low, high")
    assert lines["broken"][1] == "not ready"


def test_templates_are_filled_in_by_both_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text("song: [yesterday, help]\n")
    words = [texts(tmp_path, "play {song}\n"), "--engines", "fake:low", "--slots", str(tmp_path / "s.yaml"), "-q"]
    assert status_of([*words, "--out", str(tmp_path / "one")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["speech-analogy", "synthesize", *words, "--out", str(tmp_path / "two")])
        with pytest.raises(SystemExit) as ended:
            speech_analogy_main()
        assert not ended.value.code
    assert capsys.readouterr().out.count("2 of 2 clips kept") == 2
    clips = [{path.name for path in (tmp_path / name).rglob("*.flac")} for name in ("one", "two")]
    assert clips[0] == clips[1]
    assert len(clips[0]) == 2


def test_a_file_without_a_usable_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of([texts(tmp_path, "\n\n"), "--out", str(tmp_path / "out")]) == 2
    assert "no usable text" in capsys.readouterr().err


def test_starting_does_not_import_torch() -> None:
    code = (
        "import sys, data_synth.cli.app, data_synth.cli.speak, data_synth.synthesize; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
