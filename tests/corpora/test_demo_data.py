"""The demo's data as they are committed: whole, decodable, apart from each other, and what their README says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speech_analogy.corpora import CorpusReading, load_audio, read_corpus

DATA = Path(__file__).parents[2] / "recipes" / "demo" / "data"
COUNTS = {
    "source": {"animals": 51, "clothing": 36, "child-other": 57, "adult-other": 57},
    "test": {"food": 56, "places": 52},
}
SPEAKERS = {"source": 84, "test": 42}
MINUTES = {"source": 10.5, "test": 7.0}
TEXTS = 150
MEGABYTES = 12
PARTS = list(COUNTS)


@pytest.fixture(scope="module")
def readings() -> dict[str, CorpusReading]:
    return {part: read_corpus("folder", DATA / part, progress=False, decode=True) for part in PARTS}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return (DATA / "target_texts.txt").read_text(encoding="utf-8").splitlines()


def _rows(part: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / part / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


def _said(reading: CorpusReading) -> set[str]:
    return {cut.supervisions[0].text.lower() for cut in reading.cuts}


@pytest.mark.parametrize("part", PARTS)
def test_every_row_has_its_file_and_every_file_its_row(part: str) -> None:
    files = {path.relative_to(DATA / part).as_posix() for path in (DATA / part / "audio").iterdir()}
    assert files == {str(row["file_name"]) for row in _rows(part)}


@pytest.mark.parametrize("part", PARTS)
def test_all_of_it_decodes_to_the_stated_durations(part: str, readings: dict[str, CorpusReading]) -> None:
    reading = readings[part]
    assert reading.problems == []
    durations = {str(row["id"]): row["duration"] for row in _rows(part)}
    for cut in reading.cuts:
        assert cut.sampling_rate == 16_000
        assert abs(cut.duration - durations[cut.id]) < 0.001
        samples = load_audio(cut)
        assert len(samples) == cut.num_samples
        assert 0.02 < np.abs(samples).max() < 1.2, cut.id  # Opus may overshoot
    assert round(sum(cut.duration for cut in reading.cuts) / 60, 1) == MINUTES[part]


@pytest.mark.parametrize("part", PARTS)
def test_counts(part: str, readings: dict[str, CorpusReading]) -> None:
    cuts = readings[part].cuts
    assert Counter(cut.custom["domain"] for cut in cuts) == COUNTS[part]
    assert len({cut.supervisions[0].speaker for cut in cuts}) == SPEAKERS[part]


def test_the_target_is_in_no_training(readings: dict[str, CorpusReading], texts: list[str]) -> None:
    """Of the target there are texts alone; the test's speakers and texts are not in the source."""
    assert len(texts) == len(set(texts)) == TEXTS
    speakers = {part: {cut.supervisions[0].speaker for cut in reading.cuts} for part, reading in readings.items()}
    assert speakers["source"].isdisjoint(speakers["test"])
    assert _said(readings["source"]).isdisjoint({*texts, *_said(readings["test"])})
    assert len(_said(readings["test"]) & set(texts)) == 1
    assert not {path.name for path in DATA.iterdir()} & {"target", "audio"}


def test_it_is_small_enough_to_travel_in_a_wheel() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < MEGABYTES * 1e6


def test_attribution_lies_beside_the_data() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for said in ("Junbo Zhang", "openslr.org/101", "license: Apache License v.2.0", "Changes made", f"{TEXTS} texts"):
        assert said in readme
    for part in PARTS:
        assert f"{sum(COUNTS[part].values())} utterances of {SPEAKERS[part]} speakers" in readme
        assert all(f"({count})" in readme for count in COUNTS[part].values())
    licence = (DATA / "LICENSE-Apache-2.0.txt").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "9. Accepting Warranty or Additional Liability" in licence
