"""A disk that loses at a power loss whatever was not synced: it watches the calls of `os` in one folder, on Linux."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from speech_analogy.foundation.disk import exchanging

CHANGING = ("rename", "replace", "unlink", "mkdir", "rmdir", "link")


class Disk:
    """What is certain to be on the disk: the contents of files, and the names in folders, when they were last synced.

    For every call that changes names or syncs, `moments` has two folders as a power loss would leave them just before
    it: one where all names were written down and of contents only what was synced, and one where names, too, are
    those that were synced. A file whose contents were never synced is empty.
    """

    def __init__(self, root: Path, kept: Path) -> None:
        self.root, self._kept = root, kept
        self.moments: list[Path] = []
        self._contents: dict[int, bytes] = {}  # by inode
        self._names: dict[int, dict[str, int]] = {}  # of folders, by inode
        self._open: dict[int, int] = {}  # descriptors: so that no inode is used a second time
        for path in [root, *root.rglob("*")]:
            self._synced(path)

    def sync(self, descriptor: int) -> None:
        """Take note that something is on the disk now."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_relative_to(self.root):
            self._synced(path)

    def power_loss(self) -> None:
        """Keep what would be found now."""
        for path in [self.root, *self.root.rglob("*")]:
            self._hold(path)
        for synced_names in (False, True):
            place = self._kept / f"{len(self.moments):05d}"
            self._lay(self.root.stat().st_ino, place, None if synced_names else self.root)
            self.moments.append(place)

    def close(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def _synced(self, path: Path) -> None:
        inode = self._hold(path)
        if path.is_dir():
            self._names[inode] = {one.name: self._hold(one) for one in path.iterdir()}
        else:
            self._contents[inode] = path.read_bytes()

    def _hold(self, path: Path) -> int:
        inode = path.stat().st_ino
        if inode not in self._open:
            self._open[inode] = os.open(path, os.O_RDONLY)
        return inode

    def _lay(self, inode: int, target: Path, now: Path | None) -> None:
        """Lay a file or folder out as it would be found, with the names that it has now or with those synced."""
        if not Path(f"/proc/self/fd/{self._open[inode]}").is_dir():
            target.write_bytes(self._contents.get(inode, b""))
            return
        target.mkdir(parents=True)
        names = self._names.get(inode, {})
        if now is not None:
            names = {one.name: one.stat().st_ino for one in now.iterdir()}
        for name, below in names.items():
            self._lay(below, target / name, None if now is None else now / name)


@contextmanager
def watched(root: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Watch a folder while the block lasts; what lies there before is on the disk.

    Args:
        kept: a folder elsewhere for what power losses would leave.
    """
    disk, busy = Disk(root, kept), []

    def before(call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **named: Any) -> Any:
            if not busy:
                busy.append(True)
                disk.power_loss()
                busy.clear()
            return call(*arguments, **named)

        return made

    with monkeypatch.context() as patch:
        for name in CHANGING:
            patch.setattr(os, name, before(getattr(os, name)))
        patch.setattr(exchanging, "exchange", before(exchanging.exchange))
        sync = os.fsync

        def synced(descriptor: int) -> None:
            before(sync)(descriptor)
            disk.sync(descriptor)

        patch.setattr(os, "fsync", synced)
        yield disk
    disk.power_loss()
    disk.close()
