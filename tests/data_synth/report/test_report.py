"""The page of a folder: one file, every number of the ledger, clips that can be heard, hostile text as text."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.plan.options import SynthesisOptions
from data_synth.report.clip_report import render, write_report
from data_synth.report.gather import ClipChoice, gather
from data_synth.report.histograms import Histogram, histogram
from data_synth.store.ledger import Ledger
from data_synth.store.rejects import find_rejected, store_rejected
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import DataError
from tests.data_synth.program import status_of
from tests.data_synth.report.ledgers import row, write

HOSTILE = '<script>alert("1")</script> & <img src=x onerror=y>'
TEXTS = [Text.of(words, domain) for words in ("turn it on", "play some jazz", HOSTILE) for domain in ("a", "<b>")]


class Page(HTMLParser):
    """Tags with their attributes, and the text outside of style."""

    VOID = frozenset({"meta", "link", "rect", "line", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def folder(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "out"
    options = {"engines": "fake:low+high+silent+flaky", "voices_per_text": 4, "attempts": 2}
    synthesize([*TEXTS, Text.of("...")], out, SynthesisOptions.parse(options), progress=False)
    return out


def test_the_page_is_one_well_formed_file_that_fetches_nothing(folder: Path) -> None:
    page = Page(render(folder))
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "img"}
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    assert "http://" not in render(folder)
    assert "https://" not in render(folder)
    assert HOSTILE in page.text
    for figure in page.of("svg"):
        assert figure.get("aria-hidden") or (figure["role"] == "img" and figure["aria-label"])
    for player in page.of("audio"):
        assert player["aria-label"]


def test_the_numbers_are_those_of_the_ledger(folder: Path) -> None:
    rows = list(Ledger(folder).rows.values())
    spoken = [one for one in rows if one.engine]
    text = Page(render(folder)).text
    kept = sum(one.kept for one in spoken)
    asked = sum(one.attempt == 0 for one in spoken)
    assert asked == 24
    assert f"clips kept {kept} clips asked for {asked} attempts {len(spoken)} texts 7 texts without a clip 1" in text
    silent = [one for one in spoken if one.voice == "silent"]
    assert f"fake:silent 6 {len(silent)} 0 0 s 0.0 %" in text
    assert "level_db -200 is below -50" in text
    assert "unspeakable" in text


def test_clips_can_be_heard_and_are_the_right_ones(folder: Path) -> None:
    page = render(folder, clips=50)
    players = [attributes["src"] or "" for attributes in Page(page).of("audio")]
    kept = [one for one in Ledger(folder).rows.values() if one.kept]
    assert len(players) == len(kept)
    lengths = []
    for source in players:
        head, _, packed = source.partition(",")
        assert head == "data:audio/ogg;base64"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(packed)))
        lengths.append(len(samples) / rate)
    assert sorted(lengths) == pytest.approx(sorted(one.duration_s or 0.0 for one in kept), abs=0.01)


def test_the_same_folder_gives_the_same_bytes_and_another_seed_other_clips(folder: Path) -> None:
    assert render(folder, clips=3) == render(folder, clips=3)
    assert render(folder, clips=3) != render(folder, clips=3, seed=1)


def test_rejected_clips_are_heard_where_they_were_stored(folder: Path) -> None:
    assert "Rejected clips were not stored" in Page(render(folder)).text
    [one, *_] = (one for one in Ledger(folder).rows.values() if not one.kept and one.engine)
    samples = np.full(16_000, 0.1, np.float32)
    samples[5] = np.nan
    store_rejected(folder, one.key, samples, 16_000, 16_000, "flac")
    try:
        path = find_rejected(folder, one.key)
        assert path is not None
        assert np.isfinite(soundfile.read(path)[0]).all()
        page = Page(render(folder, clips=50))
        assert "Rejected clips were not stored" not in page.text
        assert len(page.of("audio")) == sum(each.kept for each in Ledger(folder).rows.values()) + 1
    finally:
        path and path.unlink()
    store_rejected(folder, one.key, samples[:0], 16_000, 16_000, "flac")
    assert find_rejected(folder, one.key) is None


def test_audio_has_a_size_that_is_not_exceeded(folder: Path) -> None:
    whole = [attributes["src"] or "" for attributes in Page(render(folder, clips=8)).of("audio")]
    room = sum(map(len, whole)) // 2
    less = Page(render(folder, clips=8, audio_bytes=room))
    sources = [attributes["src"] or "" for attributes in less.of("audio")]
    assert 0 < len(sources) < len(whole)
    assert sum(len(source.partition(",")[2]) for source in sources) <= room
    assert "clips are not embedded" in less.text


def test_a_clip_that_is_gone_or_broken_is_told(tmp_path: Path) -> None:
    rows = [row("a b", "v", value=-20), row("c", "w", value=-20)]
    write(tmp_path, [rows[0].model_copy(update={"path": "a.flac"}), rows[1].model_copy(update={"path": "b.flac"})])
    (tmp_path / "b.flac").write_bytes(b"fLaC nonsense")
    assert "2 of the 2 kept clips chosen below cannot be read" in Page(render(tmp_path)).text


def test_folders_without_gates_or_without_a_kept_clip_have_a_page(tmp_path: Path) -> None:
    write(tmp_path / "none", [row("x", value=-90)])
    assert "No clip was kept" in Page(render(tmp_path / "none")).text
    write(tmp_path / "off", [row("x")])
    assert "The gates were switched off" in Page(render(tmp_path / "off")).text
    write(tmp_path / "torn", [row("x")], end='{"key')
    assert "The ledger's last line is torn" in Page(render(tmp_path / "torn")).text


def test_command_writes_the_page_and_prints_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["report", str(folder)]) == 0
    page = folder / "report.html"
    assert capsys.readouterr().out == f"report: {page}\n"
    assert page.read_text(encoding="utf-8") == render(folder)
    page.unlink()
    assert status_of(["report", str(folder), "--format", "markdown"]) == 0
    assert "| gate |" in capsys.readouterr().out
    assert status_of(["report", str(folder), "--format", "json", "--out", str(folder / "y.json")]) == 0
    assert (folder / "y.json").read_text().startswith("{")
    (folder / "y.json").unlink()


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["report", str(tmp_path)]) == 2
    assert "there is no ledger" in capsys.readouterr().err
    write(tmp_path, [])
    with pytest.raises(DataError, match="no row"):
        write_report(tmp_path)
    write(tmp_path, [row("x")])
    with pytest.raises(DataError, match="is not a file"):
        write_report(tmp_path, tmp_path)
    with pytest.raises(DataError, match=r"page\.html: the output must be writable"):
        write_report(tmp_path, tmp_path / "no" / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.jsonl"]


def test_a_choice_is_spread_over_groups_and_does_not_hang_on_order() -> None:
    rows = [row(f"t{n}", "much" if n % 10 else "little") for n in range(100)]
    chosen = gather(rows, 6, 0).kept.rows()
    assert len({one.key for one in chosen}) == 6
    assert sum(one.voice == "little" for one in chosen) == 3
    assert [one.key for one in gather(rows[::-1], 6, 0).kept.rows()] == [one.key for one in chosen]
    assert [one.key for one in gather(rows + rows, 6, 0).kept.rows()] == [one.key for one in chosen]
    assert {one.key for one in gather(rows, 6, 1).kept.rows()} != {one.key for one in chosen}
    assert ClipChoice(0, 0).rows() == []
    assert gather(rows, 0, 0).kept.rows() == []


@settings(max_examples=80)
@given(st.lists(st.floats(0, 50, allow_nan=False), min_size=1, max_size=60), st.integers(1, 60))
def test_a_histogram_shows_every_number_once(numbers: list[float], bars: int) -> None:
    data = Histogram(0.05, 40.0)
    for number in numbers:
        data.add("kept", number)
    svg = str(histogram(data, "t", "s", {"kept": "kept"}, bars))
    assert sum(int(count.replace(",", "")) for count in re.findall(r": kept ([\d,]+)<", svg)) == len(numbers)
    assert svg.count("<rect") <= max(bars, 8) + 2  # of a step that is rounded to whole bins, on round numbers
    middle = data.quantile("kept", 0.5)
    expected = sorted(min(number, 39.99) for number in numbers)[(len(numbers) - 1) // 2]
    assert middle == pytest.approx(expected, abs=0.0501)
    assert data.mean("kept") == pytest.approx(sum(numbers) / len(numbers))


def test_bars_are_stacked_in_proportion() -> None:
    data = Histogram(1.0, 10.0, thresholds=(2.0,))
    for name, value, count in (("kept", 0.5, 3), ("rejected", 0.5, 1), ("kept", 1.5, 2)):
        for _ in range(count):
            data.add(name, value)
    svg = str(histogram(data, "t", "s", {"kept": "k", "rejected": "r"}))
    found = re.findall(r'<rect class="(\w)" x="([\d.]+)%" width="[\d.]+%" y="([\d.]+)" height="([\d.]+)"', svg)
    heights = [(name, float(height)) for name, _, _, height in found]
    assert [name for name, _ in heights] == ["k", "r", "k"]
    assert heights[0][1] == pytest.approx(3 * heights[1][1])
    assert heights[2][1] == pytest.approx(2 * heights[1][1])
    assert float(found[1][2]) + float(found[1][3]) == pytest.approx(float(found[0][2]))  # the one stands on the other
    assert 'class="threshold" x1="100.000%"' in svg
    assert "at most 1, 1, 2 s" in svg
    assert str(histogram(Histogram(1.0, 2.0), "t", "s", {"kept": "k"})) == ""
