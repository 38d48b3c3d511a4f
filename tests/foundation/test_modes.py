"""Whatever wrote a file, it has the mode that the user's umask gives."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from speech_analogy.foundation.files import fill_once, follow_umask, replacing, whole_file, whole_folder


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def usual(request: pytest.FixtureRequest) -> Iterator[int]:
    """The mode that a new file has."""
    before = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(before)


def by_safetensors(file: Path) -> None:
    save_file({"x": torch.zeros(1)}, file)


def by_mkstemp(file: Path) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent)
    os.close(handle)
    Path(name).replace(file)


def by_copy(file: Path) -> None:
    """A private file's mode goes with its copy."""
    with tempfile.NamedTemporaryFile() as source:
        shutil.copy2(source.name, file)


def in_a_file(out: Path, write: Callable[[Path], None]) -> Path:
    with whole_file(out) as temporary:
        write(temporary)
    return out


def in_a_replaced_file(out: Path, write: Callable[[Path], None]) -> Path:
    with replacing(out) as temporary:
        write(temporary)
    return out


def in_a_folder(out: Path, write: Callable[[Path], None]) -> Path:
    with whole_folder(out) as temporary:
        (temporary / "inside").mkdir()
        write(temporary / "inside" / "file")
    return out / "inside" / "file"


def in_a_cache(out: Path, write: Callable[[Path], None]) -> Path:
    return fill_once(out, lambda folder: write(folder / "file")) / "file"


@pytest.mark.parametrize("where", [in_a_file, in_a_replaced_file, in_a_folder, in_a_cache])
@pytest.mark.parametrize("write", [by_safetensors, by_mkstemp, by_copy])
def test_what_writers_make_private_follows_the_umask(
    where: Callable[[Path, Callable[[Path], None]], Path], write: Callable[[Path], None], usual: int, tmp_path: Path
) -> None:
    file = where(tmp_path / "out", write)
    assert stat.S_IMODE(file.stat().st_mode) == usual
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_other_modes_and_what_links_point_to_stay(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(0o600)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    modes = {"program": 0o755, "sealed": 0o400}
    for name, mode in modes.items():
        (folder / name).touch()
        (folder / name).chmod(mode)
    follow_umask(folder)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    assert {name: stat.S_IMODE((folder / name).stat().st_mode) for name in modes} == modes
