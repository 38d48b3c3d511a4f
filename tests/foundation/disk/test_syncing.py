"""What is synced, and what may refuse to be."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from speech_analogy.foundation.disk.exchanging import exchange
from speech_analogy.foundation.disk.syncing import make_folder, sync_file, sync_tree


def watch(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    synced: list[Path] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return synced


@pytest.mark.skipif(sys.platform != "linux", reason="names descriptors by /proc")
def test_a_tree_is_synced_files_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        (tmp_path / "a" / f"{number % 3}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / f"{number % 3}" / f"{number}").write_text("x")
    (tmp_path / "a" / "link").symlink_to("nowhere")
    synced = watch(monkeypatch)
    sync_tree(tmp_path / "a")
    assert set(synced) == {path for path in [tmp_path / "a", *(tmp_path / "a").rglob("*")] if not path.is_symlink()}
    assert all(path.is_file() for path in synced[:9])
    assert synced[-1] == tmp_path / "a"


@pytest.mark.skipif(sys.platform != "linux", reason="names descriptors by /proc")
def test_a_new_folders_name_is_there_to_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = watch(monkeypatch)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_file_system_that_cannot_sync_is_no_error_and_a_broken_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("x")
    for number, raised in ((errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True), (errno.ENOSPC, True)):

        def fails(descriptor: int, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fails)
        if not raised:
            sync_file(tmp_path / "a")
            continue
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            sync_file(tmp_path / "a")
        assert caught.value.filename == str(tmp_path / "a")


@pytest.mark.skipif(sys.platform != "linux", reason="where it is known to be")
def test_two_names_change_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    if not exchange(tmp_path / "file", tmp_path / "folder"):
        pytest.skip("the file system cannot")
    assert (tmp_path / "file").is_dir()
    assert (tmp_path / "folder").read_text() == "x"
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "file", tmp_path / "missing")
