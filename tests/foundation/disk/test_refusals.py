"""What the system refuses becomes one line with the file and what to do, also within another library's words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from speech_analogy.errors import CheckpointError, DataError
from speech_analogy.foundation.disk.refusals import in_one_line, os_errors, require_room, system_error

RUST = "Error while serializing: I/O error: No space left on device (os error 28)"
RUST_BEFORE = 'Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'


def refused(number: int, *files: str) -> OSError:
    return OSError(number, os.strerror(number), *files[:1], *((None, files[1]) if len(files) > 1 else ()))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (refused(errno.ENOSPC), "cannot be used: No space left on device; make room on the disk"),
        (refused(errno.ENOSPC, "a/b"), "a/b: cannot be used: No space left on device; make room on the disk"),
        (refused(errno.EDQUOT, "b"), "b: cannot be used: Disk quota exceeded; make room on the disk"),
        (refused(errno.EFBIG, "b"), "b: cannot be used: File too large; make room on the disk"),
        (refused(errno.EROFS, "b"), "b: cannot be used: Read-only file system; the disk is mounted read-only"),
        (refused(errno.EACCES, "b"), "b: cannot be used: Permission denied; check its permissions"),
        (refused(errno.EIO), "cannot be used: Input/output error; the disk may be broken"),
        (refused(errno.EMFILE), "cannot be used: Too many open files; raise the limit of open files"),
        (refused(errno.ENOTDIR, "b"), "b: cannot be used: Not a directory; check the path"),
        (refused(errno.ENOENT, "from", "to"), "to: cannot be used: No such file or directory; check the path"),
        (SafetensorError(RUST), "cannot be used: No space left on device; make room on the disk"),
        (SafetensorError(RUST_BEFORE), "cannot be used: No space left on device; make room on the disk"),
    ],
)
def test_refusals_in_one_line(error: Exception, line: str) -> None:
    said = in_one_line(error)
    assert said is not None
    assert said.startswith(line)
    assert "\n" not in said


@pytest.mark.parametrize(
    "error",
    [ValueError("ours"), KeyError(28), BrokenPipeError(errno.EPIPE, "gone"), ConnectionResetError(), OSError("words")],
    ids=repr,
)
def test_other_errors_are_none(error: Exception) -> None:
    assert in_one_line(error) is None


def test_the_output_is_named_in_whatever_words_a_library_says_it() -> None:
    with (
        pytest.raises(CheckpointError, match=r"^out: the output must be writable: No space .*; make room"),
        os_errors(Path("out"), CheckpointError),
    ):
        raise SafetensorError(RUST)
    with pytest.raises(ZeroDivisionError), os_errors(Path("out")):
        raise ZeroDivisionError
    with pytest.raises(DataError, match=r"^said$"), os_errors(Path("out")):
        raise DataError("said")
    assert system_error(ValueError("os error 28")) is None


def test_room_is_asked_of_the_disk_that_a_folder_will_be_on(tmp_path: Path) -> None:
    require_room(tmp_path / "not" / "yet" / "there", 1)
    with pytest.raises(DataError, match="make room on the disk"):
        require_room(tmp_path / "not" / "yet" / "there", 1 << 60)
