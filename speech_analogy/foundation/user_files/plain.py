"""Text of files that a user or a stranger wrote: plain files alone, of bounded size, in UTF-8."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from speech_analogy.errors import DataError, SpeechAnalogyError

MOST_BYTES = 64 << 20  # of a document that is read whole: Python may keep a text in four bytes a character
LONGEST_LINE_BYTES = 4 << 20
NO_FILE = "cannot be read: there is no such file"
SAVE_AS_UTF8 = "save it as UTF-8"
WITH_NULS = "holds NUL characters, as a file in UTF-16 does"
TOO_LONG = f"the line is longer than {LONGEST_LINE_BYTES >> 20} MiB"
UTF16 = re.compile(r"(?:[^\0]\0){4}|(?:\0[^\0]){4}")
BYTE_ORDER_MARK = "\ufeff"


class BinaryLines(Protocol):
    """What has lines of bytes."""

    def readline(self, size: int, /) -> bytes: ...


def is_file(path: Path) -> bool:
    """Whether there is a plain file; False as well for a name that the system does not take."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False as well for a name that the system does not take."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def open_plain(
    path: Path,
    error: type[SpeechAnalogyError] = DataError,
    *,
    missing: str = NO_FILE,
    do: str | None = None,
) -> BinaryIO:
    """A plain file, open to be read; reading a pipe, a socket or a device might never end.

    Args:
        missing, do: what is said where nothing is there.

    Raises:
        SpeechAnalogyError: of the type `error`: it is missing, no plain file, or cannot be opened.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise error("is a folder", file=path, do="name a file")
        if not stat.S_ISREG(mode):
            raise error("is not a plain file", file=path, do="copy what it gives into a file first")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise error(missing, file=path, do=do) from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL or a lone surrogate in the name
        raise error(f"cannot be read: {reason_of(problem)}", file=path) from None


def read_bytes(
    path: Path,
    error: type[SpeechAnalogyError] = DataError,
    *,
    missing: str = NO_FILE,
    do: str | None = None,
    most_bytes: int = MOST_BYTES,
) -> bytes:
    """A document's bytes.

    Raises:
        SpeechAnalogyError: of the type `error`: see `open_plain`; or it is larger than `most_bytes`.
    """
    with open_plain(path, error, missing=missing, do=do) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise error(f"the file must have at most {most_bytes} bytes", file=path, value=size)
        try:
            return file.read()
        except OSError as problem:
            raise error(f"cannot be read: {reason_of(problem)}", file=path) from None


def read_text(
    path: Path,
    error: type[SpeechAnalogyError] = DataError,
    *,
    missing: str = NO_FILE,
    do: str | None = None,
    most_bytes: int = MOST_BYTES,
) -> str:
    """A document's text, in UTF-8 with or without a byte order mark.

    Raises:
        SpeechAnalogyError: of the type `error`: see `read_bytes`; or it is not UTF-8, or holds NULs.
    """
    return text_of(read_bytes(path, error, missing=missing, do=do, most_bytes=most_bytes), path, error)


def text_of(content: bytes, name: str | Path, error: type[SpeechAnalogyError] = DataError) -> str:
    """The text of a document that is read already, from a file or a pipe.

    Args:
        name: of where it was read, for errors.

    Raises:
        SpeechAnalogyError: of the type `error`: it is not UTF-8, or holds NULs.
    """
    try:
        text = content.removeprefix(BYTE_ORDER_MARK.encode()).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"not UTF-8 at byte {problem.start}", file=name, do=SAVE_AS_UTF8) from None
    if "\0" in text:
        raise error(WITH_NULS, file=name, do=SAVE_AS_UTF8)
    return text


def read_piped(stream: BinaryIO | None, name: str, error: type[SpeechAnalogyError] = DataError) -> str:
    """The text of a document that comes by a pipe, such as standard input.

    Args:
        stream: None, where it is closed, holds nothing.
        name: for errors.

    Raises:
        SpeechAnalogyError: of the type `error`: it is longer than `MOST_BYTES`, cannot be read, or see `text_of`.
    """
    try:
        content = b"" if stream is None else stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as problem:
        raise error(f"cannot be read: {reason_of(problem)}", file=name) from None
    if len(content) > MOST_BYTES:
        raise error(f"must have at most {MOST_BYTES} bytes", file=name, do="name a file")
    return text_of(content, name, error)


def read_lines(path: Path, *, missing: str = NO_FILE, do: str | None = None) -> Iterator[tuple[int, str | None]]:
    """The lines of a file of any length, as they end at `\\n` alone, with their numbers from 1; the ends stay on.

    Other breaks (U+2028, U+0085, form feeds) are characters of a line. None stands for a line that is too long.

    Raises:
        DataError: see `open_plain`; or it is not UTF-8.
    """
    with open_plain(path, missing=missing, do=do) as file:
        yield from lines_of(file, path)


def lines_of(file: BinaryLines, path: Path) -> Iterator[tuple[int, str | None]]:
    """As `read_lines`, of what is open: a file or, for one, what unpacks it."""
    number = before = 0  # lines; bytes
    while raw := _line(file, path):
        number += 1
        if len(raw) > LONGEST_LINE_BYTES:
            before += len(raw)
            yield number, None
            before += _skip_line(file, path, raw)
            continue
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as problem:
            rule = f"not UTF-8 at byte {before + problem.start}"
            raise DataError(rule, file=path, value=f"line {number}", do=SAVE_AS_UTF8) from None
        if "\0" in line and UTF16.search(line):
            raise DataError(WITH_NULS, file=path, value=f"line {number}", do=SAVE_AS_UTF8)
        yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        before += len(raw)


def reason_of(problem: Exception) -> str:
    """What the system says of a file, in a few words."""
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__


def _line(file: BinaryLines, path: Path) -> bytes:
    try:
        return file.readline(LONGEST_LINE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"cannot be read: {reason_of(problem)}", file=path) from None


def _skip_line(file: BinaryLines, path: Path, begun: bytes) -> int:
    """Go to the end of a line that was begun; returns the bytes that were left out."""
    count, piece = 0, begun
    while piece and not piece.endswith(b"\n"):
        piece = _line(file, path)
        count += len(piece)
    return count
