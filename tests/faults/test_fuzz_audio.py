"""Recordings spoilt at random: every reader of audio gives samples or one line, in time and without memory.

pytest -m 'fuzz or slow' --hypothesis-profile nightly tests/faults/test_fuzz_audio.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given

from data_synth.audio.recordings import read_recording
from tests.faults.bounded import MOST_S, read_in_bounds
from tests.faults.spoilt import EDITS, Edit, cases, spoilt_bytes, written

pytestmark = pytest.mark.fuzz

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ // 4).astype(np.float32)
    for suffix, (container, subtype) in FORMATS.items():
        soundfile.write(folder / f"whole.{suffix}", noise, RATE_HZ, format=container, subtype=subtype)
        read_recording(folder / f"whole.{suffix}", RATE_HZ)
    return folder


def survives(place: Path, suffix: str, edits: list[Edit]) -> None:
    file = written(place / f"spoilt.{suffix}", spoilt_bytes((place / f"whole.{suffix}").read_bytes(), edits))
    assert read_in_bounds(lambda path: read_recording(path, 8_000), file).seconds < MOST_S
    assert read_in_bounds(lambda path: read_recording(path, RATE_HZ, 100, 400), file).seconds < MOST_S


@cases(60)  # of five formats
@given(edits=EDITS)
def test_wav(place: Path, edits: list[Edit]) -> None:
    survives(place, "wav", edits)


@cases(60)  # of five formats
@given(edits=EDITS)
def test_flac(place: Path, edits: list[Edit]) -> None:
    survives(place, "flac", edits)


@cases(60)  # of five formats
@given(edits=EDITS)
def test_ogg(place: Path, edits: list[Edit]) -> None:
    survives(place, "ogg", edits)


@cases(60)  # of five formats
@given(edits=EDITS)
def test_opus(place: Path, edits: list[Edit]) -> None:
    survives(place, "opus", edits)


@cases(60)  # of five formats
@given(edits=EDITS)
def test_mp3(place: Path, edits: list[Edit]) -> None:
    survives(place, "mp3", edits)


def test_a_header_that_claims_hours(place: Path) -> None:
    """36 bits of FLAC's header say how many samples there are: 275 GB of them."""
    content = bytearray((place / "whole.flac").read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff\xff\xff\xff"
    outcome = read_in_bounds(lambda path: read_recording(path, RATE_HZ), written(place / "long.flac", bytes(content)))
    assert "samples" in outcome.said
