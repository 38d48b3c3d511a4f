"""Clips on disk: nothing is half-written, and what a killed run left is removed."""

from __future__ import annotations

from pathlib import Path

from data_synth.store.clip_files import clip_path, exists, sweep_partials
from speech_analogy.foundation.files import write_whole


def test_writing_leaves_no_partial_and_sweeping_removes_those_of_others(tmp_path: Path) -> None:
    path = tmp_path / clip_path("ab" + "0" * 62, "flac")
    assert not exists(path)
    write_whole(path, b"content")
    assert path.read_bytes() == b"content"
    assert exists(path)
    partial = path.with_name("cd.flac.partial")
    partial.write_bytes(b"half")
    sweep_partials(tmp_path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
