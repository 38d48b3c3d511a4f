"""Every reader of texts, tables, cuts and records: whatever it is given, it ends in a value or in one line.

300 cases a reader; with `--hypothesis-profile=nightly` 20,000.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.faults.fuzz_corpora import CORPORA
from tests.faults.fuzz_kept import KEPT
from tests.faults.fuzz_records import RECORDS
from tests.faults.fuzzing import PLACES, little_memory, put, quick_place, remove, value_or_one_line

CASES = 300
READERS = {reader.name: reader for reader in (*CORPORA, *RECORDS, *KEPT)}
by_reader = pytest.mark.parametrize("name", READERS)


@pytest.mark.fuzz
@by_reader
def test_a_spoilt_file_ends_in_a_value_or_in_one_line(name: str, quick_folder: Path) -> None:
    reader = READERS[name]
    folder = reader.lay_out(quick_folder / "data")
    reader.read(folder)  # as it should be

    @settings(
        max_examples=max(CASES, settings().max_examples),
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64))
    def spoil(seed: int) -> None:
        reader.case(folder, seed)

    with little_memory():
        spoil()


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """In memory where there is such a place: nothing waits for a disk."""
    folder = Path(tempfile.mkdtemp(dir=quick_place()))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", [reader.name for reader in (*CORPORA, *RECORDS)])
@pytest.mark.parametrize("place", PLACES)
def test_something_else_in_a_files_place_ends_in_a_value_or_in_one_line(name: str, place: str, tmp_path: Path) -> None:
    reader = READERS[name]
    folder = reader.lay_out(tmp_path / "data")
    for file in reader.files:
        put(place, folder / file)
        with little_memory():
            value_or_one_line(lambda: reader.read(folder))
        remove(folder / file)
        (folder / file).write_bytes(reader.files[file])
