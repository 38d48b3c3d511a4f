"""What strangers type: outputs over inputs, names that nothing can be written of, streams that are closed."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

from data_synth.plan.options import SynthesisOptions
from data_synth.text.texts import read_texts
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.corpora.read import read_corpus
from speech_analogy.corpora.reading import ReaderOptions
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.disk.apart import require_apart
from speech_analogy.foundation.disk.refusals import in_one_line
from speech_analogy.foundation.files import MARK
from speech_analogy.foundation.program import usable_arguments
from speech_analogy.long_audio.formats import LineWriter
from speech_analogy.long_audio.recordings import find_sound
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.training.options import FinetuneOptions
from tests.cli.running import ENVIRONMENT, fails
from tests.corpora.sounds import tone
from tests.faults.conftest import Inputs, Verb


@pytest.mark.parametrize("name", ["evaluate", "merge", "vector negate", "export"])
def test_an_output_over_what_is_read(name: str, inputs: Inputs, verb: Verb, tmp_path: Path) -> None:
    """With --overwrite, and though the folder is one of ours: the input stays."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / MARK).write_text("ours")
    given = {"evaluate": inputs.cuts, "merge": inputs.folder / "merge.yaml", "vector negate": inputs.vector}
    arguments = list(inputs.writing(kept)[name])
    source = given.get(name)
    if source is None:  # a model's folder
        arguments[1] = kept
    else:
        (kept / source.name).write_bytes(source.read_bytes())
        arguments[arguments.index(source)] = kept / source.name
    before = {path: path.read_bytes() for path in kept.iterdir()}
    fails(verb(*arguments, "--overwrite"), "the output must not replace what is read", "name another --out")
    assert {path: path.read_bytes() for path in kept.iterdir()} == before


def test_an_output_that_is_called_as_a_choice_is(inputs: Inputs, verb: Verb, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / MARK).write_text("ours")
    found = verb(*inputs.writing(Path("full"))["evaluate"], "--window", "full", "--overwrite")
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "full" / "results.json").is_file()


def test_outputs_that_hold_no_input_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "ab").write_text("")
    require_apart(tmp_path / "a", iter([str(tmp_path / "ab"), "owner/name", "", "a\0b", "x" * 5000, str(tmp_path)]))
    (tmp_path / "link").symlink_to(tmp_path / "a" / "in")
    (tmp_path / "a" / "in").write_text("")
    with pytest.raises(ConfigError, match="must not replace what is read"):
        require_apart(tmp_path / "a", iter([str(tmp_path / "link")]))


@pytest.mark.parametrize("language", ["english", "", "../en", "e", "en us", "klingon"])
@pytest.mark.parametrize("options", [DecodingOptions, FinetuneOptions, SynthesisOptions, ReaderOptions])
def test_a_language_is_a_code(language: str, options: type[DecodingOptions]) -> None:
    """A name would be scored as a language that nothing is known of: "colour" is not "color" then."""
    with pytest.raises(ConfigError, match="must be the code of a language"):
        options.parse({"language": language})
    assert options.parse({"language": "pt-BR"}).language == "pt-BR"


