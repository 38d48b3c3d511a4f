"""Two at once towards one output: one works, the other ends in one line, and leaves the first one's work alone."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import pytest

from speech_analogy.cli.transcribing import TRANSCRIPTS
from speech_analogy.errors import DataError
from speech_analogy.foundation import files
from speech_analogy.foundation.locks import claimed, held
from tests.cli.running import fails
from tests.data_synth.installed import needs
from tests.faults.conftest import Inputs, Verb

VERBS = tuple(Inputs(*[Path()] * 6).writing(Path("out")))
WORKING = {"finetune": ".out.training", "shorten": ".out.shortening", "widen": ".out.widening", "synthesize": "out"}
"""Verbs that hold a folder, which is theirs; the others claim the name of what they write."""


@contextmanager
def somebody_else(how: str, path: Path) -> Iterator[None]:
    """Another thread of this process holds a folder or claims an output, as another process would."""
    begun, end = threading.Event(), threading.Event()

    def hold() -> None:
        with held(path) if how == "held" else claimed(path):
            begun.set()
            end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(30)
    try:
        yield
    finally:
        end.set()
        thread.join()


@pytest.mark.usefixtures("faulty_engine")
@pytest.mark.parametrize("name", VERBS)
def test_the_second_one_ends_in_one_line(name: str, inputs: Inputs, verb: Verb, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = inputs.writing(out)[name]
    written = next(Path(str(one)) for before, one in itertools.pairwise(arguments) if before == "--out")
    written = written / TRANSCRIPTS if name == "transcribe" else written
    how, place = ("held", tmp_path / WORKING[name]) if name in WORKING else ("claimed", written)
    with somebody_else(how, place):
        there = {path.name for path in tmp_path.iterdir()}
        fails(verb(*arguments), "another process", place.name)
        assert {path.name for path in tmp_path.iterdir()} == there


def test_four_towards_one_run(tmp_path: Path, verb: Verb, small_whisper: Path) -> None:
    """`adapt` holds the run's folder from before it writes the recipe to after the report."""
    from tests.conftest import make_corpus

    needs("espeak-ng")
    corpus = make_corpus(tmp_path / "corpus", 24)
    (tmp_path / "menu.txt").write_text("one two\nthree four\nfive six\n")
    asked = ["adapt", "--texts", tmp_path / "menu.txt", "--source", corpus, "--base", small_whisper]
    asked += [f"--set=synthesis.{side}.engines=[espeak-ng]" for side in ("source", "target")]
    with somebody_else("held", tmp_path / "run"):
        found = verb(*asked, "--out", tmp_path / "run")
    fails(found, "another process", "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_claim_is_one_threads_and_may_be_made_again_by_it(tmp_path: Path) -> None:
    out, refused = tmp_path / "out", []

    def second() -> None:
        try:
            with claimed(out):
                pytest.fail("claimed twice")
        except DataError as error:
            refused.append(str(error))

    with claimed(out) as first:
        with claimed(out) as again:
            assert (first, again) == (True, False)
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert refused
    assert "another process is writing this output" in refused[0]
    assert not list(tmp_path.iterdir())


def test_a_claim_by_another_way_to_the_folder_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with claimed(tmp_path / "real" / "out"), claimed(tmp_path / "link" / "out") as first:
        assert not first
    with held(tmp_path / "real"), held(tmp_path / "link", again=True):
        pass


@pytest.mark.parametrize("problem", [NotImplementedError("flock"), OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))])
def test_a_file_system_without_locks_can_be_written_to(
    problem: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of others there, so nothing that they may be building is removed."""

    def refuses(self: object, **_: object) -> None:
        raise problem

    monkeypatch.setattr(filelock.FileLock, "acquire", refuses)
    (tmp_path / ".out.partial-1234").mkdir()
    with files.whole_folder(tmp_path / "out") as folder:
        (folder / "a").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.partial-1234", "out"]


def test_the_folder_where_one_is_can_be_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    for out in (Path(), Path(), Path("..")):
        with claimed(out) as first:
            assert first
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_transcripts_into_the_folder_where_one_is(
    inputs: Inputs, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert verb("transcribe", inputs.audio, "--model", inputs.model, "--out", ".").returncode == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".txt"]


def test_a_cache_is_waited_for(tmp_path: Path) -> None:
    """Of two that need the same conversion, one makes it; the other waits, and takes what was made."""
    out, made = tmp_path / "model", []
    entered, go_on = threading.Event(), threading.Event()

    def slowly(folder: Path) -> None:
        entered.set()
        go_on.wait(30)
        (folder / "first").touch()

    threads = [threading.Thread(target=lambda: made.append(files.fill_once(out, slowly)))]
    threads[0].start()
    entered.wait(30)
    threads.append(threading.Thread(target=lambda: made.append(files.fill_once(out, lambda folder: 1 / 0))))
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert made == [out, out]
    assert [path.name for path in out.iterdir()] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_two_writers_of_a_shared_cache_do_not_disturb_each_other(kind: str, tmp_path: Path) -> None:
    """One name, many writers: whoever comes last wins, whole."""
    if kind == "folder":
        with files.whole_folder(tmp_path / "other") as folder:
            (folder / "x").touch()
    with (
        files.whole_file(tmp_path / "out", one_of_many=True) as one,
        files.whole_file(tmp_path / "out", one_of_many=True) as two,
    ):
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "out").read_text() == "one"
