"""The formats are openai-whisper's, and valid."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from speech_analogy.evaluation.transcribe import TimedText
from speech_analogy.long_audio.formats import FORMATS, PRINTED, TextWriter, timestamp

SEGMENTS = [
    TimedText(0.5, 2.25, "we call it bear"),
    TimedText(59.9996, 61.0, "tab\there --> there"),
    TimedText(3661.5, 3725.0049, "naïve “quotes” \u2028 & <b>"),
]
TIME = r"(\d\d:)?\d\d:\d\d\.\d{3}"


def written(kind: type[TextWriter], name: str = "a.wav") -> str:
    stream = io.StringIO()
    writer = kind(stream, name, "en")
    writer.begin()
    for segment in SEGMENTS:
        writer.write(segment)
    writer.end(4000.0)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["srt", "vtt", "tsv", "text"])
def test_as_openai_whisper_writes_them(form: str, tmp_path: object) -> None:
    from whisper.utils import get_writer

    theirs = io.StringIO()
    result = {"segments": [{"start": s.start_s, "end": s.end_s, "text": s.text} for s in SEGMENTS]}
    writer = get_writer("txt" if form == "text" else form, "")
    writer.write_result(result, theirs, {"max_line_width": None, "max_line_count": None, "highlight_words": False})
    assert written(FORMATS[form]) == theirs.getvalue()


def test_srt_counts_and_goes_forward() -> None:
    blocks = written(FORMATS["srt"]).strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["1", "2", "3"]
    for block in blocks:
        start, end = block.split("\n")[1].split(" --> ")
        assert re.fullmatch(r"\d\d:\d\d:\d\d,\d{3}", start)
        assert start < end
        assert "-->" not in block.split("\n")[2]


def test_vtt_has_its_head_and_times() -> None:
    head, *cues = written(FORMATS["vtt"]).strip().split("\n\n")
    assert head == "WEBVTT"
    assert all(re.fullmatch(f"{TIME} --> {TIME}", cue.split("\n")[0]) for cue in cues)


def test_tsv_has_three_columns() -> None:
    rows = list(csv.reader(io.StringIO(written(FORMATS["tsv"])), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["start", "end", "text"]
    assert [row[:2] for row in rows[1:]] == [["500", "2250"], ["60000", "61000"], ["3661500", "3725005"]]
    assert {len(row) for row in rows} == {3}


def test_json_and_jsonl_hold_the_same() -> None:
    whole = json.loads(written(FORMATS["json"], 'odd "name".wav'))
    lines = [json.loads(line) for line in written(FORMATS["jsonl"]).split("\n")[:-1]]
    assert [(row["start"], row["end"], row["text"]) for row in whole["segments"]] == [
        (row["start"], row["end"], row["text"]) for row in lines
    ]
    assert whole["file"] == 'odd "name".wav'
    assert whole["text"] == " ".join(segment.text for segment in SEGMENTS)
    assert [row["id"] for row in whole["segments"]] == [0, 1, 2]
    assert {row["file"] for row in lines} == {"a.wav"}


def test_json_of_no_words() -> None:
    stream = io.StringIO()
    writer = FORMATS["json"](stream, "a", "en")
    writer.begin()
    writer.end(1.0)
    assert json.loads(stream.getvalue())["segments"] == []


def test_printed_text_is_a_line_a_recording() -> None:
    assert written(PRINTED["text"]).split("\t", 1)[0] == "a.wav"
    assert written(PRINTED["text"]).count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, "00:00:00,000"), (59.9996, "00:01:00,000"), (36000.25, "10:00:00,250")]
)
def test_times_carry_over(seconds: float, expected: str) -> None:
    assert timestamp(seconds, ",") == expected
