"""Gap vectors in place of a source: what their headers say, before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.adaptation.gaps.library import described_speech, vector_file
from speech_analogy.adaptation.vector_options import GivenVector
from speech_analogy.errors import ConfigError
from speech_analogy.merging.vectors.file import read_vector_file


@dataclass(frozen=True)
class GapFound:
    """The vectors that stand for a source.

    Attributes:
        paths: as a complete recipe has them: absolute, or the name of one of the package's.
        base: by name.
        language: of the speech; None where they do not say, or not the same.
        line: all of it in words.
    """

    paths: tuple[str, ...]
    base: str
    language: str | None
    line: str


def read_gap_vectors(given: GivenVector, folder: Path) -> GapFound:
    """The vectors of a recipe whose paths are relative to `folder`.

    Raises:
        ConfigError: there is no such vector, or they have several bases.
        CheckpointError: a file that is not a vector.
    """
    paths, bases, languages, said = [], {}, set(), []
    for named in given.path:
        file = vector_file(named, folder)
        _, base, provenance = read_vector_file(file, verify=False)
        own = (folder / Path(named).expanduser()).is_file()
        paths.append(str(file) if own else named)
        bases[base.fingerprint] = base.name
        languages.add(provenance.settings.get("language"))
        told = provenance.tuned_on if isinstance(provenance.tuned_on, Mapping) else {}
        speech = described_speech(told)
        said.append(f"{named} ({speech})" if speech else named)
    if len(bases) > 1:
        raise ConfigError("gap vectors must have one base", field="vector", value=", ".join(bases.values()))
    (base_name,) = bases.values()
    language = languages.pop() if len(languages) == 1 else None
    whose = "the gap vector" if len(paths) == 1 else "the mean of the gap vectors"
    return GapFound(tuple(paths), base_name, language, f"source: none; {whose} {', '.join(said)} stands for it")
