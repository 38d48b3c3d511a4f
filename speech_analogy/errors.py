"""The one error tree: a user's mistake becomes one line that says where, what rule, what was found, what to do.

This module imports `plain_text` alone, so every room, down to `merging` and `data_synth`, may use it.
"""

from __future__ import annotations

import os

from speech_analogy.plain_text import masked, plain

LONGEST_FIELD, LONGEST_VALUE = 200, 300  # characters of what a file brought along
LONGEST_MASKED, LONGEST_MESSAGE = 10_000, 3_000


class SpeechAnalogyError(Exception):
    """Something the user can mend. The CLI prints `str(error)` on one line and exits with status 2.

    The line holds no secret, no control character, and no value of any length: see `plain_text`.

    Args:
        rule: what must hold and does not, in one clause.
        file: the file or folder concerned.
        field: the key, column, tensor or option concerned.
        value: what was found instead.
        do: what the user can do about it.
    """

    def __init__(
        self,
        rule: str,
        *,
        file: str | os.PathLike[str] | None = None,
        field: str | None = None,
        value: object = None,
        do: str | None = None,
    ) -> None:
        rule = masked(rule)  # as it is counted and listed, without the rest
        self.rule, self.file, self.field, self.value, self.do = rule, file, field, value, do
        where = "".join(f"{part}: " for part in (file and os.fspath(file), field and shortened(field)) if part)
        found = "" if value is None else f" (found {shortened(repr(value), LONGEST_VALUE)})"
        remedy = "" if do is None else f"; {do}"
        super().__init__(shortened(plain(f"{where}{rule}{found}{remedy}"), LONGEST_MESSAGE))


def shortened(text: str, most: int = LONGEST_FIELD) -> str:
    """Text of at most so many characters, and a sign where it went on; masked before it is cut."""
    return text if len(text) <= most else f"{masked(text[:LONGEST_MASKED])[: most - 1]}…"


def one_line(error: BaseException) -> str:
    """An exception of any kind on one line: `ValueError: no such word`."""
    return plain(f"{type(error).__name__}: {error}")


class ConfigError(SpeechAnalogyError):
    """A recipe or an option is not what it must be."""


class DataError(SpeechAnalogyError):
    """A corpus, text file or recording cannot be used."""


class SynthesisError(SpeechAnalogyError):
    """A text-to-speech engine is missing or cannot do what it is asked."""


class CheckpointError(SpeechAnalogyError):
    """Weights are missing, broken, or do not fit each other."""


class WeightsUnavailableError(CheckpointError):
    """Weights were named that neither this machine nor a reachable hub has."""


class TrainingError(SpeechAnalogyError):
    """A training came to nothing: its loss or its weights are no numbers."""
