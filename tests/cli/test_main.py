"""The command line as a stranger meets it: help at once, mistakes in one line with status 2, nothing half-written."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from speech_analogy.adaptation.execution.protocol import EXECUTORS
from speech_analogy.cli import main as cli
from speech_analogy.corpora.read import READERS, write_cuts
from speech_analogy.export.exporter import EXPORTERS
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.recognisers.whisper.folder import write_folder
from tests.adaptation.building import RECIPE
from tests.cli.conftest import Run
from tests.cli.running import fails, run_in_a_process
from tests.conftest import REPOSITORY, make_corpus, small_whisper_tensors

HELP_SECONDS = 1.0


def test_help_answers_within_a_second_and_names_every_verb() -> None:
    """A second of processor time: wall-clock time depends on what else the machine does."""
    seconds, text = _timed_help()
    assert seconds < HELP_SECONDS
    for verb in ("corpus", "synthesize", "finetune", "vector", "merge", "analogy", "transcribe", "evaluate", "adapt",
                 "report", "demo", "shorten", "bench", "export"):  # fmt: skip
        assert verb in text


def _timed_help() -> tuple[float, str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = run_in_a_process("--help").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, text


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "lhotse", "numpy")
    code = f"import sys, speech_analogy.cli.main; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("verb", "plugins"), [(("corpus", "import"), READERS), (("export",), EXPORTERS), (("adapt",), EXECUTORS)]
)
def test_help_lists_what_is_registered(run: Run, verb: tuple[str, ...], plugins: Plugins[Any]) -> None:
    words = set(re.findall(r"[\w-]+", run(*verb, "--help").stdout))
    assert set(plugins.names()) <= words


def test_public_names() -> None:
    import speech_analogy

    for name in speech_analogy.__all__:
        assert callable(getattr(speech_analogy, name))
    with pytest.raises(AttributeError):
        speech_analogy.nothing  # noqa: B018


def test_missing_file(run: Run, tmp_path: Path, small_whisper: Path) -> None:
    fails(run("transcribe", tmp_path / "nowhere.wav", "--model", small_whisper), "nowhere.wav", "no such file")
    fails(run("evaluate", tmp_path / "no.jsonl.gz", "--model", small_whisper), "no.jsonl.gz", "missing")
    fails(run("finetune", tmp_path / "no.jsonl.gz", "--out", tmp_path / "m"), "no.jsonl.gz")
    fails(run("report", tmp_path), "results.json", "adapt")
    fails(run("adapt", tmp_path / "recipe.yaml"), "no such recipe")
    assert list(tmp_path.iterdir()) == []


def test_empty_corpus(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fails(run("corpus", "import", "folder", tmp_path / "empty", "--out", tmp_path / "c.jsonl.gz"), "empty")
    assert not (tmp_path / "c.jsonl.gz").exists()


def test_text_file_with_no_usable_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("\n  \n\n")
    fails(run("synthesize", tmp_path / "t.txt", "--engines", "hibari", "--out", tmp_path / "o"), "t.txt")
    assert not (tmp_path / "o").exists()


def test_corrupt_safetensors(run: Run, tmp_path: Path, small_whisper: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(small_whisper, broken)
    (broken / "model.safetensors").write_bytes((broken / "model.safetensors").read_bytes()[:5000])
    found = run("analogy", "--c", broken, "--plus", small_whisper, "--minus", small_whisper, "--out", tmp_path / "d")
    fails(found, "model.safetensors")
    fails(run("evaluate", _cuts(tmp_path), "--model", broken), "broken")
    assert not (tmp_path / "d").exists()


def _cuts(folder: Path) -> Path:
    from speech_analogy.corpora.read import read_corpus

    path = folder / "cuts.jsonl.gz"
    if not path.exists():
        write_cuts(read_corpus("folder", make_corpus(folder / "corpus", 4), progress=False).cuts, path)
    return path


def test_checkpoints_of_different_size(run: Run, tmp_path: Path, small_whisper: Path) -> None:
    wide = write_folder(small_whisper_tensors(width=128), tmp_path / "wide", {}, tmp_path)
    found = run("analogy", "--c", small_whisper, "--plus", wide, "--minus", small_whisper, "--out", tmp_path / "d")
    fails(found, "shape")
    assert not (tmp_path / "d").exists()


def test_unknown_recipe_key(run: Run, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "sistems": []}))
    fails(run("adapt", tmp_path, "--out", tmp_path / "run"), "sistems", "did you mean 'systems'")
    assert not (tmp_path / "run").exists()


def test_unreachable_hub(tmp_path: Path) -> None:
    """In its own process: the hub's client reads its address when it is imported."""
    found = run_in_a_process("transcribe", _cuts(tmp_path), "--model", "nobody/nothing")
    fails(found, "nobody/nothing", "no model hub", "pip:whisper-tiny.en")


