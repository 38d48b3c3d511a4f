"""The engines' entry points, as an installation has them, and the tiny models, saved once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_synth.engines import ENGINES, load_engine

ENTRY_POINTS = """[data_synth.engines]
bark = data_synth.engines.bark:BarkEngine
speecht5 = data_synth.engines.speecht5:SpeechT5Engine
command = data_synth.engines.command:CommandEngine
"""


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[None]:
    """The engines' entry points, as an installation has them."""
    information = tmp_path / "plugin" / "more_tts-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: more-tts\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.insert(0, str(information.parent))
    importlib.invalidate_caches()
    ENGINES.refresh()
    load_engine.cache_clear()
    yield
    sys.path.remove(str(information.parent))
    ENGINES.refresh()
    load_engine.cache_clear()
