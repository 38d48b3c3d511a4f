"""How large the files of a model folder may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.errors import CheckpointError
from speech_analogy.foundation.model_files import MOST_JSON_BYTES, model_json


def test_what_a_model_was_trained_on_may_be_more_than_other_files(tmp_path: Path) -> None:
    """Two million hashes of recordings, of the length that provenance has."""
    content = '{"seen": "' + "abcdefgh" * (MOST_JSON_BYTES // 8) + '"}'
    for name in ("provenance.json", "config.json"):
        (tmp_path / name).write_text(content)
    assert len(model_json(tmp_path / "provenance.json")["seen"]) == MOST_JSON_BYTES
    with pytest.raises(CheckpointError, match=f"at most {MOST_JSON_BYTES} bytes"):
        model_json(tmp_path / "config.json")
