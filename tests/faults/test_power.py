"""Power loss: at every moment the disk holds the old or the new, and what was said to be written stays."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_synth.plan.options import SynthesisOptions
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.adaptation.execution.protocol import Job
from speech_analogy.adaptation.execution.run_stage import run_stage
from speech_analogy.adaptation.plan.stage import DONE_FILE, Stage
from speech_analogy.adaptation.stages.params.base import StageParams
from speech_analogy.errors import DataError
from speech_analogy.foundation import files
from speech_analogy.foundation.disk import exchanging
from speech_analogy.foundation.locks import LOCK_NAME
from tests.data_synth.contents import files as contents_of
from tests.faults.disk import watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watches by /proc")

Content = str | dict[str, str] | None


def content(path: Path) -> Content:
    """A file's text, a folder's files with theirs, None where there is nothing."""
    if path.is_file():
        return path.read_text()
    if not path.exists():
        return None
    return {str(one.relative_to(path)): one.read_text() for one in sorted(path.rglob("*")) if one.is_file()}


def small(path: Path, text: str) -> None:
    files.write_whole(path, text)


def fleeting(path: Path, text: str) -> None:
    files.write_whole(path, text, lasting=False)


def held_by_name(path: Path, text: str) -> None:
    with files.replacing(path) as temporary:
        temporary.write_text(text)


def file(path: Path, text: str) -> None:
    with files.whole_file(path) as temporary:
        temporary.write_text(text)


def of_many(path: Path, text: str) -> None:
    with files.whole_file(path, one_of_many=True) as temporary:
        temporary.write_text(text)


def folder(path: Path, text: str) -> None:
    with files.whole_folder(path, overwrite=True) as temporary:
        (temporary / "inside").mkdir()
        for name in ("a", "inside/b"):
            (temporary / name).write_text(text)


def once(path: Path, text: str) -> None:
    def fill(temporary: Path) -> None:
        (temporary / "a").write_text(text)

    files.fill_once(path, fill)


LASTING: dict[str, Callable[[Path, str], None]] = {
    "write_whole": small,
    "replacing": held_by_name,
    "whole_file": file,
    "whole_folder": folder,
    "fill_once": once,
}
WHOLE = {**LASTING, "write_whole, not lasting": fleeting, "whole_file, one of many": of_many}


@pytest.mark.parametrize("write", WHOLE)
@pytest.mark.parametrize("old", [False, True], ids=["new", "over an old one"])
def test_there_is_the_old_or_the_new_at_every_moment(
    write: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    path = root / "out"
    if old:
        WHOLE[write](path, "old")
    before = content(path)
    with watched(root, tmp_path / "lost", monkeypatch) as disk:
        WHOLE[write](path, "new")
    after = content(path)
    found = [content(moment / "out") for moment in disk.moments]
    assert len(found) > 4 or before == after  # a cache that is filled stays
    assert before in found
    for one in found:
        assert one in (before, after)
    if write in LASTING:
        assert found[-2:] == [after, after]


def test_where_two_names_cannot_change_places_the_next_run_gives_the_old_one_its_name_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    folder(root / "out", "old")
    before = content(root / "out")
    monkeypatch.setattr(exchanging, "exchange", lambda one, other: False)
    with watched(root, tmp_path / "lost", monkeypatch) as disk:
        folder(root / "out", "new")
    after = content(root / "out")
    assert None in [content(moment / "out") for moment in disk.moments]
    for moment in disk.moments:
        files.sweep(moment / "out")
        assert content(moment / "out") in (before, after)
        assert {one.name for one in moment.iterdir()} <= {"out", f".out{LOCK_NAME}"}


def test_a_finished_stage_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that an earlier run made is taken over; its folder stands for a finished one."""
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "disk"
    elsewhere.mkdir()
    root.mkdir()
    (elsewhere / "model").write_text("weights")
    (elsewhere / DONE_FILE).write_text("{}")
    job = Job(Stage("a", StageParams()), root / ".a.building", root / "a", {}, elsewhere, False)
    with watched(root, tmp_path / "lost", monkeypatch) as disk:
        run_stage(job)
    found = [content(moment / "a") for moment in disk.moments]
    assert None in found
    for one in found:
        assert one in (None, {"model": "weights", DONE_FILE: "{}"})
    assert None not in found[-2:]


