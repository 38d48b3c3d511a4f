"""What was learned from by parts is recorded as it is of all cuts together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.corpora.read import read_cuts
from speech_analogy.corpora.seen import SeenSpeech
from speech_analogy.corpora.shar.clips import Clip
from speech_analogy.corpora.streams import heard
from speech_analogy.corpora.streams.heard import Heard, write_record
from speech_analogy.corpora.streams.stream import Stream
from speech_analogy.foundation.files import write_json
from speech_analogy.foundation.hash_sets import packed, short_hash
from speech_analogy.merging.io.provenance import seen_by
from tests.corpora.shards import write_shards

COUNT, IN_A_SHARD = 90, 20


@pytest.fixture
def shar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))
    return write_shards(tmp_path / "shar", [1.0 + 0.1 * number for number in range(COUNT)], IN_A_SHARD)


def joined(found: Heard) -> dict[str, str]:
    return {kind: "".join(pieces) for kind, pieces in found.packed().items()}


@pytest.mark.parametrize("at_once", [1 << 18, 16, 1])
def test_the_hashes_are_those_of_all_cuts_and_of_the_base(
    shar: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heard, "HASHES_AT_ONCE", at_once)
    whole = SeenSpeech.of(read_cuts(shar), scored_form=str.lower).record()
    assert joined(Heard(Stream([shar], COUNT), "en", str.lower, {})) == whole
    before = {"recordings": packed(map(short_hash, range(40))), "speakers": whole["speakers"], "others": "abcdefgh"}
    together = seen_by([{"seen": before}, {"seen": whole}])["seen"]
    assert joined(Heard(Stream([shar], COUNT), "en", str.lower, before)) == together


def test_the_digest_is_of_the_audio(shar: Path) -> None:
    before = Heard(Stream([shar], COUNT), "en", str.lower, {}).digest
    assert Heard(Stream([shar], 2 * IN_A_SHARD), "en", str.lower, {}).digest == before
    clip = Clip.named(list(read_cuts(shar))[31].recording.sources[0].source)
    assert clip is not None
    with clip.tar.open("r+b") as file:
        file.seek(clip.offset)
        file.write(b"other")
    assert Heard(Stream([shar], COUNT), "en", str.lower, {}).digest != before


def test_a_record_is_written_as_json_is(tmp_path: Path) -> None:
    record = {"name": 'ä "quoted"', "steps": 3}
    seen = {"recordings": "abcdefgh" * 5, "speakers": "", "spoken": "ABCDEFGH"}
    write_json(tmp_path / "whole", record | {"seen": seen})
    pieces = {kind: iter([text[:11], text[11:]]) for kind, text in seen.items()}
    write_record(tmp_path / "pieces", record, {"seen": pieces})
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()
    assert json.loads((tmp_path / "pieces").read_text(encoding="utf-8"))["seen"] == seen
