"""Shards and Shar: whatever the number of machines, workers and kills, the folder of one undisturbed run."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut
from lhotse.shar import SharWriter

from data_synth.plan.options import SynthesisOptions
from data_synth.plan.plan import Shard, SynthesisPlan
from data_synth.plan.voices import find_voices
from data_synth.report.clip_report import render
from data_synth.run.finish import SynthesisReport
from data_synth.run.join_shards import join_shards
from data_synth.store.ledger import LEDGER_NAME, Ledger
from data_synth.store.manifest import cut_entry, recording_entry
from data_synth.store.tars import open_clip
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.read import read_cuts
from speech_analogy.errors import ConfigError, DataError
from tests.data_synth.contents import files, folders
from tests.data_synth.program import status_of
from tests.data_synth.rows import row

pytestmark = pytest.mark.usefixtures("plugin")

WORDS = ("turn it on", "...", "play some jazz", "stop", "louder now", "?!", "call 911", "next one", "what is it")
TEXTS = [Text.of(words, domain) for words in WORDS for domain in ("a", "b")]
ENGINES = "fake:low+high+flaky+silent,unseeded:low"
PER_TAR = 6


def run(out: Path, texts: list[Text] = TEXTS, shard: Shard | None = None, **options: object) -> SynthesisReport:
    given = {"engines": ENGINES, "voices_per_text": 2, "isolated": False, **options}
    asked = SynthesisOptions.parse(given)
    return synthesize(texts, out, asked, progress=False, shard=shard, clips_per_tar=PER_TAR)


@pytest.fixture(scope="module")
def whole(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One undisturbed run for every layout."""
    made = {layout: tmp_path_factory.mktemp("whole") / layout for layout in ("flac", "shar", "shar-opus")}
    for layout, out in made.items():
        run(out, storage=layout)
    return made


@pytest.fixture
def parts(whole: dict[str, Path], tmp_path: Path) -> list[Path]:
    """Three shards of the run, loose."""
    out = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, folder in enumerate(out, start=1):
        run(folder, shard=Shard(number, 3))
    return out


def test_shar_holds_the_cuts_and_samples_of_loose_clips(whole: dict[str, Path]) -> None:
    loose = list(CutSet.from_file(whole["flac"] / "cuts.jsonl.gz"))
    packed = list(CutSet.from_shar(in_dir=whole["shar"] / "shar"))
    assert [cut.id for cut in packed] == [cut.id for cut in loose]
    for one, other in zip(packed, loose, strict=True):
        assert one.supervisions == other.supervisions
        assert {name: one.custom[name] for name in other.custom} == other.custom
        np.testing.assert_array_equal(one.load_audio(), other.load_audio())
    assert len(list((whole["shar"] / "shar").glob("*.tar"))) > 2


@pytest.mark.parametrize("layout", ["shar", "shar-opus"])
def test_shar_is_read_where_loose_clips_are(whole: dict[str, Path], layout: str) -> None:
    loose, packed = (list(CutSet.from_shar(in_dir=whole[layout] / "shar")), list(read_cuts(whole[layout])))
    assert [cut.id for cut in packed] == [cut.id for cut in loose]
    for one, other in zip(packed, loose, strict=True):
        assert one.supervisions == other.supervisions
        np.testing.assert_array_equal(load_audio(one, one.sampling_rate), other.load_audio()[0])


def test_shar_is_laid_out_as_lhotse_writes_it(whole: dict[str, Path], tmp_path: Path) -> None:
    with SharWriter(tmp_path, fields={"recording": "flac"}) as writer:
        for cut in CutSet.from_file(whole["flac"] / "cuts.jsonl.gz"):
            writer.write(cut)
    with tarfile.open(tmp_path / "recording.000000.tar") as theirs:
        expected = {member.name: theirs.extractfile(member).read() for member in theirs}  # type: ignore[union-attr]
    ours = {}
    for path in sorted((whole["shar"] / "shar").glob("*.tar")):
        with tarfile.open(path) as file:
            ours.update({member.name: file.extractfile(member).read() for member in file})  # type: ignore[union-attr]
            assert {(member.mtime, member.uid, member.gid, member.uname) for member in file} == {(0, 0, 0, "")}
    assert list(ours) == list(expected)
    for name, content in ours.items():
        if name.endswith(".json"):
            assert json.loads(content) == json.loads(expected[name])


