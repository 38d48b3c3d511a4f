"""recipes/phone_line's data as they are committed: whole, decodable, and what their README says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from speech_analogy.corpora import CorpusReading, load_audio, read_corpus

RECIPE = Path(__file__).parents[2] / "recipes/phone_line"
DATA = RECIPE / "data"
COUNTS = {
    "agent": 7, "call": 5, "conf": 38, "confbridge": 47, "demo": 8, "dictate": 12, "digits": 94, "dir": 15,
    "followme": 6, "general": 67, "letters": 61, "pbx": 4, "phonetic": 27, "privacy": 9, "queue": 13, "spy": 17,
    "tt": 4, "vm": 114,
}  # fmt: skip
MEGABYTES = 6
WINDOW_S = 30.0


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    return [json.loads(line) for line in (DATA / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def reading() -> CorpusReading:
    return read_corpus("folder", DATA, progress=False, decode=True)


def test_every_row_has_its_file_and_every_file_its_row(rows: list[dict[str, object]]) -> None:
    assert sorted(str(row["file_name"]) for row in rows) == sorted(
        path.relative_to(DATA).as_posix() for path in (DATA / "audio").iterdir()
    )
    assert sum(path.stat().st_size for path in DATA.rglob("*")) < MEGABYTES * 1e6


def test_all_of_it_decodes_to_the_stated_durations(rows: list[dict[str, object]], reading: CorpusReading) -> None:
    assert (reading.read, reading.problems) == (548, [])
    durations = {str(row["id"]): row["duration"] for row in rows}
    for cut in reading.cuts:
        assert cut.sampling_rate == 16_000
        assert abs(cut.duration - durations[cut.id]) < 0.001
        assert 0.2 < cut.duration < WINDOW_S
    assert 21.9 < sum(cut.duration for cut in reading.cuts) / 60 < 22.1


def test_counts_by_domain(reading: CorpusReading) -> None:
    assert Counter(cut.custom["domain"] for cut in reading.cuts) == COUNTS
    assert {cut.supervisions[0].speaker for cut in reading.cuts} == {"Allison Smith"}


def test_there_is_speech_in_each_clip(reading: CorpusReading) -> None:
    for cut in reading.cuts:
        samples = load_audio(cut)
        assert len(samples) == cut.num_samples
        assert 0.3 < np.abs(samples).max() < 1.2, cut.id  # Opus may overshoot


def test_texts_are_what_is_spoken(rows: list[dict[str, object]]) -> None:
    texts = {str(row["id"]): str(row["text"]) for row in rows}
    for identity, text in texts.items():
        assert re.fullmatch(r"[A-Za-z0-9 ,.;:!?'\"-]+", text), (identity, text)
        assert text == " ".join(text.split())
        assert "..." not in text
    expected = {
        "letters-a": "a", "letters-at": "at", "letters-zed": "zed", "letters-ascii123": "left brace",
        "phonetic-a_p": "alpha", "phonetic-x_p": "x-ray", "digits-day-0": "Sunday", "digits-mon-0": "January",
    }  # fmt: skip
    assert {identity: texts[identity] for identity in expected} == expected
    letters = {text for identity, text in texts.items() if identity.startswith("letters-")}
    assert set("abcdefghijklmnopqrstuvwxyz") <= letters


def test_attribution_lies_beside_the_data() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for said in ("Allison Smith", "asterisk-core-sounds-en-g722", "CC-BY-SA-3.0", "Changes made", "548 prompts"):
        assert said in readme
    for domain, count in COUNTS.items():
        assert domain in readme
        assert str(count) in readme
    licence = (DATA / "LICENSE-CC-BY-SA-3.0.txt").read_text(encoding="utf-8")
    assert licence.startswith("Creative Commons Attribution-ShareAlike 3.0")
    assert len(licence) > 15_000
    assert "8. Miscellaneous" in licence
