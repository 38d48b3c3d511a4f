"""What is found by registration, added and removed."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from speech_analogy.errors import SynthesisError
from speech_analogy.foundation import digests, plugins
from speech_analogy.foundation.plugins import Plugins, registered


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plugins[Any]:
    (tmp_path / "package_that_breaks.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    points = {
        "breaks": EntryPoint("breaks", "package_that_breaks:x", "test.things"),
        "digest": EntryPoint("digest", "speech_analogy.foundation.digests:digest", "test.things"),
        "gone": EntryPoint("gone", "speech_analogy.foundation.digests:nothing_of_this_name", "test.things"),
        "absent": EntryPoint("absent", "package_that_is_not_installed:x", "test.things"),
    }
    monkeypatch.setattr(plugins, "entry_points", lambda group: points.values() if group == "test.things" else ())
    return Plugins("test.things", "thing", field="thing", error=SynthesisError)


def test_plugins_are_found_by_name(things: Plugins[Any]) -> None:
    assert things.names() == ("absent", "breaks", "digest", "gone")
    assert things.load("digest") is digests.digest
    assert "digest" in things
    assert "digits" not in things
    with pytest.raises(SynthesisError, match=r"thing: no such thing \(found 'digets'\); did you mean 'digest'"):
        things.load("digets")
    for name in ("gone", "absent", "breaks"):
        with pytest.raises(SynthesisError, match=f"{name}: the thing cannot be loaded"):
            things.load(name)


def test_plugins_can_be_added_and_removed(things: Plugins[Any]) -> None:
    mine = object()
    things.add("mine", mine)
    things.add("digest", mine)
    assert things.names() == ("absent", "breaks", "digest", "gone", "mine")
    assert things.load("mine") is things.load("digest") is mine
    things.remove("mine")
    things.remove("digest")
    assert things.load("digest") is digests.digest
    assert "mine" not in things
    things.remove("never added")


@pytest.mark.usefixtures("things")
def test_help_lists_the_names_of_a_group_without_importing_any() -> None:
    assert registered("test.things") == "absent, breaks, digest or gone"
    assert registered("test.nothing") == "none"


@pytest.mark.parametrize(
    "content", [b"[data_synth.engines]\nno sign of equality\n", b"[data_synth.engines]\na = \xff\n"]
)
def test_a_package_with_damaged_entry_points_takes_no_others_with_it(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged-1.0.dist-info"
    damaged.mkdir()
    (damaged / "METADATA").write_text("Metadata-Version: 2.1\nName: damaged\nVersion: 1.0\n")
    (damaged / "entry_points.txt").write_bytes(content)
    engines = Plugins[Any]("data_synth.engines", "engine")
    before = engines.names()
    monkeypatch.syspath_prepend(tmp_path)
    engines.refresh()
    try:
        assert engines.names() == before
        assert "damaged-1.0.dist-info: its entry points cannot be read" in capsys.readouterr().err
    finally:
        monkeypatch.undo()
        engines.refresh()
