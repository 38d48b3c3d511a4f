"""What gap vectors there are, and the file that a recipe's `vector` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.suggest import nearest
from speech_analogy.merging.vectors.file import read_vector_file

LIBRARY = Path(__file__).parent
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class ShippedGap:
    """A gap vector of the package: its name, its file, its base by name, and the speech that it is of, in words."""

    name: str
    file: Path
    base: str
    speech: str

    @property
    def card(self) -> Path:
        return self.file.with_suffix(".md")


def shipped_gaps(library: Path = LIBRARY) -> list[ShippedGap]:
    """The package's gap vectors by name; only their headers are read."""
    found = []
    for file in sorted(library.glob(f"*{SUFFIX}")):
        _, base, provenance = read_vector_file(file, verify=False)
        told = provenance.tuned_on if isinstance(provenance.tuned_on, Mapping) else {}
        found.append(ShippedGap(file.stem, file, base.name, described_speech(told)))
    return found


def described_speech(told: Mapping[str, Any]) -> str:
    """Who spoke a gap's speech, over what, and which voices of TTS: as far as the vector's `tuned_on` says."""
    return "; ".join(str(told[key]) for key in ("speakers", "channel", "voices") if told.get(key))


def vector_file(named: str, folder: Path, library: Path = LIBRARY) -> Path:
    """The file of a vector.

    Args:
        named: a path, or the name of one of the package's gaps.
        folder: that paths are relative to.

    Raises:
        ConfigError: there is neither such a file nor such a name.
    """
    path = (folder / Path(named).expanduser()).resolve()
    if path.is_file():
        return path
    by_name = {file.stem: file for file in library.glob(f"*{SUFFIX}")}
    if named in by_name:
        return by_name[named]
    known = f", or {nearest(named, sorted(by_name))}" if by_name else ""
    raise ConfigError(
        "there is no such gap vector",
        field="vector",
        value=named,
        do=f"give a file that `speech-analogy vector gap` has made{known}",
    )