def test_nothing_is_overwritten(run: Run, tmp_path: Path, small_whisper: Path) -> None:
    cuts = _cuts(tmp_path)
    before = cuts.read_bytes()
    fails(run("corpus", "import", "folder", tmp_path / "corpus", "--out", cuts), "cuts.jsonl.gz")
    assert cuts.read_bytes() == before
    taken = tmp_path / "taken"
    taken.mkdir()
    fails(run("evaluate", cuts, "--model", small_whisper, "--out", taken), "exists already")
    fails(run("finetune", cuts, "--base", small_whisper, "--out", taken), "must not exist")


@pytest.mark.parametrize("verb", ["evaluate", "export", "analogy"])
def test_overwrite_takes_no_folder_that_was_not_written_here(
    run: Run, tmp_path: Path, small_whisper: Path, verb: str
) -> None:
    """Not the working folder, nor a folder that only looks like a model; and it is said before any work."""
    own, mine = tmp_path / "own", dict.fromkeys(("thesis.txt", "config.json"), "years of work")
    own.mkdir()
    for name, content in mine.items():
        (own / name).write_text(content)
    arguments = {
        "evaluate": ("evaluate", _cuts(tmp_path), "--model", small_whisper),
        "export": ("export", small_whisper, "--to", "transformers"),
        "analogy": ("analogy", "--c", small_whisper, "--plus", small_whisper, "--minus", small_whisper),
    }[verb]
    for out, cwd in ((own, tmp_path), (".", own)):
        found = run(*arguments, "--out", out, "--overwrite", cwd=cwd)
        fails(found, "not written by speech-analogy")
    assert {file.name: file.read_text() for file in own.iterdir()} == mine


def test_verbs_one_by_one(run: Run, tmp_path: Path, small_whisper: Path) -> None:
    """Import, fine-tune twice, extract a vector, analogy, transcribe, evaluate against each other."""
    cuts = _cuts(tmp_path)
    for seed in (0, 1):
        done = run("finetune", cuts, "--base", small_whisper, "--out", tmp_path / f"m{seed}", "--seed", seed, "-q")
        assert done.returncode == 0, done.stderr
    base, c, plus = small_whisper, tmp_path / "m0", tmp_path / "m1"
    done = run("vector", "extract", "--base", base, "--tuned", c, "--out", tmp_path / "v.safetensors")
    assert done.returncode == 0, done.stderr
    bare = run("vector", "extract", "--base", base, "--tuned", c, "--out", tmp_path / "bare")
    assert bare.returncode == 0, bare.stderr
    assert not (tmp_path / "bare.md").exists()  # no card of what its name does not open
    shown = run("vector", "show", tmp_path / "v.safetensors")
    assert shown.returncode == 0, shown.stderr
    assert "small.en" in shown.stdout
    corners = ("--c", c, "--plus", plus, "--minus", c, "--base", base)
    done = run("analogy", *corners, "--scale", "0.5", "--out", tmp_path / "d", "-q")
    assert done.returncode == 0, done.stderr
    heard = run("transcribe", tmp_path / "corpus" / "000.wav", "--model", tmp_path / "d", "-q")
    assert heard.returncode == 0
    assert heard.stdout.startswith("000.wav\t")
    judged = run(
        "evaluate",
        cuts,
        "--model",
        tmp_path / "d",
        "--against",
        tmp_path / "m0",
        "--out",
        tmp_path / "e",
        "-q",
        "--allow-overlap",
    )
    assert judged.returncode == 0, judged.stderr
    content = json.loads((tmp_path / "e" / "results.json").read_text())
    assert [system["name"] for system in content["systems"]] == ["d", "m0"]
    assert content["comparisons"][0]["system"] == "d"
    assert all(system["window"] == "trimmed" for system in content["systems"])


