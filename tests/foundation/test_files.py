"""Outputs that are whole or not there: after a failure, after a kill, over an older one, with the user's modes."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

import pytest

from speech_analogy.errors import CheckpointError, DataError
from speech_analogy.foundation import files
from speech_analogy.foundation.disk import exchanging
from speech_analogy.foundation.disk.refusals import require_room


@pytest.fixture
def masked() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    """What lies in a folder beside our mark."""
    return sorted(path.name for path in folder.iterdir() if path.name != files.MARK)


def ours(folder: Path, *contents: str) -> None:
    """A folder as `whole_folder` leaves it."""
    with files.whole_folder(folder) as temporary:
        for name in contents:
            (temporary / name).write_text(name)


def half(output: AbstractContextManager[Path], failure: type[BaseException]) -> NoReturn:
    """Write a part of a file or folder, and fail."""
    with output as temporary:
        (temporary / "half" if temporary.is_dir() else temporary).write_text("half")
        raise failure


def no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_small_files_are_written_whole_and_their_folders_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    files.write_whole(path, "naïve")
    files.write_whole(path, b"again")
    assert path.read_bytes() == b"again"
    files.write_json(path, {"λ": 1})
    assert path.read_text(encoding="utf-8") == '{\n  "λ": 1\n}\n'
    assert names(path.parent) == ["b.txt"]


def test_a_small_file_that_cannot_be_written_leaves_the_old_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    files.write_whole(path, "old")
    write = Path.write_bytes

    def one_byte(self: Path, data: bytes) -> int:
        write(self, data[:1])
        no_space()

    monkeypatch.setattr(Path, "write_bytes", one_byte)
    with pytest.raises(OSError, match="No space"):
        files.write_whole(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_failure_leaves_nothing_and_keeps_the_old(tmp_path: Path, failure: type[BaseException]) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    for old in (False, True):
        if old:
            file.write_text("old")
            ours(folder, "old")
        with pytest.raises(failure):
            half(files.whole_file(file), failure)
        with pytest.raises(failure):
            half(files.whole_folder(folder, overwrite=True), failure)
        assert names(tmp_path) == (["file", "folder"] if old else [])
    assert file.read_text() == "old"
    assert names(folder) == ["old"]


def test_the_old_folder_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for content in ("old", "new"):
        with files.whole_folder(out, overwrite=True) as temporary:
            assert names(out) == ["old"] if content == "new" else not out.exists()
            (temporary / content).write_text("")
    assert names(out) == ["new"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["a user's", "a link", "a file"])
def test_what_was_not_written_here_is_never_replaced(tmp_path: Path, kind: str) -> None:
    """`--overwrite` names a folder by mistake: the home folder, the recordings, a downloaded model."""
    out, there = tmp_path / "out", tmp_path / "there"
    ours(there, "kept")
    if kind == "a link":
        out.symlink_to(there)
    elif kind == "a file":
        out.write_text("kept")
    else:
        out.mkdir()
        (out / "config.json").write_text("kept")
    before = names(out) if out.is_dir() else out.read_text()
    with pytest.raises(DataError, match="out"), files.whole_folder(out, overwrite=True) as temporary:
        temporary.joinpath("new").write_text("")
    assert (names(out) if out.is_dir() else out.read_text()) == before
    assert names(there) == ["kept"]
    assert names(tmp_path) == ["out", "there"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        half(files.whole_folder(tmp_path / "out"), ValueError)
    with files.whole_folder(tmp_path / "out", overwrite=True) as temporary:
        (temporary / "new").write_text("")
    assert names(tmp_path / "out") == ["new"]


def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system where two names cannot change places."""
    monkeypatch.setattr(exchanging, "exchange", lambda one, other: False)
    out = tmp_path / "out"
    ours(out, "old")
    rename = Path.rename

    def fails_for_the_new(self: Path, target: Path) -> Path:
        if (self / "new").exists():
            no_space()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new)
    with pytest.raises(DataError, match="make room"), files.whole_folder(out, overwrite=True) as temporary:
        (temporary / "new").write_text("")
    assert names(out) == ["old"]
    assert names(tmp_path) == ["out"]


