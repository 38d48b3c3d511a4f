"""Names of files and folders made of a stranger's words: ids, domains."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_STEM_BYTES = 120
DIGEST_DIGITS = 12
_NOT_IN_NAMES = re.compile('[<>:"/\\\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def file_stem(words: str) -> str:
    """The words themselves where every file system takes them as a name, else a likeness of them with a digest.

    What it gives is one name: no separators, no `..`, nothing hidden, no device of Windows, at most 120 bytes. A dot
    within stays, so a suffix must be put behind it and not by `with_suffix`.
    """
    plain = _NOT_IN_NAMES.sub("-", words).strip(" .") or "-"
    if plain == words and len(plain.encode()) <= LONGEST_STEM_BYTES and plain.partition(".")[0].lower() not in _DEVICES:
        return words
    short = plain.encode()[: LONGEST_STEM_BYTES - DIGEST_DIGITS - 1].decode(errors="ignore").strip(" .")
    digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]
    return f"{short.replace('.', '-')}-{digest}"


def sameness(name: str) -> str:
    """What two names share that are one file somewhere: case and the form of accents do not count."""
    return unicodedata.normalize("NFC", name).casefold()