def test_dry_run_prints_stages_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("adapt", REPOSITORY / "recipes" / "phone_line", "--dry-run", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for stage in (
        "synthesise-source",
        "finetune-mixed",
        "choose-scale",
        "evaluate-analogy-1",
        "analogy",
        "stages, 0 done",
    ):
        assert stage in done.stdout
    assert not (tmp_path / "run").exists()


def test_demo_is_a_run_from_texts_and_recordings_that_come_with_the_package(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    pytest.importorskip("piper", reason="piper-tts is not installed")
    done = run("demo", "--dry-run", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("150 texts of 150 lines", "201 utterances", "stand-in-animals", "published-in-other-decoders"):
        assert said in done.stdout
    assert not list(tmp_path.iterdir())


def test_transcribe_with_ctranslate2(run: Run, tmp_path: Path, small_whisper: Path) -> None:
    """In float32 it prints what torch prints."""
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    corpus = make_corpus(tmp_path / "corpus", 3)
    arguments = ("transcribe", corpus, "--model", small_whisper, "--window", "trimmed", "-q")
    found = run(*arguments, "--backend", "ctranslate2", "--compute", "float32")
    assert found.returncode == 0, found.stderr
    assert found.stdout == run(*arguments).stdout
    assert len(found.stdout.splitlines()) == 3
    assert run(*arguments, "--backend", "tensorrt").returncode == 2


@pytest.mark.parametrize(("verb", "policy"), [("finetune", None), ("shorten", None), ("transcribe", "PASSIVE")])
def test_threads_wait_awake_where_operations_are_short(
    monkeypatch: pytest.MonkeyPatch, verb: str, policy: str | None
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    monkeypatch.setattr(cli.os, "environ", environment)
    monkeypatch.setattr(sys, "argv", ["speech-analogy", verb])
    monkeypatch.setattr(cli, "run", lambda app, program: None)
    cli.main()
    assert environment.get("OMP_WAIT_POLICY") == policy


@pytest.mark.parametrize(
    "option", [["--shared-source"], ["--drop-models"], ["--seeds", "0"], ["--join", "domains.json"]], ids=lambda o: o[0]
)
def test_options_for_many_targets_require_targets(run: Run, tmp_path: Path, option: list[str]) -> None:
    fails(run("adapt", "phone_line", *option, cwd=tmp_path), "--targets", option[0])
    assert not list(tmp_path.iterdir())


def test_vary_stands_alone_and_reports_what_it_would_do(run: Run, tmp_path: Path) -> None:
    recipe = REPOSITORY / "recipes" / "phone_line"
    vary = ("--vary", "training.epochs=1,2")
    fails(run("adapt", recipe, "--targets", "each", *vary, cwd=tmp_path), "--vary", "cannot be combined")
    fails(run("adapt", recipe, "--vary", "training.epochs", cwd=tmp_path), "vary", "KEY=VALUE")
    done = run("adapt", recipe, *vary, "--drop-models", "--dry-run", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "training.epochs=1" in done.stdout
    assert "2 runs" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_table_to_join_must_be_one(run: Run, tmp_path: Path) -> None:
    recipe = REPOSITORY / "recipes" / "phone_line"
    options = ("--targets", "each", "--out", "run", "--join")
    fails(run("adapt", recipe, *options, "no.json", cwd=tmp_path), "no.json", "no table of domains here")
    (tmp_path / "old.json").write_text('{"schema": 1}')
    fails(run("adapt", recipe, *options, "old.json", cwd=tmp_path), "old.json", "schema")
    assert not (tmp_path / "run").exists()
