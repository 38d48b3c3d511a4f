"""The command line: a report at the end, one line and status 2 for a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data_synth.__main__ import _parser, _values, main
from data_synth.plan.options import SynthesisOptions
from speech_analogy.cli.main import main as speech_analogy_main

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
        (["--voices-per-text", "many"], "invalid int value: 'many'; see python -m data_synth --help"),
        (["--engine", "fake"], "unrecognized arguments: --engine fake"),
        (["--preset", "paper-brak"], "use paper-bark"),
        (["--max-cer", "0.2"], "is of the round trip"),
        (["--round-trip", "nobody", "--gates", "none"], "gates are off"),
        (["--round-trip", "nobody"], "an entry point of data_synth.recognisers"),
        (["--gates", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--count", "3"], "name the lists of slots"),
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


def test_typed_comes_before_the_config_and_the_config_before_the_preset(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("voices_per_text: 3\nseed: 7\ngates: {min_level_db: -30}\n")
    words = ["t.txt", "--out", "o", "--preset", "paper-speecht5", "--config", str(tmp_path / "c.yaml"), "--seed", "9"]
    values = values_of(words)
    options = SynthesisOptions.parse(values)
    assert (options.engines, options.voices_per_text, options.seed) == (("speecht5:random",), 3, 9)
    assert options.gates is not None
    assert options.gates.min_level_db == -30
    assert SynthesisOptions.parse(values_of(["t.txt", "--out", "o"])) == SynthesisOptions()
    assert SynthesisOptions.parse(values_of([*words, "--gates", "none"])).gates is None


def values_of(words: list[str]) -> dict[str, object]:
    return _values(_parser("x").parse_args(words), SynthesisOptions.model_fields)


def test_gates_come_from_a_file_and_a_recogniser_joins_them(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text('{"max_inner_silence_s": 0.5}')
    words = ["t.txt", "--out", "o", "--gates", str(tmp_path / "g.json"), "--round-trip", "a:b", "--max-cer", "0.1"]
    gates = SynthesisOptions.parse(values_of(words)).gates
    assert gates is not None
    assert gates.round_trip is not None
    assert (gates.max_inner_silence_s, gates.round_trip.recogniser) == (0.5, "a:b")
    assert gates.round_trip.max_character_error_rate == 0.1


def test_every_option_of_the_command_line_is_an_option_of_synthesis() -> None:
    given = set(vars(_parser("x").parse_args(["t.txt", "--out", "o", *EVERY_OPTION])))
    beside = {
        "texts",
        "out",
        "preset",
        "config",
        "domain",
        "quiet",
        "channel_file",
        "gates_named",
        "round_trip",
        "max_cer",
        "shard",
        "clips_per_tar",
    }
    more = {"slots", "count", "llm", "llm_endpoint", "llm_texts", "llm_cache", "shard", "clips_per_tar"}
    assert given - beside - more <= set(SynthesisOptions.model_fields)


EVERY_OPTION = [
    "--engines=a", "--voices-per-text=2", "--seed=1", "--speed", "1", "1", "--language=en", "--spoken=none",
    "--keep-rejected", "--attempts=2", "--timeout=9", "--workers=2", "--storage=opus",
]  # fmt: skip


def test_templates_are_filled_in_by_both_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text("song: [yesterday, help]\n")
    words = [texts(tmp_path, "play {song}\n"), "--engines", "fake:low", "--slots", str(tmp_path / "s.yaml"), "-q"]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
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
    assert main([texts(tmp_path, "\n\n"), "--out", str(tmp_path / "out")]) == 2
    assert "no usable text" in capsys.readouterr().err


def test_starting_does_not_import_torch() -> None:
    code = "import sys, data_synth.__main__, data_synth.synthesize; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
