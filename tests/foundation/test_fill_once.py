"""A cache's folder is filled whole and once, whoever comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.files import MARK, fill_once, whole_folder


def test_it_is_filled_once(tmp_path: Path) -> None:
    out, calls = tmp_path / "cache" / "model", []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "x").write_text("content")

    assert fill_once(out, fill) == fill_once(out, fill) == out
    assert len(calls) == 1
    assert calls[0] != out
    assert [path.name for path in out.parent.iterdir()] == ["model"]


def test_what_another_process_made_meanwhile_stays(tmp_path: Path) -> None:
    out = tmp_path / "model"

    def fill(folder: Path) -> None:
        (folder / "mine").touch()
        with whole_folder(out) as other:
            (other / "theirs").touch()

    assert fill_once(out, fill) == out
    assert sorted(path.name for path in out.iterdir()) == [MARK, "theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "x").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"model: the output must be writable: No space left.*make room"):
        fill_once(tmp_path / "model", fill, CheckpointError)
    assert not list(tmp_path.iterdir())
