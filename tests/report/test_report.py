"""The page: it is whole, fetches nothing, escapes everything, and its numbers are those of results.json."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from speech_analogy.errors import DataError
from speech_analogy.evaluation.measures.records import TargetWords
from speech_analogy.evaluation.results import Hypothesis, Results, read_hypotheses, write_hypotheses
from speech_analogy.foundation.page import wording
from speech_analogy.report.markdown import render
from speech_analogy.report.report import write_report
from speech_analogy.report.screen import table
from tests.report.fake_run import CHOSEN, make_run
from tests.report.reading import Page

ATTACK = '<script>alert("1")</script><img src=x onerror=alert(1)>'


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def own_script(page: Page) -> str:
    """The one script of a page, whose digest is the only one that the page lets run."""
    assert page.named("script") == [{}]
    (policy,) = [one["content"] for one in page.named("meta") if "http-equiv" in one]
    script = "".join(page.scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert re.findall(r"script-src ([^;]*)", policy) == [f"'sha256-{digest}'"]
    return script


def rewrite(run: Path, **changed: object) -> None:
    """WordChange keys of results.json."""
    file = run / "results.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


def test_the_two_files_are_written_whole(run: Path) -> None:
    for name in ("report.html", "results.md"):
        (run / name).unlink()
    assert write_report(run) == run / "report.html"
    assert (run / "results.md").is_file()
    assert list(run.glob("*.partial")) == []


def test_page_is_balanced_and_fetches_nothing(made: Path) -> None:
    html = (made / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.fetched()
    places = {f"#{clip['id']}" for clip in page.named("li") if "id" in clip}  # of this page
    assert all(address.startswith("data:") or address in places for address in page.fetched())
    without_its_script = html.replace(f"<script>{own_script(page)}</script>", "")
    assert not re.search(r"https?://|@import|url\(|<script", without_its_script)
    assert len(html) < 1_000_000  # ten clips of seconds, not of megabytes


def test_figures_and_tables_speak_to_readers_who_listen(made: Path) -> None:
    page = Page((made / "report.html").read_text(encoding="utf-8"))
    pictures = [svg for svg in page.named("svg") if svg.get("aria-hidden") != "true" and "viewbox" not in svg]
    assert len(pictures) == 3  # the bars, two curves
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in pictures)
    assert {cell["scope"] for cell in page.named("th")} == {"row", "col"}
    assert all(audio["aria-label"] for audio in page.named("audio"))


def test_every_system_stands_in_the_table_with_its_numbers(made: Path, results: Results) -> None:
    rows = Page((made / "report.html").read_text(encoding="utf-8")).tables["Word error rates of every system"]
    found = {tuple(row[1:]) for row in rows[1:]}
    expected = {
        (
            ("" if s.scale is None else f"{s.scale:g}") + (" ✓" if s.chosen else ""),
            f"{s.wer:.1f}", f"{s.ci95[0]:.1f}–{s.ci95[1]:.1f}", f"{s.cer:.1f}", str(s.substitutions),
            str(s.deletions), str(s.insertions), str(s.over_100), f"{s.raw_wer:.1f}", s.window,
        )
        for s in results.systems
    }  # fmt: skip
    assert found == expected
    assert len(rows) - 1 == len(results.systems)


def test_loops_and_silence_stand_under_the_table(made: Path, results: Results) -> None:
    assert not any("Loops and silence" in text for text in (render(results), (made / "report.html").read_text()))
    first = results.systems[0].model_copy(update={"fell_back": 3, "silent": 1, "silent_words": 4, "one_pass_wer": 77.7})
    changed = results.model_copy(update={"systems": [first, *results.systems[1:]]})
    sentence = "3 utterances looped and fell back, 1 utterance taken for silence, without the 4 words"
    for text in (render(changed), table(changed)):
        assert sentence in " ".join(text.split())
        assert "WER of one pass 77.7" in " ".join(text.split())
    run = made.parent / "loops"
    shutil.copytree(made, run)
    changed.write(run / "results.json")
    assert sentence in " ".join(write_report(run).read_text(encoding="utf-8").split())


def test_what_it_gets_wrong_is_a_table_for_each_question(made: Path, results: Results) -> None:
    assert not any(one.get("id") == "details" for one in page_of(made).named("section"))
    words = TargetWords(vocabulary=9, words=40, errors=10, others=60, other_errors=3)
    changed = results.model_copy(
        update={"systems": [one.model_copy(update={"target_words": words}) for one in results.systems]}
    )
    run = made.parent / "details"
    shutil.copytree(made, run)
    changed.write(run / "results.json")
    page = write_report(run).read_text(encoding="utf-8")
    section = page[page.index('<section id="details">') :]
    section = section[: section.index("</section>")]
    assert "<h3>Words that only the target has</h3>" in section
    assert re.findall(r"<th scope=\"col\"[^>]*>([^<]*)<", section) == ["system by words", "B-WER", "U-WER"]
    rows = re.findall(r"<tr><th scope=\"row\">[^<]*</th><td>([^<]*)</td><td>([^<]*)</td></tr>", section)
    assert set(rows) == {("25.0", "5.0")}
    assert "(9 distinct ones); U-WER: on the 60 others" in section


def test_comparisons_are_those_of_the_results(made: Path, results: Results) -> None:
    rows = Page((made / "report.html").read_text(encoding="utf-8")).tables["Paired comparisons"]
    plain = [[cell.replace("−", "-") for cell in row[1:]] for row in rows[1:]]
    assert plain == [
        [
            f"{c.difference:+.1f}", f"{c.ci95[0]:+.1f} to {c.ci95[1]:+.1f}", f"{100 * c.relative:+.1f} %",
            "< 0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}",
        ]
        for c in results.comparisons
    ]  # fmt: skip


def test_headline_says_the_finding_and_the_rivals_are_listed(made: Path, results: Results) -> None:
    page = Page((made / "report.html").read_text(encoding="utf-8"))
    against = {c.against: c for c in results.comparisons}
    fewer = f"{-100 * against['target_synthetic'].relative:.1f} % fewer errors than TTS fine-tuning alone"
    assert f"On food, animals, clothing and places, the analogy makes {fewer}" in page.text
    rows = page.tables["The finding against each rival"][1:]
    assert [row[0] for row in rows] == [
        "C: TTS fine-tuning alone", "Mixed", "B: source, real", "Whisper as published",
    ]  # fmt: skip
    assert results.test.note in page.text
    assert results.command in page.text


@pytest.mark.parametrize(
    ("relative", "p_value", "said"),
    [
        (-0.2, 0.004, "the analogy makes 20.0 % fewer errors than TTS fine-tuning alone"),
        (0.2, 0.004, "the analogy makes 20.0 % more errors than TTS fine-tuning alone"),
        (-0.02, 0.4, "no clear difference between the analogy and TTS fine-tuning alone"),
    ],
)
def test_headline_does_not_flatter(run: Path, results: Results, relative: float, p_value: float, said: str) -> None:
    made_up = [c.model_copy(update={"relative": relative, "p_value": p_value}) for c in results.comparisons]
    rewrite(run, comparisons=[c.model_dump() for c in made_up])
    assert said in page_of(run).text


def test_curves_mark_the_chosen_scale_and_are_given_as_numbers(made: Path, results: Results) -> None:
    page = Page((made / "report.html").read_text(encoding="utf-8"))
    rows = {row[0]: row[1:] for row in page.tables["WER over λ"][1:]}
    for point in results.selection.scale_curve:
        assert rows[f"{point.scale:g}"][0] == f"{point.wer:.1f}"
    for system in results.systems:
        if system.name == "analogy":
            assert rows[f"{system.scale:g}"][1] == f"{system.wer:.1f}"
        if system.name == "target_synthetic":  # λ = 0 is C itself
            assert rows["0"][1] == f"{system.wer:.1f}"
    assert f"λ = {CHOSEN} was chosen on {results.selection.scale_chosen_on}" in page.section("scale")
    assert "never used to choose" in page.section("scale")


@pytest.mark.parametrize("at_end", [False, True])
def test_a_chosen_scale_at_the_end_of_the_grid_is_said(run: Path, results: Results, at_end: bool) -> None:
    assert results.selection is not None
    curve = [point for point in results.selection.scale_curve if not at_end or point.scale <= CHOSEN]
    rewrite(run, selection={**results.selection.model_dump(), "scale_curve": [p.model_dump() for p in curve]})
    assert (wording.LARGEST_SCALE in page_of(run).section("scale")) is at_end
    found = Results.read(run / "results.json")
    assert (wording.LARGEST_SCALE in table(found)) is at_end
    assert (wording.LARGEST_SCALE in render(found)) is at_end


def test_all_text_is_escaped(run: Path, results: Results) -> None:
    file = run / "hypotheses" / "analogy-0.75.jsonl"
    rows = [
        Hypothesis(
            **{**row.model_dump(), "reference": ATTACK, "hypothesis": ATTACK, "domain": ATTACK, "speaker": ATTACK,
               "hypothesis_normalised": f"{row.hypothesis_normalised} {ATTACK}"}
        )
        for row in read_hypotheses(file)
    ]  # fmt: skip
    write_hypotheses(rows, file)
    test = {**results.test.model_dump(), "title": ATTACK, "note": ATTACK, "domains": [ATTACK], "recipe": ATTACK}
    systems = [system.model_dump() for system in results.systems]
    systems[1]["name"] = ATTACK
    hostile = {"command": ATTACK, "machine": {ATTACK: ATTACK}, "versions": {ATTACK: ATTACK}, "seconds": {ATTACK: 1.0}}
    hostile |= {"counts": {ATTACK: {ATTACK: 1.0}}}
    rewrite(run, test=test, systems=systems, **hostile)
    page = page_of(run)
    assert ATTACK not in own_script(page)
    assert page.named("img") == []
    assert page.text.count("<script>alert(") >= 10  # it is shown, as text
    markdown = (run / "results.md").read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"```.*?```|`[^`\n]*`", "", markdown, flags=re.S)  # code is shown as it stands


def test_copied_run_still_has_its_recordings(run: Path, made: Path) -> None:
    file = run / "hypotheses" / "analogy-0.75.jsonl"
    elsewhere = "/nowhere/old-run"
    rows = [row.model_copy(update={"audio": f"{elsewhere}/{row.audio}"}) for row in read_hypotheses(file)]
    write_hypotheses(rows, file)
    page = page_of(run)
    assert page.within["clips"].count("audio") == 10
    assert page.within["utterances"].count("audio") == 50  # the other ten are in the section above
    assert "not found" not in page.text


def test_missing_recordings_leave_the_words_and_a_remark(run: Path) -> None:
    shutil.rmtree(run / "clips")
    page = page_of(run)
    assert page.named("audio") == []
    assert "60 recordings of 60 not found" in page.text
    assert page.section("clips").count("recording not found") == 10


def test_unreadable_recording_is_named(run: Path) -> None:
    for path in (run / "clips").iterdir():
        path.write_bytes(b"not audio")
    page = page_of(run)
    assert page.named("audio") == []
    assert "cannot be read: utt-" in page.text


def test_missing_hypotheses_leave_a_remark_and_broken_ones_are_an_error(run: Path) -> None:
    (run / "hypotheses" / "mixed.jsonl").unlink()
    page = page_of(run)
    assert "The hypotheses of “Mixed” are missing" in page.text
    assert "Mixed" not in page.section("clips")
    (run / "report.html").unlink()
    (run / "hypotheses" / "zero_shot.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="zero_shot"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_no_results_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results here"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_one_system(tmp_path: Path) -> None:
    results = make_run(tmp_path, names=("zero_shot",), scales=(), count=12)
    page = page_of(tmp_path)
    assert f"Whisper as published has a word error rate of {results.systems[0].wer:.1f} %" in page.text
    assert page.section("comparisons") == page.section("words") == page.section("scale") == ""
    assert page.within["clips"].count("audio") == 10
    assert page.within["utterances"].count("audio") == 2
    assert "✓" not in page.section("wer")


def test_analogy_without_a_grid_or_comparisons(run: Path, results: Results) -> None:
    selection = {**results.selection.model_dump(), "scale_curve": []}
    kept = [s.model_dump() for s in results.systems if s.name != "analogy" or s.chosen]
    rewrite(run, selection=selection, systems=kept, comparisons=[])
    page = page_of(run)
    assert page.section("comparisons") == ""
    assert {row[3] for row in page.tables["The finding against each rival"][1:]} == {"not tested"}
    about, alone = (next(s for s in kept if s["name"] == name) for name in ("analogy", "target_synthetic"))
    assert f"{100 * (1 - about['wer'] / alone['wer']):.1f} % fewer errors than TTS" in page.text


def test_analogy_absent_and_no_systems_at_all(run: Path, results: Results) -> None:
    rewrite(run, systems=[s.model_dump() for s in results.systems if s.name != "analogy"], comparisons=[])
    assert "D: analogy" not in page_of(run).text
    rewrite(run, systems=[], comparisons=[])
    assert "Nothing was measured" in page_of(run).text


def test_unknown_system_keeps_its_name_and_stands_before_the_analogy(run: Path, results: Results) -> None:
    systems = [s.model_dump() for s in results.systems]
    systems.append({**systems[0], "name": "random_vectors"})
    rewrite(run, systems=systems)
    names = [row[0] for row in page_of(run).tables["Word error rates of every system"][1:]]
    assert names.index("Mixed") < names.index("random vectors") < names.index("D: analogy")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(made: Path, theme: int) -> None:
    html = (made / "report.html").read_text(encoding="utf-8")
    themes = re.findall(r":root \{(.*?)\}", html, re.S)[theme::2]  # of the base, then of this report
    colours = dict(re.findall(r"--(\w+): (#\w{6});", "".join(themes)))
    for text, ground in (
        ("ink", "paper"), ("muted", "paper"), ("accent", "paper"), ("ink", "card"), ("muted", "card"),
        ("accent", "card"), ("ink", "wrong"), ("muted", "wrong"),
    ):  # fmt: skip
        low, high = sorted((luminance(colours[text]), luminance(colours[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
