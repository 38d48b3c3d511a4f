"""Each cut once an epoch, in a seeded order, within the buffer; parts are looked at once, until they change."""

from __future__ import annotations

import os
import shutil
from bisect import bisect_left
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from lhotse import CutSet

from speech_analogy.corpora.cut_files import cuts_in
from speech_analogy.corpora.read import read_cuts, write_cuts
from speech_analogy.corpora.streams import once
from speech_analogy.corpora.streams.parts import has_more, parts_in
from speech_analogy.corpora.streams.stream import Stream
from speech_analogy.errors import DataError
from tests.corpora.shards import write_shards

COUNT, IN_A_SHARD, BUFFER = 700, 50, 160


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def durations_s() -> list[float]:
    """Of hundredths of a second, so that many lie on the edges between which they are counted."""
    generator = np.random.default_rng(0)
    return [round(float(generator.uniform(0.3, 30.0)), 2) for _ in range(COUNT)]


@pytest.fixture
def shar(durations_s: list[float], tmp_path: Path) -> Path:
    return write_shards(tmp_path / "shar", durations_s, IN_A_SHARD)


def names(stream: Stream, seed: int, epoch: int) -> list[str]:
    return [cut.id for chunk in stream.chunks(seed, epoch) for cut in stream.cuts(chunk)]


def test_an_epoch_has_every_cut_once_in_an_order_of_its_own(shar: Path) -> None:
    stream = Stream([shar], BUFFER)
    first = names(stream, 0, 0)
    assert sorted(first) == sorted(f"clip-{number}" for number in range(COUNT))
    assert first == names(Stream([shar], BUFFER), 0, 0)
    assert first != names(stream, 0, 1)
    assert first != names(stream, 1, 0)
    assert all(0 < len(stream.cuts(chunk)) <= BUFFER for chunk in stream.chunks(0, 0))


def test_buckets_are_counted_as_lhotse_fills_them(shar: Path) -> None:
    stream = Stream([shar], COUNT)
    assert len(stream.bins_s) == 9
    for number, counted in enumerate(stream.buckets):
        found = Counter(bisect_left(stream.bins_s, cut.duration) for cut in stream.part_cuts(number))
        assert list(counted) == [found[bucket] for bucket in range(10)]
    speech = [0.0] * 10
    for cut in read_cuts(shar):
        speech[bisect_left(stream.bins_s, cut.duration)] += cut.duration
    assert max(speech) < 1.1 * min(speech)  # as much speech in each


def test_it_holds_what_the_cuts_hold(shar: Path) -> None:
    contents, cuts = Stream([shar], BUFFER).contents, list(read_cuts(shar))
    assert contents.utterances == len(cuts)
    assert contents.seconds == pytest.approx(sum(cut.duration for cut in cuts))
    assert contents.longest_text_bytes == max(len(cut.supervisions[0].text) for cut in cuts)
    assert (contents.kinds, contents.domains) == ({"real", "synthetic"}, {"domain 0", "domain 1"})
    assert contents.voices == {f"speaker {number}" for number in range(5)}


def test_a_part_is_looked_at_once_and_again_when_it_changes(shar: Path) -> None:
    stream = Stream([shar], BUFFER)
    tar = shar / "recording.000003.tar"
    state, content = tar.stat(), tar.read_bytes()
    tar.write_bytes(bytes(len(content)))  # no tar any more
    os.utime(tar, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert Stream([shar], BUFFER).contents == stream.contents  # nobody has read it
    os.utime(tar, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    with pytest.raises(DataError, match="changed"):
        stream.part_cuts(3)
    with pytest.raises(DataError, match=r"recording\.000003\.tar"):
        Stream([shar], BUFFER)


def test_what_is_remembered_and_damaged_is_found_anew(shar: Path, cache: Path) -> None:
    before = Stream([shar], BUFFER).contents
    for file in cache.rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    assert Stream([shar], BUFFER).contents == before


def test_its_digest_is_of_what_the_cuts_say_and_not_of_where_they_lie(shar: Path, tmp_path: Path) -> None:
    before = Stream([shar], BUFFER).contents.digest
    moved = shutil.move(shar, tmp_path / "moved")
    assert Stream([moved], BUFFER).contents.digest == before
    other = write_shards(tmp_path / "other", [1.0] * COUNT, IN_A_SHARD)
    assert Stream([other], BUFFER).contents.digest != before


@pytest.mark.parametrize("at_once", [1 << 18, 100])
def test_the_same_cut_in_two_places_is_refused(
    shar: Path, tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "HASHES_AT_ONCE", at_once)
    other = write_shards(tmp_path / "other", [1.0] * 20, 20, names="another")
    assert Stream([shar, other], BUFFER).contents.utterances == COUNT + 20
    twice = write_shards(tmp_path / "twice", [1.0], 1)
    with pytest.raises(DataError, match="same id") as caught:
        Stream([shar, other, twice], BUFFER)
    assert caught.value.value == "clip-0"


def test_the_same_recording_in_two_manifests_is_refused(noises: CutSet, tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl.gz"
    write_cuts(noises, one)
    write_cuts(CutSet.from_cuts([list(noises)[5].with_id("another name")]), other)
    with pytest.raises(DataError, match="is a cut already"):
        Stream([one, other], BUFFER)


@pytest.mark.parametrize("width", [1, 100, 1000, 4096, 1 << 20])
def test_the_lines_of_a_manifest_are_divided_by_bytes(noises: CutSet, tmp_path: Path, width: int) -> None:
    file = tmp_path / "cuts.jsonl"
    write_cuts(noises, file)
    size = file.stat().st_size
    found = [cut.id for start in range(0, size, width) for cut in cuts_in(file, start, start + width)]
    assert found == list(noises.ids)


def test_shards_and_manifests_together(shar: Path, noises: CutSet, tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.jsonl", tmp_path / "packed.jsonl.gz"
    listed = list(noises)
    write_cuts(CutSet.from_cuts(listed[:10]), plain)
    write_cuts(CutSet.from_cuts(listed[10:]), packed)
    stream = Stream([plain, shar, packed], BUFFER)
    assert sorted(names(stream, 0, 0)) == sorted([*noises.ids, *(f"clip-{number}" for number in range(COUNT))])


def test_a_part_larger_than_the_buffer_is_refused(shar: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at most 49 cuts") as caught:
        Stream([shar], IN_A_SHARD - 1)
    assert caught.value.value == IN_A_SHARD


def test_what_is_no_speech_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(DataError, match="no cut"):
        Stream([empty], BUFFER)
    with pytest.raises(DataError, match="missing"):
        Stream([tmp_path / "absent.jsonl"], BUFFER)
    with pytest.raises(DataError, match="neither cuts nor"):
        Stream([tmp_path], BUFFER)


def test_whether_there_are_more_than_so_many(shar: Path) -> None:
    parts = parts_in([shar])
    assert [has_more(parts, count) for count in (0, COUNT - 1, COUNT)] == [True, True, False]
