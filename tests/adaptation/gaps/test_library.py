"""The package's gap vectors: what is listed, which file a name stands for, and what each of them must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_analogy.adaptation.gaps.library import LIBRARY, shipped_gaps, vector_file
from speech_analogy.errors import ConfigError
from speech_analogy.merging.vectors.task_vector import TaskVector

LARGEST_BYTES = 8 * 2**20  # of all that comes with the package


@pytest.fixture
def library(models: dict[str, Path], tmp_path: Path) -> Path:
    """A folder with one vector."""
    told = {"speakers": "one person", "channel": "a headset"}
    vector = TaskVector.between(models["base"], models["mixed"], tuned_on=told, base_name="the base")
    (tmp_path / "library").mkdir()
    vector.save(tmp_path / "library/headset.safetensors")
    return tmp_path / "library"


def test_a_list_of_names_with_their_speech(library: Path, tmp_path: Path) -> None:
    (found,) = shipped_gaps(library)
    assert (found.name, found.base, found.speech) == ("headset", "the base", "one person; a headset")
    assert shipped_gaps(tmp_path / "nothing") == []


def test_a_path_comes_before_a_name(library: Path, tmp_path: Path) -> None:
    assert vector_file("headset", tmp_path, library) == library / "headset.safetensors"
    (tmp_path / "headset").write_text("mine")
    assert vector_file("headset", tmp_path, library) == tmp_path / "headset"
    assert vector_file(str(library / "headset.safetensors"), Path("/"), library).parent == library
    with pytest.raises(ConfigError, match=r"headseat.*'headset'"):
        vector_file("headseat", tmp_path, library)


def test_what_is_shipped_is_whole_small_and_has_a_card() -> None:
    found = shipped_gaps()
    assert "learners" in {gap.name for gap in found}
    assert sum(gap.file.stat().st_size for gap in found) <= LARGEST_BYTES
    for gap in found:
        vector = TaskVector.load(gap.file)  # its digest is compared
        card = gap.card.read_text(encoding="utf-8")
        assert vector.provenance.licence
        assert vector.provenance.operation == "gap"
        for said in (vector.base.fingerprint, "license:", gap.base):
            assert said in card, (gap.name, said)
    assert {file.stem for file in LIBRARY.glob("*.md")} == {gap.name for gap in found}
