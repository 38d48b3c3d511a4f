"""Skipping a test where an engine that it needs is not installed."""

from __future__ import annotations

import pytest

from data_synth.engines import load_engine
from speech_analogy.errors import SpeechAnalogyError


def needs(*engines: str) -> None:
    """Skip the test unless all of these engines are here."""
    for engine in engines:
        try:
            load_engine(engine).resolve("")
        except SpeechAnalogyError as error:
            pytest.skip(str(error))
