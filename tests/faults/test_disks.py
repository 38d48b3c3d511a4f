"""Full, read-only and broken disks: every verb that writes ends in one line, status 2, and leaves nothing half."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from tests.cli.running import fails
from tests.conftest import make_corpus
from tests.data_synth.installed import needs
from tests.faults.conftest import Inputs, Verb

VERBS = tuple(Inputs(*[Path()] * 6).writing(Path("out")))
LONG = {"finetune", "shorten", "widen"}  # they work before they write
REFUSALS = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EACCES)
CHECKED = {"corpus import", "finetune", "transcribe", "evaluate", "merge", "analogy", "vector extract", "vector apply",
           "vector add", "vector negate", "vector average"}  # fmt: skip
"""Verbs that know, before they work, how much they will write, or that some room is needed."""
WORKING = (".out.training", ".out.shortening", ".out.widening", "out")
"""What a restart goes on from."""


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def left(folder: Path) -> list[str]:
    """What lies in the output's folder and is no state to go on from."""
    return [path.name for path in folder.iterdir() if path.name not in WORKING]


@pytest.mark.usefixtures("faulty_engine")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in VERBS]
)
def test_a_disk_that_takes_nothing_more(
    name: str, inputs: Inputs, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first contents that are to be synced are refused, as a full disk does where room is given out late."""
    number = REFUSALS[VERBS.index(name) % len(REFUSALS)]
    sync = os.fsync

    def refuses(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_file():
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuses)
    fails(verb(*inputs.writing(tmp_path / "out")[name]), "out", os.strerror(number))
    assert not left(tmp_path)
    if name not in ("synthesize",):
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in sorted(CHECKED)]
)
def test_room_is_looked_for_before_work(
    name: str, inputs: Inputs, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 0))
    found = verb(*inputs.writing(tmp_path / "out")[name])
    fails(found, "out", "the disk must hold the output", "make room")
    assert not found.stdout
    assert not left(tmp_path)


def test_room_for_the_models_of_a_run(
    small_whisper: Path, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("espeak-ng")
    corpus = make_corpus(tmp_path / "corpus", 24)
    (tmp_path / "menu.txt").write_text("one two\nthree four\nfive six\n")
    asked: list[object] = ["adapt", "--texts", tmp_path / "menu.txt", "--source", corpus, "--base", small_whisper]
    asked += [f"--set=synthesis.{side}.engines=[espeak-ng]" for side in ("source", "target")]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10**6))
    fails(verb(*asked, "--out", tmp_path / "run"), "run", "the disk must hold the output", "make room")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


@pytest.mark.usefixtures("faulty_engine")
@pytest.mark.parametrize("name", [name for name in VERBS if name not in LONG])
def test_an_output_where_nobody_may_write(name: str, inputs: Inputs, verb: Verb, tmp_path: Path) -> None:
    """Its folder is a file: what the user that owns everything is refused, too."""
    (tmp_path / "file").write_text("mine")
    fails(verb(*inputs.writing(tmp_path / "file" / "out")[name]), "out")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_input_that_cannot_be_read(
    inputs: Inputs, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refused(self: Path, *arguments: object, **named: object) -> object:
        if self.name in ("texts.txt", "merge.yaml"):
            return _denied(self)
        return opened(self, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refused)
    for name, file in (("merge", "merge.yaml"), ("synthesize", "texts.txt")):
        fails(verb(*inputs.writing(tmp_path / "out")[name]), file, "Permission denied")
        assert not (tmp_path / "out").exists()


def _denied(path: Path) -> NoReturn:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
