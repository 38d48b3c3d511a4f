"""The command engine: what a program is given, and what becomes of every way in which it can go wrong."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_synth.engines import Failure, Utterance, Waveform
from data_synth.engines.command import CommandEngine, CommandOptions, options_from_environment, read_options
from speech_analogy.errors import ConfigError, SynthesisError

RATE = 16_000
PROGRAM = """
import json, os, sys, time
import numpy, soundfile
fault, out, *given = sys.argv[1:]
said = {"given": given, "input": sys.stdin.read()}
if fault == "fails":
    print("no such voice:\\n  somebody", file=sys.stderr); sys.exit(3)
if fault == "hangs":
    if os.fork() == 0:
        time.sleep(3); open(os.environ["TRACE"], "w").close(); os._exit(0)
    time.sleep(30)
if fault == "nothing": sys.exit(0)
if fault == "text":
    open(out, "w").write("this is no audio"); sys.exit(0)
samples = {"empty": numpy.zeros(0), "nan": numpy.array([0.1, numpy.nan]), "stereo": numpy.ones((100, 2)) * [0.2, 0.4]}
soundfile.write(out, samples.get(fault, numpy.full(1600, 0.25)), 16000, "FLOAT", format="WAV")
if "SAID" in os.environ: json.dump(said, open(os.environ["SAID"], "w"))
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "my tts.py"
    path.write_text(PROGRAM)
    return f"{sys.executable} '{path}'"


def engine(command: str, **options: object) -> CommandEngine:
    return CommandEngine(CommandOptions.parse({"command": command, **options}))


def outcome(of: CommandEngine, text: str = "hello", voice: str = "default", **parameters: float) -> Waveform | Failure:
    [one] = of.synthesize([Utterance(text, voice, 7, parameters)])
    return one


def test_the_program_gets_text_voice_speed_and_seed_and_no_shell(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setenv("SAID", str(tmp_path / "said.json"))
    voice = "a voice; touch $(pwd) {out}"
    of = engine(f"{program} fine {{out}} {{text_file}} {{voice}} --x={{speed}},{{seed}} {{{{}}}}", voices=[voice])
    text = "Grüße; $(touch x) 'and' {voice}"
    clip = outcome(of, text, voice, speed=1.25)
    assert isinstance(clip, Waveform), clip
    said = json.loads((tmp_path / "said.json").read_text())
    text_file, *rest = said["given"]
    assert rest == [voice, "--x=1.25,7", "{}"]
    assert said["input"] == text + "\n"
    assert not Path(text_file).exists()  # nothing is left behind
    assert (clip.rate, clip.samples.dtype, len(clip.samples)) == (RATE, np.float32, 1600)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("fails", "RuntimeError: exit status 3: no such voice: somebody"),
        ("nothing", "RuntimeError: no audio was written"),
        ("text", "RuntimeError: what was written is no audio: Format not recognised."),
        ("empty", "RuntimeError: the audio that was written is empty"),
        ("nan", "RuntimeError: the audio that was written has numbers that are not finite"),
    ],
)
def test_every_fault_is_a_failure_of_one_line(program: str, fault: str, reason: str) -> None:
    assert outcome(engine(f"{program} {fault} {{out}}")) == Failure(reason)