def test_no_loose_clip_is_left_and_rows_say_where_clips_are(whole: dict[str, Path]) -> None:
    out = whole["shar"]
    assert {path.name for path in out.iterdir()} == {"shar", "ledger.jsonl", "settings.json", ".lock"}
    for one in Ledger(out).rows.values():
        if one.kept:
            file = open_clip(out, one)
            assert file is not None
            assert soundfile.info(file).duration == pytest.approx(one.duration_s)
    assert "cannot be read" not in render(out)


def test_opus_in_shar(whole: dict[str, Path]) -> None:
    for cut in CutSet.from_shar(in_dir=whole["shar-opus"] / "shar"):
        assert cut.load_audio().shape == (1, cut.recording.num_samples)


@pytest.mark.parametrize("layout", ["flac", "shar"])
def test_the_same_bytes_again_and_with_two_workers(whole: dict[str, Path], tmp_path: Path, layout: str) -> None:
    before = files(whole[layout])
    assert run(whole[layout], storage=layout).made == 0
    assert files(whole[layout]) == before
    run(tmp_path / "two", storage=layout, workers=2, isolated=True)
    assert files(tmp_path / "two") == before


def test_texts_added_taken_out_and_moved_give_the_shards_of_a_fresh_run(whole: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, TEXTS[3:11], storage="shar")
    run(out, TEXTS, storage="shar")
    fresh, changed = files(whole["shar"]), files(out)
    assert {name: content for name, content in changed.items() if name.startswith("shar/")} == {
        name: content for name, content in fresh.items() if name.startswith("shar/")
    }
    run(out, TEXTS[:4], storage="shar")
    asked = {cut.id for cut in CutSet.from_shar(in_dir=out / "shar")}
    others = [one for one in Ledger(out).rows.values() if one.kept and f"{one.text_id}-{one.key[:10]}" not in asked]
    assert others
    assert all(str(one.path).startswith("clips/") and (out / str(one.path)).is_file() for one in others)
    assert run(out, TEXTS, storage="shar").made == 0
    assert {name: content for name, content in files(out).items() if name.startswith("shar/")} == {
        name: content for name, content in fresh.items() if name.startswith("shar/")
    }


@pytest.mark.parametrize("what", ["recording.000001.tar", "cuts.000001.jsonl.gz", "both", "torn", "packed", "stray"])
def test_shards_that_are_damaged_or_half_done_are_mended(whole: dict[str, Path], tmp_path: Path, what: str) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole["shar"], out)
    tar, cuts = out / "shar" / "recording.000001.tar", out / "shar" / "cuts.000001.jsonl.gz"
    loose = list((whole["flac"] / "clips").rglob("*.flac"))
    if what in ("both", "torn", cuts.name):
        cuts.unlink()
    if what in ("both", tar.name):
        tar.unlink()
    if what == "torn":
        tar.write_bytes(tar.read_bytes()[:700])
    if what in ("packed", "stray"):  # killed after the manifest was written, before the files were removed
        for path in loose:
            target = out / path.relative_to(whole["flac"])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    if what == "stray":
        (out / "recording.000001.tar.partial").write_bytes(b"half")
    made = run(out, storage="shar").made
    assert (made > 0) == (what in ("both", "torn", tar.name))
    assert files(out) == files(whole["shar"])
    assert folders(out) == folders(whole["shar"])


def test_ids_that_no_file_can_be_named_by(tmp_path: Path) -> None:
    texts = [Text(name, f"say {number}") for number, name in enumerate(("../up", "/root", "a/b//c", "ö x", "q" * 200))]
    run(tmp_path / "out", texts, storage="shar", engines="fake", voices_per_text=1)
    cuts = list(CutSet.from_shar(in_dir=tmp_path / "out" / "shar"))
    assert [cut.custom["text_id"] for cut in cuts] == [text.id for text in texts]
    assert all(cut.load_audio().size for cut in cuts)