def test_a_language_of_a_recipe_and_of_a_command(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("id\ttext\n1\tsaid\n")
    files = [tmp_path / "a.tsv", tmp_path / "a.tsv"]
    fails(verb("score", *files, "--language", "english"), "must be the code of a language", "'english'")
    assert Recipe.model_fields["language"].metadata


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (r"{\rtf1\ansi hello}", "is RTF and no plain text"),
        ("%PDF-1.7\n1 0 obj", "is PDF and no plain text"),
        ("<!DOCTYPE html>\n<p>hello", "is HTML and no plain text"),
        ("word " * 2001, "line 1 has 10004 characters, and a text may have 10000"),
    ],
)
def test_files_that_hold_no_texts(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(content)
    with pytest.raises(DataError, match=said):
        read_texts(tmp_path / "t.txt")


def test_the_longest_text_and_one_that_only_speaks_of_html(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("word " * 2000 + "\n<html> is a word\n")
    assert len(read_texts(tmp_path / "t.txt")) == 2


@pytest.mark.parametrize(
    ("seconds", "hertz", "said"),
    [(50.0, 1, "a rate of 1 Hz holds no speech"), (1 / 16_000, 16_000, "the audio is too short for speech")],
)
def test_audio_that_can_hold_no_speech(seconds: float, hertz: int, said: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0, 16_000)[: max(1, round(seconds * hertz))], hertz)
    soundfile.write(tmp_path / "b.wav", tone(1.0, 16_000), 16_000)
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("a")
    (problem,) = read_corpus("folder", tmp_path, progress=False).problems
    assert problem.rule == said


def test_arguments_that_cannot_be_written() -> None:
    with pytest.raises(ConfigError, match=r"must be UTF-8 \(found '.*udcff'\)"):
        usable_arguments(["evaluate", os.fsdecode(b"a\xff")])


def test_the_home_folder_where_a_shell_leaves_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    given = ["--out=~/run", "~", "~/x", "a~", "~other", "--set", "a=~/b", "x/~"]
    assert usable_arguments(given) == ["--out=/home/me/run", "/home/me", "/home/me/x", "a~", "~other", *given[5:]]


def test_counts_beyond_reason() -> None:
    with pytest.raises(ConfigError, match="less than or equal to 100"):
        DecodingOptions.parse({"beams": 1_000_000})
    with pytest.raises(ConfigError, match=r"seed: .* less than 9223372036854775808"):
        FinetuneOptions.parse({"seed": 10**25})
    with pytest.raises(ConfigError, match="less than or equal to 4096"):
        FinetuneOptions.parse({"lora": {"rank": 1_000_000}})
    with pytest.raises(ConfigError, match="less than or equal to 10000"):
        SynthesisOptions.parse({"voices_per_text": 10**9})


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 36000000000 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_too_little_memory_is_one_line(error: Exception) -> None:
    said = in_one_line(error)
    assert said is not None
    assert "there is not enough memory" in said
    assert in_one_line(RuntimeError("shapes cannot be multiplied")) is None


def started(redirection: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`corpus import` of one recording with an odd name, its streams redirected by a shell."""
    program = f"{sys.executable} -c 'from speech_analogy.cli.main import main; main()'"
    command = f"{program} corpus import folder data --out é.jsonl.gz {redirection}"
    return subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("redirection", "environment", "said"),
    [
        (">&-", {}, ""),
        (">&- 2>&-", {}, ""),
        ("", {"PYTHONIOENCODING": "ascii"}, r"cuts: \xe9.jsonl.gz"),
    ],
)
def test_closed_streams_and_a_narrow_encoding(
    redirection: str, environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    soundfile.write(tmp_path / "data" / "zoë.wav", tone(1.0, 16_000), 16_000)
    (tmp_path / "data" / "zoë.txt").write_text("zoë")
    found = started(redirection, tmp_path, **environment)
    assert found.returncode == 0, found.stderr
    assert said in found.stdout
    assert "Traceback" not in found.stderr
    assert (tmp_path / "é.jsonl.gz").is_file()


def test_names_that_no_hub_has(inputs: Inputs, verb: Verb) -> None:
    for name in ("openai/", "a/b c", "-a/b"):
        fails(verb("evaluate", inputs.cuts, "--model", name), "no such model", name)


def test_recordings_whose_names_are_no_text_or_hold_tabs(tmp_path: Path) -> None:
    (tmp_path / "a\tb\n.wav").write_bytes(b"")
    stream = io.StringIO()
    (found,) = find_sound([tmp_path])
    writer = LineWriter(stream, found.name, "en")
    writer.begin()
    writer.end(0.0)
    assert stream.getvalue() == "a\\tb\\n.wav\t\n"
    (tmp_path / os.fsdecode(b"\xff.wav")).write_bytes(b"")
    with pytest.raises(DataError, match=r"name must be UTF-8.*udcff"):
        find_sound([tmp_path])


def test_a_vector_in_the_place_of_a_model(inputs: Inputs, verb: Verb, tmp_path: Path) -> None:
    """Its differences would be written as a model's weights."""
    (tmp_path / "m.yaml").write_text(f"merge_method: linear\nmodels: [{{model: {inputs.vector}}}]\n")
    fails(verb("merge", tmp_path / "m.yaml", "--out", tmp_path / "o"), "is a task vector and no model")
    fails(verb("merge", tmp_path / "m.yaml", "--out", tmp_path / "o", "--threads", "-1"), "--threads")
    assert not (tmp_path / "o").exists()


def test_an_export_into_its_own_model_takes_no_locks_along(inputs: Inputs, verb: Verb, tmp_path: Path) -> None:
    model = tmp_path / "m"
    shutil.copytree(inputs.model, model)
    assert verb("export", model, "--to", "transformers", "--out", model / "o").returncode == 0
    assert [path.name for path in (model / "o").iterdir() if path.name.startswith(".")] == [MARK]