def test_a_program_that_hangs_is_killed_with_its_children(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    begin = time.monotonic()
    failure = outcome(engine(f"{program} hangs {{out}}", timeout_s=2.5))
    assert failure == Failure("RuntimeError: no answer within 2.5 s")
    assert time.monotonic() - begin < 20
    time.sleep(4)
    assert not (tmp_path / "trace").exists()  # the child would have written it


def test_a_missing_program_is_told_before_and_is_a_failure_after(program: str) -> None:
    of = engine("no-such-program {out}")
    with pytest.raises(SynthesisError, match=r"command: the program is not installed \(found 'no-such-program'\)"):
        of.resolve("")
    assert outcome(of) == Failure(
        "RuntimeError: the program cannot be started: No such file or directory: no-such-program"
    )
    assert engine(f"{program} fine {{out}}").resolve("") == ("default",)


def test_channels_are_averaged_and_speed_is_made_where_the_program_has_none(program: str) -> None:
    stereo = outcome(engine(f"{program} stereo {{out}}"))
    assert isinstance(stereo, Waveform)
    np.testing.assert_allclose(stereo.samples, 0.3, atol=1e-6)
    fast = outcome(engine(f"{program} fine {{out}}"), speed=2.0)
    assert isinstance(fast, Waveform)
    assert len(fast.samples) == 800


def test_seeded_and_revision_follow_the_template_and_the_program(tmp_path: Path) -> None:
    script = tmp_path / "tts.py"
    script.write_text("1")
    plain, seeded = engine(f"python3 {script} {{out}}"), engine(f"python3 {script} {{out}} {{seed}}")
    assert (plain.seeded, seeded.seeded) == (False, True)
    script.write_text("2")
    changed = engine(f"python3 {script} {{out}}", revision="v9")
    assert len({plain.revision, seeded.revision, changed.revision, engine(f"python3 {script} {{out}}").revision}) == 4
    assert changed.revision.startswith("command v9 ")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("tts {text_file}", "must name {out}"),
        ("tts {out} {voices}", r"no placeholder {voices}: did you mean 'voice'"),
        ("tts {out} {voice.__class__}", "no placeholder"),
        ("tts {out} {seed:>9}", "plain name in braces"),
        ("tts {out} {", "brace|expected|Single"),
        ("tts '{out}", "No closing quotation"),
        ("", "at least 1 item"),
    ],
)
def test_a_wrong_template_is_one_line(command: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        CommandOptions.parse({"command": command})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tts.yaml", "command: [mytts, '{out}', '{voice}']\nvoices: [a, b]\ntimeout_s: 5\n"),
        ("tts.toml", 'command = "mytts {out} {voice}"\nvoices = ["a", "b"]\ntimeout_s = 5\n'),
    ],
)
def test_options_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    monkeypatch.delenv("DATA_SYNTH_COMMAND", raising=False)
    monkeypatch.setenv("DATA_SYNTH_COMMAND_FILE", str(tmp_path / name))
    options = options_from_environment()
    assert options == CommandOptions(command=("mytts", "{out}", "{voice}"), voices=("a", "b"), timeout_s=5.0)
    assert CommandEngine().voices() == ("a", "b")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.yaml",
            "command: 'a {out}'\nvoises: [b]",
            r"a\.yaml: voises: there is no such key; did you mean 'voices'",
        ),
        ("b.toml", "command = [", r"b\.toml: it cannot be read"),
        ("c.yaml", "- command", r"c\.yaml: must hold keys and values \(found 'list'\)"),
        ("d.yaml", "command: 'a {out}'\ntimeout_s: 0", r"d\.yaml: timeout_s: .*greater than 0"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=said):
        read_options(tmp_path / name)


def test_neither_or_both_variables_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA_SYNTH_COMMAND", raising=False)
    monkeypatch.delenv("DATA_SYNTH_COMMAND_FILE", raising=False)
    with pytest.raises(SynthesisError, match="found 'neither'"):
        CommandEngine()
    monkeypatch.setenv("DATA_SYNTH_COMMAND", "tts {out}")
    monkeypatch.setenv("DATA_SYNTH_COMMAND_FILE", "tts.yaml")
    with pytest.raises(SynthesisError, match="found 'both'"):
        CommandEngine()


def test_a_written_file_is_read_back_as_it_was(tmp_path: Path) -> None:
    """The samples of a real program's file, bit for bit: here `cp`."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 400).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", samples, RATE, subtype="FLOAT")
    clip = outcome(engine(f"cp {tmp_path / 'in.wav'} {{out}}"))
    assert isinstance(clip, Waveform), clip
    np.testing.assert_array_equal(clip.samples, samples)
