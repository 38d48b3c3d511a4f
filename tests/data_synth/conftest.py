"""The fake engine, installed as anyone's plug-in would be: a module and its entry points on the path."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_synth.engines import ENGINES, load_engine
from data_synth.engines.support.pretrained import hub_silence

METADATA = "Metadata-Version: 2.1\nName: fake-tts\nVersion: 1.0\n"
ENTRY_POINTS = "[data_synth.engines]\nfake = fake_tts:FakeEngine\nunseeded = fake_tts:UnseededEngine\n"
ENTRY_POINTS += "broken = fake_tts:NoSuchEngine\n"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Published weights are fetched where they are asked for by `-m published`, and a hub answers."""
    published = [item for item in items if item.get_closest_marker("published")]
    if not published:
        return
    asked = "published" in config.getoption("markexpr")
    reason = "fetches gigabytes: pytest -m published"
    if asked:
        reason = hub_silence() and f"no model hub can be reached: {hub_silence()}"
    if reason:
        for item in published:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that holds the plug-in; it is on sys.path while the tests run."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copy(Path(__file__).parent / "fake_tts.py", folder)
    information = folder / "fake_tts-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(METADATA)
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    ENGINES.refresh()
    load_engine.cache_clear()
    yield folder
    sys.path.remove(str(folder))
    ENGINES.refresh()
    load_engine.cache_clear()
