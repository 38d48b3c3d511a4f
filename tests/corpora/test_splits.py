"""Dividing cuts: nothing lost, nothing on both sides, the same everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lhotse import AudioSource, CutSet, MonoCut, Recording, SupervisionSegment

from speech_analogy.corpora import by_domain, digest, hold_out_prompts, hold_out_speakers, read_corpus, subset
from speech_analogy.errors import ConfigError, DataError
from tests.corpora.sounds import write_tone


def cut(number: int, speaker: str | None = None, domain: str = "d", prompt: str | None = None) -> MonoCut:
    identity = f"cut{number}"
    source = AudioSource("file", [0], f"/nowhere/{identity}.wav")
    supervision = SupervisionSegment(
        identity, identity, 0, 1, text=f"text {number}", speaker=speaker or f"s{number % 7}"
    )
    custom = {"domain": domain, "prompt": prompt or f"p{number % 11}", "kind": "real"}
    recording = Recording(identity, [source], 16_000, 16_000, 1.0)
    return MonoCut(identity, 0, 1, 0, supervisions=[supervision], recording=recording, custom=custom)


CUTS = CutSet.from_cuts(cut(n, domain="xyz"[n % 3]) for n in range(60))


def ids(cuts: CutSet) -> list[str]:
    return [cut.id for cut in cuts]


def assert_divided(first: CutSet, second: CutSet, whole: CutSet = CUTS) -> None:
    """Each cut is on one side, in its old order."""
    assert sorted(ids(first) + ids(second)) == sorted(ids(whole))
    for side in (first, second):
        assert ids(side) == [identity for identity in ids(whole) if identity in set(ids(side))]


def test_by_domain() -> None:
    target, source = by_domain(CUTS, ["x", "z"])
    assert_divided(target, source)
    assert {cut.custom["domain"] for cut in source} == {"y"}
    with pytest.raises(ConfigError, match=r"no cut has this domain \(found 'w'\); there are: x, y, z"):
        by_domain(CUTS, ["x", "w"])
    with pytest.raises(DataError, match="source is left without a cut"):
        by_domain(CUTS, ["x", "y", "z"])
    with pytest.raises(DataError, match="target is left without a cut"):
        by_domain(CUTS, [])


@given(count=st.integers(1, 6), seed=st.integers(0, 5))
def test_hold_out_speakers(count: int, seed: int) -> None:
    kept, held_out = hold_out_speakers(CUTS, count=count, seed=seed)
    assert_divided(kept, held_out)
    speakers = [{cut.supervisions[0].speaker for cut in side} for side in (kept, held_out)]
    assert len(speakers[1]) == count
    assert not speakers[0] & speakers[1]
    if count > 1:
        fewer = hold_out_speakers(CUTS, count=count - 1, seed=seed)[1]
        assert {cut.supervisions[0].speaker for cut in fewer} < speakers[1]


@given(count=st.integers(1, 10), seed=st.integers(0, 5))
def test_hold_out_prompts(count: int, seed: int) -> None:
    kept, held_out = hold_out_prompts(CUTS, count=count, seed=seed)
    assert_divided(kept, held_out)
    prompts = [{cut.custom["prompt"] for cut in side} for side in (kept, held_out)]
    assert (len(prompts[1]), prompts[0] & prompts[1]) == (count, set())


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.3, 2), (0.5, 4), (0.99, 6)])
def test_share_of_speakers(share: float, count: int) -> None:
    held_out = hold_out_speakers(CUTS, share=share)[1]
    assert len({cut.supervisions[0].speaker for cut in held_out}) == count


@pytest.mark.parametrize(
    "given", [{}, {"share": 0.5, "count": 1}, {"count": 0}, {"count": 7}, {"share": 1.0}, {"share": 0}]
)
def test_sizes_that_make_no_sense(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        hold_out_speakers(CUTS, **given)  # type: ignore[arg-type]


def test_what_is_unknown_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="name no speaker"):
        hold_out_speakers(CutSet.from_cuts([cut(1, "unknown"), cut(2, "unknown")]), count=1)
    few = CutSet.from_cuts([cut(1, "ann"), cut(2, "bob"), *(cut(n, "unknown") for n in range(3, 6))])
    with pytest.raises(DataError, match=r"more than half .* name no speaker.*3 of 5.*hold out prompts"):
        hold_out_speakers(few, count=1)
    with pytest.raises(DataError, match=r"one speaker.*ann.*hold out prompts"):
        hold_out_speakers(CutSet.from_cuts([cut(1, "ann"), cut(2, "ann")]), count=1)
    bare = cut(1)
    bare.custom = None
    with pytest.raises(DataError, match=r"custom\.prompt: cut cut1 has no prompt"):
        hold_out_prompts(CutSet.from_cuts([bare, cut(2)]), count=1)


@given(count=st.integers(1, 60), seed=st.integers(0, 5))
def test_a_subset_grows_without_losing(count: int, seed: int) -> None:
    some = ids(subset(CUTS, count, seed))
    assert len(some) == count
    assert set(some) <= set(ids(subset(CUTS, count + 1, seed)))
    assert ids(subset(subset(CUTS, count + 5, seed), count, seed)) == some
    assert sorted(ids(subset(CutSet.from_cuts(reversed(list(CUTS))), count, seed))) == sorted(some)


def test_subset_edges() -> None:
    assert ids(subset(CUTS, 1000)) == ids(CUTS)
    assert ids(subset(CUTS, 10, seed=0)) != ids(subset(CUTS, 10, seed=1))
    with pytest.raises(ConfigError, match="at least one cut"):
        subset(CUTS, 0)


def test_the_same_in_another_process() -> None:
    code = (
        "from tests.corpora.test_splits import CUTS, ids; from speech_analogy.corpora import *;"
        "print(ids(subset(CUTS, 9, 3)), ids(hold_out_speakers(CUTS, count=2, seed=3)[1]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=root).stdout
    assert printed.strip() == f"{ids(subset(CUTS, 9, 3))} {ids(hold_out_speakers(CUTS, count=2, seed=3)[1])}"


def written_corpus(root: Path) -> CutSet:
    for name in ("a", "b"):
        write_tone(root / f"{name}.wav", hertz=300 + ord(name)).with_suffix(".txt").write_text(name)
    return read_corpus("folder", root, progress=False, domain="d").cuts


def test_digest_knows_contents_and_not_places(tmp_path: Path) -> None:
    here = written_corpus(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    there = read_corpus("folder", tmp_path / "there", progress=False, domain="d").cuts
    assert digest(here) == digest(there) == digest(CutSet.from_dicts(cut.to_dict() for cut in here))
    assert len(digest(here)) == 64


def test_digest_sees_every_change(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    digests = [digest(written_corpus(root))]
    cuts = {name: read_corpus("folder", root, progress=False, domain="d").cuts for name in ("text", "custom", "span")}
    cuts["text"]["a"].supervisions[0].text = "A"
    cuts["custom"]["a"].custom["age"] = 6
    cuts["span"]["a"].duration = 0.4
    digests += [digest(changed) for changed in cuts.values()]
    digests.append(digest(subset(written_corpus(root), 1)))
    digests.append(digest(CutSet.from_cuts(reversed(list(written_corpus(root))))))
    write_tone(root / "a.wav", hertz=500)  # same length, other samples
    digests.append(digest(read_corpus("folder", root, progress=False, domain="d").cuts))
    assert len(set(digests)) == len(digests) == 7


def test_digest_of_mixed_cuts_reads_every_track(tmp_path: Path) -> None:
    cuts = written_corpus(tmp_path)
    mixed = CutSet.from_cuts([cuts["a"].mix(cuts["b"]).with_id("m")])
    before = digest(mixed)
    write_tone(tmp_path / "b.wav", hertz=500)
    assert digest(mixed) != before
    (tmp_path / "b.wav").unlink()
    with pytest.raises(DataError, match=r"b\.wav: the audio file is missing"):
        digest(mixed)
