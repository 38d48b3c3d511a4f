"""Timed text as files: text, JSON, JSONL, SRT, WebVTT and TSV, written as it comes, as openai-whisper writes them."""

from __future__ import annotations

import json
from typing import Any, ClassVar, TextIO

from speech_analogy.evaluation.transcribe import TimedText


class TextWriter:
    """One segment a line."""

    suffix: ClassVar[str] = ".txt"
    several: ClassVar[bool] = True
    """Whether the transcripts of several recordings may follow each other in one stream."""

    def __init__(self, stream: TextIO, name: str, language: str) -> None:
        self.stream, self.name, self.language, self.count = stream, name, language, 0

    def begin(self) -> None:
        """Before a recording's first segment."""

    def write(self, segment: TimedText) -> None:
        """One segment, in order of time; its text is not empty."""
        self.count += 1
        self.put(segment)
        self.stream.flush()

    def put(self, segment: TimedText) -> None:
        """What `write` writes."""
        print(segment.text, file=self.stream)

    def end(self, duration_s: float) -> None:
        """After a recording's last segment."""

    def abandon(self) -> None:
        """In place of the end, where the recording cannot be read on."""


IN_ONE_CELL = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})  # of a name in a line with tabs


class LineWriter(TextWriter):
    """A recording a line: its name, a tab, all of its text."""

    def begin(self) -> None:
        self.stream.write(f"{self.name.translate(IN_ONE_CELL)}\t")

    def put(self, segment: TimedText) -> None:
        self.stream.write(segment.text if self.count == 1 else f" {segment.text}")

    def end(self, duration_s: float) -> None:
        print(file=self.stream, flush=True)

    def abandon(self) -> None:
        self.end(0.0)


class TsvWriter(TextWriter):
    """Start and end in milliseconds, and the text."""

    suffix = ".tsv"
    several = False

    def begin(self) -> None:
        print("start", "end", "text", sep="\t", file=self.stream)

    def put(self, segment: TimedText) -> None:
        times = (round(1000 * segment.start_s), round(1000 * segment.end_s))
        print(*times, segment.text.replace("\t", " "), sep="\t", file=self.stream)


class SrtWriter(TextWriter):
    """SubRip subtitles."""

    suffix = ".srt"
    several = False

    def put(self, segment: TimedText) -> None:
        times = f"{timestamp(segment.start_s, ',')} --> {timestamp(segment.end_s, ',')}"
        print(f"{self.count}\n{times}\n{_without_arrow(segment.text)}\n", file=self.stream)


class VttWriter(TextWriter):
    """WebVTT subtitles."""

    suffix = ".vtt"
    several = False

    def begin(self) -> None:
        print("WEBVTT\n", file=self.stream)

    def put(self, segment: TimedText) -> None:
        times = f"{timestamp(segment.start_s, '.', hours=False)} --> {timestamp(segment.end_s, '.', hours=False)}"
        print(f"{times}\n{_without_arrow(segment.text)}\n", file=self.stream)


class JsonlWriter(TextWriter):
    """One segment a line, with the recording's name."""

    suffix = ".jsonl"

    def put(self, segment: TimedText) -> None:
        print(_json({"file": self.name, **_times(segment), "text": segment.text}), file=self.stream)


class JsonWriter(TextWriter):
    """One object: `file`, `language`, `segments` (`id`, `start`, `end`, `text`), `duration` and the whole `text`."""

    suffix = ".json"
    several = False

    def begin(self) -> None:
        self._texts: list[str] = []
        self.stream.write(f'{{"file": {_json(self.name)}, "language": {_json(self.language)}, "segments": [')

    def put(self, segment: TimedText) -> None:
        self._texts.append(segment.text)
        row = {"id": self.count - 1, **_times(segment), "text": segment.text}
        self.stream.write(("\n " if self.count == 1 else ",\n ") + _json(row))

    def end(self, duration_s: float) -> None:
        print(f'\n], "duration": {round(duration_s, 3)}, "text": {_json(" ".join(self._texts))}}}', file=self.stream)


FORMATS: dict[str, type[TextWriter]] = {
    "text": TextWriter,
    "json": JsonWriter,
    "jsonl": JsonlWriter,
    "srt": SrtWriter,
    "vtt": VttWriter,
    "tsv": TsvWriter,
}


PRINTED: dict[str, type[TextWriter]] = {"text": LineWriter}
"""Where a format is another one on the terminal."""


def timestamp(seconds: float, decimal: str, *, hours: bool = True) -> str:
    """`00:01:02,345`; without `hours`, they are only written where there are any."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    shown = f"{hour:02d}:" if hours or hour else ""
    return f"{shown}{minute:02d}:{second:02d}{decimal}{milliseconds:03d}"


def _times(segment: TimedText) -> dict[str, float]:
    return {"start": round(segment.start_s, 3), "end": round(segment.end_s, 3)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _without_arrow(text: str) -> str:
    return text.replace("-->", "->")
