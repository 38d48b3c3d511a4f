"""Small files that a user writes, and what is wrong with them in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.errors import DataError
from speech_analogy.foundation.user_files.mappings import read_mapping


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.yaml", "- 1", "must map names to values"),
        ("a.json", "{", "cannot be read"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.txt", "", "must be .json or .yaml"),
    ],
)
def test_a_users_file_that_is_none(tmp_path: Path, name: str, content: str, rule: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=rule):
        read_mapping(tmp_path / name)


def test_a_users_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf1: x\n")
    assert read_mapping(tmp_path / "a.yaml") == {"1": "x"}
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    with pytest.raises(DataError, match="UTF-8"):
        read_mapping(tmp_path / "a.yaml")
    with pytest.raises(DataError, match="cannot be read"):
        read_mapping(tmp_path / "b.yaml")