TEXTS = [Text.of(f"say number {number}", "a") for number in range(4)]


def speak(out: Path, storage: Any) -> None:
    asked = {"engines": "faulty:low+flaky", "voices_per_text": 2, "storage": storage, "isolated": False}
    options = SynthesisOptions.parse(asked)
    synthesize(TEXTS, out, options, progress=False, clips_per_tar=4, clips_root=Path("/used/here"))


@pytest.mark.parametrize("storage", ["flac", "shar"])
@pytest.mark.usefixtures("faulty_engine")
def test_a_synthesis_goes_on_after_a_power_loss(storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From whatever the disk holds, the same command ends with the bytes of an undisturbed run."""
    root = tmp_path / "disk"
    root.mkdir()
    with watched(root, tmp_path / "lost", monkeypatch) as disk:
        speak(root / "out", storage)
    undisturbed = contents_of(root / "out")
    assert contents_of(disk.moments[-1] / "out") == undisturbed
    assert len(disk.moments) > 80
    for moment in disk.moments[:: len(disk.moments) // 12]:
        speak(moment / "out", storage)
        assert contents_of(moment / "out") == undisturbed, moment.name


def damaged(path: Path, how: str) -> None:
    """Half of a file, or none of it."""
    path.write_bytes(b"" if how == "empty" else path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("how", ["empty", "half"])
@pytest.mark.parametrize("record", ["settings.json", "ledger.jsonl", "cuts.jsonl.gz", ".lock"])
@pytest.mark.usefixtures("faulty_engine")
def test_a_torn_record_blocks_no_folder_of_good_clips(record: str, how: str, tmp_path: Path) -> None:
    speak(tmp_path / "out", "flac")
    undisturbed = contents_of(tmp_path / "out")
    damaged(tmp_path / "out" / record, how)
    speak(tmp_path / "out", "flac")
    assert contents_of(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("bytes_left", [0, 100, 512, 10240, -10240, -1024, -1])
@pytest.mark.usefixtures("faulty_engine")
def test_a_shard_that_was_cut_off_is_made_anew(bytes_left: int, tmp_path: Path) -> None:
    speak(tmp_path / "out", "shar")
    undisturbed = contents_of(tmp_path / "out")
    tar = tmp_path / "out" / "shar" / "recording.000000.tar"
    tar.write_bytes(tar.read_bytes()[:bytes_left])
    speak(tmp_path / "out", "shar")
    assert contents_of(tmp_path / "out") == undisturbed


@pytest.mark.usefixtures("faulty_engine")
def test_a_ledger_with_a_hole_is_read_up_to_it(tmp_path: Path) -> None:
    """What a file system leaves where a file had grown and its contents had not come yet."""
    speak(tmp_path / "out", "flac")
    undisturbed = contents_of(tmp_path / "out")
    ledger = tmp_path / "out" / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join([*lines[:3], b"\0" * len(lines[3]), b"\0\0" + lines[4], *lines[5:]]))
    speak(tmp_path / "out", "flac")
    assert contents_of(tmp_path / "out") == undisturbed


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "clips in shards": ({"storage": "shar"}, "its clips are not in shards"),
    "another format": ({"storage": "opus"}, "its clips are flac"),
    "another rate": ({"sampling_rate": 8000}, "its clips have 16000 Hz"),
    "no gates": ({"gates": None}, "its clips passed a gate"),
    "another threshold": ({"gates": {"min_level_db": -30.0}}, "the gate level_db had other thresholds"),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.usefixtures("faulty_engine")
def test_torn_settings_are_no_licence_for_other_ones(other: str, tmp_path: Path) -> None:
    values, said = OTHERS[other]
    speak(tmp_path / "out", "flac")
    damaged(tmp_path / "out" / "settings.json", "half")
    content = {"engines": "faulty:low+flaky", "voices_per_text": 2, "isolated": False, **values}
    with pytest.raises(DataError, match=rf"settings\.json: is damaged, and {said}"):
        synthesize(TEXTS, tmp_path / "out", SynthesisOptions.parse(content), progress=False)
    with pytest.raises(json.JSONDecodeError):
        json.loads((tmp_path / "out" / "settings.json").read_text())
