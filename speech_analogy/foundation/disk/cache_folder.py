"""Where models that were converted, and what was found in speech, are kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$SPEECH_ANALOGY_CACHE`, or `speech-analogy` in the user's cache folder."""
    given = os.environ.get("SPEECH_ANALOGY_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "speech-analogy"
