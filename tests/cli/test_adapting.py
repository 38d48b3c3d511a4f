"""`adapt` and `init` without a recipe: what they print, what they keep, and mistakes in one line that write nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml

from tests.adaptation.job.material import make_job, make_source
from tests.cli.conftest import Run
from tests.cli.running import fails

pytest.importorskip("hibari", reason="hibari-tts is not installed")

JOB = ("--texts", "menu.txt", "--source", "recordings")


@pytest.fixture
def folder(tmp_path: Path, small_whisper: Path) -> Path:
    make_job(tmp_path, small_whisper)
    return tmp_path


def test_init_prints_a_recipe_that_adapt_takes(run: Run, folder: Path, small_whisper: Path) -> None:
    done = run("init", *JOB, "--base", small_whisper, "--set", "training.epochs=1", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "# Found:" in done.stdout
    assert "#   source: recordings (folder): 30 utterances" in done.stdout
    content = yaml.safe_load(done.stdout)
    assert content["source"]["path"] == "recordings"
    assert content["target"]["texts"] == [{"path": "menu.txt"}]
    assert content["training"]["epochs"] == 1
    (folder / "recipe.yaml").write_text(done.stdout, encoding="utf-8")
    from_file = run("adapt", folder / "recipe.yaml", "--dry-run", "--out", "runs/menu", cwd=folder)
    without = run("adapt", *JOB, "--base", small_whisper, "--set", "training.epochs=1", "--dry-run", cwd=folder)
    assert from_file.returncode == without.returncode == 0, from_file.stderr + without.stderr
    stages = from_file.stdout[from_file.stdout.index("\n\n") :]
    assert stages == without.stdout[without.stdout.index("\n\n") :]
    assert "finetune-mixed" in stages
    assert not (folder / "runs").exists()


def test_texts_from_standard_input_and_several_files(
    run: Run, folder: Path, small_whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "more.csv").write_text("dish,price\nsalad,3\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"tea\ncoffee\n")))
    arguments = ("--texts", "-", "--texts", "more.csv:dish", "--source", "recordings", "--base", small_whisper)
    done = run("adapt", *arguments, "--dry-run", "--out", "runs/cafe", cwd=folder)
    if done.args[0] == "adapt":  # in this process: standard input is the one above
        assert done.returncode == 0, done.stderr
        assert "texts.txt: 2 texts of 2 lines" in done.stdout
        assert "more.csv:dish: 1 text of 1 line" in done.stdout
    assert not (folder / "runs").exists()


def test_templates(run: Run, folder: Path, small_whisper: Path) -> None:
    (folder / "orders.txt").write_text("two {dish} please\n", encoding="utf-8")
    (folder / "slots.yaml").write_text("dish: [soups, teas, rolls]\n", encoding="utf-8")
    arguments = ("--texts", "orders.txt", "--slots", "slots.yaml", "--count", "2", "--source", "recordings")
    done = run("init", *arguments, "--base", small_whisper, cwd=folder)
    assert "orders.txt: 2 texts" in done.stdout
    assert yaml.safe_load(done.stdout)["target"]["texts"] == [{"path": "orders.txt", "slots": "slots.yaml", "count": 2}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ("RECIPE", "nothing to adapt to", "--texts FILE --source DIR")),
        (("--texts", "menu.txt"), ("--source", "is missing", "recordings of anything")),
        (("--source", "recordings"), ("--texts", "is missing")),
        (("recipe.yaml", *JOB), ("--texts", "cannot be combined with a recipe")),
        (("menu.txt", "--source", "recordings"), ("menu.txt", "is no recipe", "--texts menu.txt")),
        ((*JOB, "--targets", "each"), ("--targets", "only valid with a recipe")),
        ((*JOB, "--vary", "a=1"), ("--vary", "only valid with a recipe")),
        (("--texts", "absent.txt", "--source", "recordings"), ("absent.txt", "missing")),
        (("--texts", "empty.txt", "--source", "recordings"), ("empty.txt", "no usable text", "a text a line")),
        (("--texts", "menu.csv", "--source", "recordings"), ("menu.csv", "dish, price", "FILE:COLUMN")),
        (("--texts", "menu.csv:drink", "--source", "recordings"), ("menu.csv", "drink", "dish, price")),
        (("--texts", "menu.txt", "--source", "five"), ("five", "at least 20", "'5'")),
        (("--texts", "menu.txt", "--source", "mute"), ("mute", "file_name,text")),
        (("--texts", "menu.txt", "--source", "silence"), ("silence", "empty")),
        ((*JOB, "--language", "xx", "--base", "MULTILINGUAL"), ("no installed engine", "'xx'")),
        ((*JOB, "--set", "synthesis.source.engines=[hibary]"), ("hibary", "hibari")),
        ((*JOB, "--test", "mute"), ("mute", "the test cannot be used", "file_name,text")),
        ((*JOB, "--unlabelled", "absent"), ("absent", "unlabelled")),
        ((*JOB, "--out", "recordings/run"), ("--out", "must not lie in the source")),
        ((*JOB, "--base", "pip:whisper-huge"), ("pip:whisper-huge",)),
        ((*JOB, "--slots", "absent"), ("absent",)),
        ((*JOB, "--count", "3"), ("count", "slots")),
    ],
    ids=lambda value: " ".join(map(str, value))[-40:],
)
def test_mistakes_are_one_line_before_any_work(
    run: Run,
    folder: Path,
    small_whisper: Path,
    small_multilingual: Path,
    arguments: tuple[str, ...],
    said: tuple[str, ...],
) -> None:
    (folder / "empty.txt").touch()
    (folder / "menu.csv").write_text("dish,price\nrolls,4\n", encoding="utf-8")
    make_source(folder / "five", 5)
    make_source(folder / "mute", 4)
    (folder / "mute" / "metadata.csv").unlink()
    (folder / "silence").mkdir()
    before = sorted(folder.rglob("*"))
    given = [str(small_multilingual) if one == "MULTILINGUAL" else one for one in arguments]
    if "--base" not in given and given and "recipe.yaml" not in given:
        given += ["--base", str(small_whisper)]
    fails(run("adapt", *given, cwd=folder), *said)
    assert sorted(folder.rglob("*")) == before


def test_init_takes_no_standard_input(run: Run, folder: Path) -> None:
    fails(run("init", "--texts", "-", "--source", "recordings", cwd=folder), "standard input", "write the texts")