def test_what_a_kill_left_goes_with_the_next_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / ".other.partial-1").mkdir()
    code = (
        "import sys, time, pathlib\n"
        "from speech_analogy.foundation.files import whole_file, whole_folder\n"
        f"out = pathlib.Path({str(out)!r})\n"
        "with whole_folder(out) as folder, whole_file(folder.parent / 'file') as file:\n"
        "    (folder / 'half').write_text('x'); file.write_text('x')\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    assert not (tmp_path / "file").exists()
    with files.whole_folder(out), files.whole_file(tmp_path / "file") as file:
        file.write_text("whole")
        assert len(names(tmp_path)) == len([".other.partial-1", "two locks", "two partial"]) + 2
    assert names(tmp_path) == [".other.partial-1", "file", "out"]


@pytest.mark.usefixtures("masked")
def test_modes_follow_the_umask(tmp_path: Path) -> None:
    files.write_whole(tmp_path / "small", "")
    with files.whole_file(tmp_path / "file") as temporary:
        temporary.write_text("")
    with files.whole_folder(tmp_path / "folder") as temporary:
        (temporary / "inside").write_text("")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"small": 0o640, "file": 0o640, "folder": 0o750, "inside": 0o640, files.MARK: 0o640}


def test_what_is_there_is_refused_with_the_callers_error(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    with (
        pytest.raises(CheckpointError, match="--overwrite"),
        files.whole_file(out, overwrite=False, error=CheckpointError),
    ):
        pytest.fail("the block must not begin")
    with pytest.raises(DataError, match="exists already"), files.whole_folder(out):
        pytest.fail("the block must not begin")
    with pytest.raises(DataError, match="not a folder"), files.whole_file(tmp_path):
        pytest.fail("the block must not begin")


def test_errors_of_the_system_name_the_output_and_what_to_do(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"out: .*No space.*make room on the disk"), files.whole_file(out):
        no_space()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="check the path"), files.whole_file(tmp_path / "file" / "out"):
        pytest.fail("the block must not begin")
    with pytest.raises(DataError, match="check the path"), files.whole_folder(tmp_path / "file" / "out"):
        pytest.fail("the block must not begin")


def test_an_input_that_is_missing_is_not_taken_for_the_output(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught, files.whole_file(tmp_path / "out" / "file"):
        (tmp_path / "in" / "missing.txt").read_text()
    assert str(caught.value).startswith(f"{tmp_path / 'in' / 'missing.txt'}: ")
    assert "output" not in str(caught.value)


def test_linked_trees_share_files_and_follow_links(tmp_path: Path) -> None:
    blobs, source = tmp_path / "blobs", tmp_path / "source"
    blobs.mkdir()
    source.mkdir()
    (blobs / "sha").write_text("weights")
    (source / "model.bin").symlink_to(Path("..") / "blobs" / "sha")  # as a hub's snapshot is laid out
    (source / "config.json").write_text("{}")
    (source / "left.lock").write_text("")
    target = tmp_path / "deeper" / "target"
    target.parent.mkdir()
    files.link_tree(source, target, "*.lock")
    assert names(target) == ["config.json", "model.bin"]
    assert (target / "config.json").samefile(source / "config.json")
    assert (target / "model.bin").read_text() == "weights"
    assert not (target / "model.bin").is_symlink()


def test_without_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("x")
    monkeypatch.setattr(os, "link", no_space)
    files.link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "x"
    assert not (tmp_path / "b").samefile(tmp_path / "a")


def test_what_the_disk_cannot_hold_is_not_begun(tmp_path: Path) -> None:
    require_room(tmp_path, 1)
    with pytest.raises(DataError, match=r"must hold the output of 1152921504606846976 bytes \(found \d+\)"):
        require_room(tmp_path, 1 << 60)


def test_names_to_build_under_are_hidden_and_differ(tmp_path: Path) -> None:
    made = {files.beside(tmp_path / "out") for _ in range(100)}
    assert len(made) == 100
    assert all(path.parent == tmp_path and path.name.startswith(".out.partial-") for path in made)


@pytest.mark.parametrize("kernel", [True, False])
def test_a_copy_may_be_changed_and_the_original_stays(
    tmp_path: Path, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the kernel copies nothing, or a part and then fails."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "inside").mkdir(parents=True)
    content = bytes(range(256)) * 5_000
    for file in (source / "weights", source / "inside" / "weights"):
        file.write_bytes(content)
    (source / "empty").touch()
    if not kernel:
        copy, calls = os.copy_file_range, []

        def fails_midway(old: int, new: int, count: int) -> int:
            calls.append(count)
            if len(calls) % 2 == 0:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            return copy(old, new, 1000)

        monkeypatch.setattr(os, "copy_file_range", fails_midway)
    files.copy_tree(source, target)
    copies = [file for file in sorted(target.rglob("*")) if file.is_file()]
    assert [file.read_bytes() for file in copies] == [b"", content, content]
    with (target / "weights").open("r+b") as file:
        file.write(b"edited")
    assert (source / "weights").read_bytes() == content
