"""Cuts from shards: the same speech as from files, by its place, and what is torn or does not fit is refused."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut, SupervisionSegment

from speech_analogy.corpora.audio import load_audio, recording_of
from speech_analogy.corpora.cuts import cuts_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.corpora.seen import SeenSpeech
from speech_analogy.corpora.shar.clips import Clip
from speech_analogy.corpora.shar.shards import shards_in
from speech_analogy.corpora.splits import digest, file_digests
from speech_analogy.errors import DataError
from tests.corpora.sounds import RATE_HZ, write_tone

COUNT, IN_A_SHARD = 5, 2


@pytest.fixture
def cuts(tmp_path: Path) -> CutSet:
    """Five tones of different pitch and length."""
    made = []
    for number in range(COUNT):
        file = write_tone(tmp_path / "wav" / f"{number}.wav", 0.5 + 0.1 * number, hertz=300 + 40 * number)
        recording = recording_of(file, f"tone.{number}")
        said = SupervisionSegment(f"tone.{number}", recording.id, 0, recording.duration, text=f"tone {number}")
        made.append(MonoCut(recording.id, 0, recording.duration, 0, [said], recording=recording))
    return CutSet.from_cuts(made)


@pytest.fixture
def shar(cuts: CutSet, tmp_path: Path) -> Path:
    """The same as Lhotse's own writer packs them."""
    folder = tmp_path / "packed"
    folder.mkdir()
    cuts.to_shar(folder, fields={"recording": "flac"}, shard_size=IN_A_SHARD)
    return folder


def test_the_cuts_are_those_of_the_files(shar: Path, cuts: CutSet) -> None:
    found = list(read_cuts(shar))
    assert [cut.id for cut in found] == [cut.id for cut in cuts]
    assert len(shards_in(shar)) == 3
    for packed, loose in zip(found, cuts, strict=True):
        assert (packed.duration, packed.supervisions) == (loose.duration, loose.supervisions)
        np.testing.assert_array_equal(load_audio(packed), load_audio(loose))
    assert [cut.id for cut in cuts_of(shar)] == [cut.id for cut in cuts]


def test_a_span_of_a_clip_and_another_rate(shar: Path, cuts: CutSet) -> None:
    packed, loose = next(iter(read_cuts(shar))), next(iter(cuts))
    spans = [cut.truncate(offset=0.125, duration=0.25) for cut in (packed, loose)]
    np.testing.assert_array_equal(load_audio(spans[0]), load_audio(spans[1]))
    assert len(load_audio(packed, RATE_HZ // 2)) == round(packed.duration * RATE_HZ / 2)


def test_the_digest_is_of_the_bytes_and_not_of_the_place(shar: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved" / "shar"  # as `synthesize` names it
    shutil.copytree(shar, moved)
    before, after = read_cuts(shar), read_cuts(moved.parent)
    assert digest(before) == digest(after)
    assert SeenSpeech.of(before) == SeenSpeech.of(after)
    clip = Clip.named(next(iter(before)).recording.sources[0].source)
    assert clip is not None
    with clip.tar.open("r+b") as file:
        file.seek(clip.offset + clip.size - 20)
        file.write(b"changed")
    assert digest(before) != digest(after)


def test_a_clip_is_recognised_in_a_file(shar: Path, tmp_path: Path) -> None:
    clip = Clip.named(next(iter(read_cuts(shar))).recording.sources[0].source)
    assert clip is not None
    file = tmp_path / "loose.flac"
    file.write_bytes(clip.read())
    loose = CutSet.from_cuts([MonoCut("x", 0, soundfile.info(file).duration, 0, recording=recording_of(file, "x"))])
    assert set(file_digests(loose).values()) <= set(file_digests(read_cuts(shar)).values())


def rewrite(tar: Path, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> None:
    with tarfile.open(tar) as file:
        members = [(member.name, file.extractfile(member).read()) for member in file]  # type: ignore[union-attr]
    with tarfile.open(tar, "w") as file:
        for name, content in change(members):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


def described(**changes: object) -> Callable[[Path], None]:
    """Change what the first clip's .json says."""

    def change(folder: Path) -> None:
        def first(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
            said = json.dumps({**json.loads(members[1][1]), **changes}).encode()
            return [members[0], (members[1][0], said), *members[2:]]

        rewrite(folder / "recording.000000.tar", first)

    return change


def cut_twice(folder: Path) -> None:
    for name in ("recording.{}.tar", "cuts.{}.jsonl.gz"):
        shutil.copy(folder / name.format("000000"), folder / name.format("000009"))


def truncate(folder: Path) -> None:
    tar = folder / "recording.000001.tar"
    tar.write_bytes(tar.read_bytes()[:2000])


def shorten_manifest(folder: Path) -> None:
    file = folder / "cuts.000000.jsonl.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()).split(b"\n")[0] + b"\n"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn tar": (truncate, "recording.000001.tar"),
    "no manifest": (lambda folder: (folder / "cuts.000001.jsonl.gz").unlink(), "no cuts.*.jsonl.gz"),
    "no tar": (lambda folder: (folder / "recording.000001.tar").unlink(), "no recording.*.tar"),
    "a clip more": (shorten_manifest, "a cut is missing"),
    "other order": (
        lambda folder: rewrite(folder / "recording.000000.tar", lambda found: found[2:] + found[:2]),
        "in the order of the cuts",
    ),
    "no description": (lambda folder: rewrite(folder / "recording.000000.tar", lambda found: found[::2]), "followed"),
    "no clip": (
        lambda folder: rewrite(
            folder / "recording.000000.tar", lambda found: [("tone.0.nodata", b""), ("tone.0.nometa", b""), *found[2:]]
        ),
        "has no clip",
    ),
    "twice": (cut_twice, "the same id"),
    "NaN": (described(duration=float("nan")), "recording"),
    "no list of sources": (described(sources=3), "must describe a recording"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_torn_or_does_not_fit_is_refused(damage: str, shar: Path) -> None:
    spoil, words = DAMAGES[damage]
    spoil(shar)
    with pytest.raises(DataError, match=words.replace("*", r"\*").replace(".", r"\.")):
        read_cuts(shar)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling_rate": 8000, "num_samples": 4000}, "another rate"),
        ({"duration": 0.25, "num_samples": 4000}, "longer than its cut says"),
        ({"duration": 5.0, "num_samples": 80000}, "cannot be decoded|shorter"),
    ],
)
def test_a_clip_that_is_not_what_it_says(changes: dict[str, object], words: str, shar: Path) -> None:
    described(**changes)(shar)
    cut = next(iter(read_cuts(shar)))
    cut.duration = cut.recording.duration
    with pytest.raises(DataError, match=words):
        load_audio(cut)


def test_a_clip_of_zeros_is_no_audio(shar: Path) -> None:
    cut = next(iter(read_cuts(shar)))
    clip = Clip.named(cut.recording.sources[0].source)
    assert clip is not None
    with clip.tar.open("r+b") as file:
        file.seek(clip.offset)
        file.write(bytes(clip.size))
    with pytest.raises(DataError, match="cannot be decoded"):
        load_audio(cut)


def test_a_compressed_tar_is_refused(shar: Path) -> None:
    tar = shar / "recording.000000.tar"
    (shar / "recording.000000.tar.gz").write_bytes(gzip.compress(tar.read_bytes()))
    tar.unlink()
    with pytest.raises(DataError, match="must not be compressed"):
        read_cuts(shar)
