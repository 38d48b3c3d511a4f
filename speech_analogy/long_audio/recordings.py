"""Which recordings: files, and the audio in folders, each with a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.errors import DataError
from speech_analogy.long_audio.sound import SOUND_SUFFIXES


@dataclass(frozen=True)
class SoundFile:
    """A recording, and its name: its path from the folder that was given, else the file's own."""

    path: Path
    name: str


def find_sound(sources: Sequence[Path]) -> list[SoundFile]:
    """The files that are given, whatever their suffix, and the audio in given folders and below; each once.

    Raises:
        DataError: nothing is there, a folder holds no audio, or a name is no text.
    """
    found: list[SoundFile] = []
    for source in sources:
        if source.is_dir():
            below = sorted(file for file in source.rglob("*") if file.suffix.lower() in SOUND_SUFFIXES)
            if not below:
                raise DataError("no audio in this folder", file=source, do=f"give files of {', '.join(SOUND_SUFFIXES)}")
            found += [SoundFile(file, file.relative_to(source).as_posix()) for file in below]
        elif source.is_file():
            found.append(SoundFile(source, source.name))
        else:
            raise DataError("no such file", file=source)
    for one in found:
        try:
            str(one.path).encode()
        except UnicodeEncodeError:
            raise DataError("the file's name must be UTF-8", value=ascii(str(one.path))[1:-1], do="rename it") from None
    return list(dict.fromkeys(found))