@pytest.mark.parametrize("of", [1, 2, 5, 40])
def test_shards_make_the_parts_of_one_plan(of: int) -> None:
    options = SynthesisOptions.parse({"engines": ENGINES, "voices_per_text": 2})
    voices = find_voices(options.engines)
    single = [clip.key(0) for text in SynthesisPlan(TEXTS, voices, options) for clip in text.clips]
    plans = [SynthesisPlan(TEXTS, voices, options, Shard(number, of), 2) for number in range(1, of + 1)]
    dealt = [[clip.key(0) for text in plan for clip in text.clips] for plan in plans]
    assert sorted(key for keys in dealt for key in keys) == sorted(single)
    assert [plan.clips for plan in plans] == [len(keys) for keys in dealt]
    assert sum(plan.texts for plan in plans) == len(TEXTS)
    assert len({plan.digest() for plan in plans}) == 1


@pytest.mark.parametrize(
    ("layout", "of", "transfer"),
    [
        ("flac", 3, "link"),
        ("flac", 3, "copy"),
        ("flac", 3, "move"),
        ("flac", 20, "link"),
        ("opus", 2, "link"),
        ("shar", 2, "link"),
        ("shar", 3, "copy"),
        ("shar", 3, "move"),
    ],
)
def test_merged_shards_are_the_single_run(
    whole: dict[str, Path], tmp_path: Path, layout: str, of: int, transfer: str
) -> None:
    expected = whole.get(layout, tmp_path / "single")
    single = run(expected, storage=layout, keep_rejected=False)
    out = [tmp_path / f"part{number}" for number in range(1, of + 1)]
    reports = [run(folder, shard=Shard(number, of), storage=layout) for number, folder in enumerate(out, start=1)]
    merged = join_shards(out[::-1], tmp_path / "merged", transfer=transfer, progress=False)  # type: ignore[arg-type]
    assert files(tmp_path / "merged") == files(expected)
    assert (merged.kept, merged.clips, merged.texts) == (single.kept, single.clips, single.texts)
    assert (merged.yields, merged.rejections) == (single.yields, single.rejections)
    assert sorted(merged.texts_without_clip) == sorted(single.texts_without_clip)
    assert (merged.respelled, merged.digits_left) == (single.respelled, single.digits_left)
    assert sum(report.made for report in reports) == len([one for one in Ledger(expected).rows.values() if one.engine])
    assert run(tmp_path / "merged", storage=layout).made == 0
    assert files(tmp_path / "merged") == files(expected)


def test_a_merge_that_was_killed_goes_on(
    whole: dict[str, Path], parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "merged"
    left = iter(range(7))

    def dies(source: Path, target: Path) -> None:
        next(left)
        shutil.copyfile(source, target)

    monkeypatch.setattr("data_synth.run.join_shards.os.link", dies)
    with pytest.raises((StopIteration, RuntimeError)):
        join_shards(parts, out, progress=False)
    monkeypatch.undo()
    assert not (out / LEDGER_NAME).exists()
    assert len(list(out.rglob("*.flac"))) == 7
    join_shards(parts, out, progress=False)
    assert files(out) == files(whole["flac"])


def test_a_join_that_is_killed_while_it_moves_loses_no_clip(
    whole: dict[str, Path], parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clip is never under a name that the next start sweeps away."""
    replace = Path.replace

    def dies(path: Path, target: Path) -> Path:
        if path.name.endswith(".flac.partial"):
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dies)
    with suppress(KeyboardInterrupt):
        join_shards(parts, tmp_path / "joined", transfer="move", progress=False)
    monkeypatch.undo()
    join_shards(parts, tmp_path / "joined", transfer="move", progress=False)
    assert files(tmp_path / "joined") == files(whole["flac"])


def test_rejected_clips_that_were_kept_are_brought_too(tmp_path: Path) -> None:
    run(tmp_path / "single", keep_rejected=True)
    for number in (1, 2):
        run(tmp_path / str(number), keep_rejected=True, shard=Shard(number, 2))
    join_shards([tmp_path / "1", tmp_path / "2"], tmp_path / "merged", progress=False)
    assert list((tmp_path / "merged" / "rejected").rglob("*.flac"))
    assert files(tmp_path / "merged") == files(tmp_path / "single")


def test_what_cannot_be_merged_is_told_and_nothing_is_made(parts: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "merged"
    with pytest.raises(DataError, match=r"shards are missing \(found '2/3, 3/3'\)"):
        join_shards(parts[:1], out, progress=False)
    twin = tmp_path / "twin"
    shutil.copytree(parts[1], twin)
    with pytest.raises(DataError, match=r"is shard 2, as .*part2 is"):
        join_shards([*parts, twin], out, progress=False)
    run(tmp_path / "other", shard=Shard(3, 3), seed=1)
    with pytest.raises(ConfigError, match=r"other/settings\.json: plan: differs from"):
        join_shards([*parts[:2], tmp_path / "other"], out, progress=False)
    run(tmp_path / "single")
    with pytest.raises(DataError, match="is not a shard"):
        join_shards([tmp_path / "single"], out, progress=False)
    with pytest.raises(DataError, match="was not made by synthesize"):
        join_shards([tmp_path / "nothing"], out, progress=False)
    with pytest.raises(DataError, match="is one of the shards"):
        join_shards(parts, parts[0], progress=False)
    with (parts[2] / LEDGER_NAME).open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="shard 3/3 is not finished"):
        join_shards(parts, out, progress=False)
    assert not out.exists()


def test_a_clip_that_is_missing_is_told_and_can_be_made_again(
    whole: dict[str, Path], parts: list[Path], tmp_path: Path
) -> None:
    gone = next((parts[1] / "clips").rglob("*.flac"))
    gone.unlink()
    with pytest.raises(DataError, match=gone.name):
        join_shards(parts, tmp_path / "merged", progress=False)
    run(parts[1], shard=Shard(2, 3))
    join_shards(parts, tmp_path / "merged", progress=False)
    assert files(tmp_path / "merged") == files(whole["flac"])


def test_a_folder_that_was_merged_is_not_overwritten_by_another_run(parts: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "merged"
    join_shards(parts, out, progress=False)
    before = files(out)
    join_shards(parts, out, progress=False)
    assert files(out) == before
    run(tmp_path / "other", TEXTS[:3], shard=Shard(1, 2))
    run(tmp_path / "another", TEXTS[:3], shard=Shard(2, 2))
    with pytest.raises(DataError, match="ledger of other clips"):
        join_shards([tmp_path / "other", tmp_path / "another"], out, progress=False)
    assert (out / LEDGER_NAME).read_bytes() == before[LEDGER_NAME]


def test_a_shards_folder_is_held_to_its_plan(parts: list[Path]) -> None:
    for changes in ({"shard": Shard(2, 3)}, {"shard": None}, {"shard": Shard(1, 3), "seed": 5}):
        with pytest.raises(ConfigError, match=r"settings\.json"):
            run(parts[0], **changes)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="plan"):
        run(parts[0], TEXTS[:-1], Shard(1, 3))


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2"])
def test_shards_that_do_not_exist(text: str) -> None:
    with pytest.raises(ConfigError, match="shard: must be I/N"):
        Shard.parse(text)


def test_a_cut_is_written_as_lhotse_would() -> None:
    kept = row(7, text="zoë", spoken="zoe")
    entry = cut_entry(kept, recording_entry("one", "file", "/x/one.flac", 24_000, 16_000), "en")
    theirs = MonoCut.from_dict(json.loads(json.dumps(entry))).to_dict()
    assert json.dumps(entry) == json.dumps(theirs)


def test_the_command_line_makes_shards_and_merges_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("turn it on\nstop\nplay jazz\n")
    arguments = [str(texts), "--engines", "fake", "--storage", "shar", "--clips-per-tar", "2", "--quiet", "--out"]
    assert status_of([*arguments, str(tmp_path / "whole")]) == 0
    for number in (1, 2):
        assert status_of([*arguments, str(tmp_path / str(number)), "--shard", f"{number}/2"]) == 0
    capsys.readouterr()
    out = str(tmp_path / "merged")
    assert status_of(["join", str(tmp_path / "1"), "--out", out]) == 2
    assert (
        capsys.readouterr().err
        == "python -m data_synth: folders: shards are missing (found '2/2'); name their folders too\n"
    )
    assert status_of(["merge", str(tmp_path / "1"), str(tmp_path / "2"), "--out", out, "--quiet"]) == 0
    assert "3 of 3 clips kept" in capsys.readouterr().out
    assert status_of(["join", str(tmp_path / "1"), str(tmp_path / "2"), "--out", out, "--quiet"]) == 0
    assert files(tmp_path / "merged") == files(tmp_path / "whole")
    assert os.listdir(tmp_path / "merged" / "shar")  # noqa: PTH208
