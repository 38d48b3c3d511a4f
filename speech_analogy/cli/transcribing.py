"""The verb `transcribe`: recordings of any length, in the formats that other programs read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from speech_analogy.cli.biasing import BiasBackground, BiasMethodChoice, BiasSettings, TextBiasPath, text_bias
from speech_analogy.cli.options import (
    Backend,
    BackendChoice,
    Beams,
    Compute,
    ComputeChoice,
    Device,
    Fallback,
    Language,
    Overwrite,
    Quiet,
    Window,
    decoding_options,
)
from speech_analogy.errors import ConfigError

if TYPE_CHECKING:
    from speech_analogy.long_audio.recordings import SoundFile
    from speech_analogy.recognisers.decoding import DecodingOptions


TRANSCRIPTS = "transcripts"  # what a run claims in its folder


class FormatChoice(StrEnum):
    """See `--format`."""

    text = "text"
    json = "json"
    jsonl = "jsonl"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"


def transcribe_command(
    audio: Annotated[list[Path], typer.Argument(help="Audio files and folders of them, of any length; or cuts.")],
    model: Annotated[str, typer.Option(help="Weights, as for --base.")],
    form: Annotated[
        FormatChoice, typer.Option("--format", help="Of the transcripts; all but text have times.")
    ] = FormatChoice.text,
    out: Annotated[
        Path | None, typer.Option(help="Folder with a file for each recording; by default all is printed.")
    ] = None,
    vad: Annotated[bool, typer.Option("--vad", help="Cut recordings under 30 s where nobody speaks, too.")] = False,
    channel: Annotated[
        int | None, typer.Option(min=0, help="Of audio that has several, counted from 0; by default their mean.")
    ] = None,
    window: Window = None,
    beams: Beams = 1,
    backend: Backend = BackendChoice.torch,
    compute: Compute = ComputeChoice.int8,
    device: Device = "auto",
    fallback: Fallback = True,
    texts: TextBiasPath = None,
    bias_method: BiasMethodChoice = None,
    background: BiasBackground = None,
    bias_settings: BiasSettings = None,
    language: Language = "en",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Print transcripts, by default name, tab, text; or write each recording's in a format with times."""
    from speech_analogy.corpora.cut_files import CUTS_SUFFIXES

    bias = text_bias(texts, bias_method, background, bias_settings)
    decoding = decoding_options(window, beams, backend, compute, device, language, fallback, bias)
    if not any(str(path).endswith(CUTS_SUFFIXES) for path in audio):
        _recordings(audio, model, decoding, form.value, out, vad, channel, overwrite, quiet)
        return
    if channel is not None:
        do = "give audio files, or import the corpus with --option channel=N"
        raise ConfigError("cuts name their channels themselves", field="--channel", value=channel, do=do)
    if len(audio) > 1 or form is not FormatChoice.text or out is not None:
        raise ConfigError("cuts are transcribed by themselves, as text", file=next(iter(audio)), do="give audio files")
    from speech_analogy.evaluation.transcribe import transcribe

    for transcript in transcribe(audio[0], model, decoding=decoding, progress=not quiet).transcripts:
        print(f"{transcript.id}\t{transcript.text}")


def _recordings(
    audio: Sequence[Path],
    model: str,
    decoding: DecodingOptions,
    form: str,
    out: Path | None,
    vad: bool,
    channel: int | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    from speech_analogy.long_audio.recordings import find_sound

    recordings = find_sound(audio)
    with _writing(_files(recordings, form, out, overwrite), out) as files:
        _transcribe(recordings, files, model, decoding, form, vad, channel, quiet)


def _transcribe(
    recordings: Sequence[SoundFile],
    files: dict[SoundFile, Path],
    model: str,
    decoding: DecodingOptions,
    form: str,
    vad: bool,
    channel: int | None,
    quiet: bool,
) -> None:
    from speech_analogy.errors import DataError
    from speech_analogy.foundation.progress import bar
    from speech_analogy.long_audio.formats import FORMATS, PRINTED
    from speech_analogy.long_audio.transcribe import SoundTranscriber, expected_seconds, follow, not_transcribed

    expected_s = expected_seconds(recordings)
    opened = SoundTranscriber.load(model, decoding, find_always=vad, expected_s=expected_s, channel=channel)
    problems: dict[str, str] = {}
    with bar(expected_s or None, "transcribe", "s of audio", show=not quiet) as shown:
        texts = opened.texts(recordings, shown)
        for recording in recordings:
            try:
                with _stream(files.get(recording)) as stream:
                    writer = (FORMATS[form] if files else PRINTED.get(form, FORMATS[form]))(
                        stream, recording.name, decoding.language
                    )
                    follow(texts, writer)
            except DataError as error:
                problems[recording.name] = str(error)
    if problems:
        raise not_transcribed(problems, len(recordings))


def _files(recordings: Sequence[SoundFile], form: str, out: Path | None, overwrite: bool) -> dict[SoundFile, Path]:
    """Where each recording's transcript goes: NAME.srt, or NAME.wav.srt where two differ in their suffix alone."""
    from speech_analogy.long_audio.formats import FORMATS

    writer = FORMATS[form]
    if out is None:
        if len(recordings) > 1 and not writer.several:
            raise ConfigError(f"{form} holds one recording", field="--format", value=form, do="name a folder by --out")
        return {}
    stems = Counter(Path(recording.name).with_suffix("") for recording in recordings)
    files = {}
    for recording in recordings:
        stem = Path(recording.name).with_suffix("")
        name = recording.name if stems[stem] > 1 else str(stem)
        files[recording] = out / f"{name}{writer.suffix}"
    twice = [file for file, count in Counter(files.values()).items() if count > 1]
    if twice:
        raise ConfigError("two recordings have one name", file=twice[0], do="transcribe them into two folders")
    there = [file for file in files.values() if file.exists()]
    if there and not overwrite:
        raise ConfigError("the transcript exists", file=there[0], do="name another --out, or say --overwrite")
    return files


@contextmanager
def _writing(files: dict[SoundFile, Path], out: Path | None) -> Iterator[dict[SoundFile, Path]]:
    """The files that are to be written: there is room, nobody else writes there, and at the end they stay."""
    if out is None:
        yield files
        return
    from speech_analogy.foundation.disk.refusals import AT_LEAST_BYTES, require_room
    from speech_analogy.foundation.disk.syncing import sync_folder
    from speech_analogy.foundation.files import sweep_all
    from speech_analogy.foundation.locks import claimed

    folders = {file.parent for file in files.values()}
    new = [folder for folder in (*folders, out) if not folder.exists()]
    with _gone_if_empty(new), claimed(out / TRANSCRIPTS, ConfigError):  # within: `out` may be a folder of the user's
        require_room(out, AT_LEAST_BYTES, error=ConfigError)
        for folder in folders:
            sweep_all(folder)
        yield files
        for folder in folders:
            if folder.is_dir():
                sync_folder(folder)


@contextmanager
def _gone_if_empty(folders: Sequence[Path]) -> Iterator[None]:
    """Folders that were made meanwhile, for nothing."""
    try:
        yield
    finally:
        for folder in folders:
            with suppress(OSError):  # there is something in it
                folder.rmdir()


@contextmanager
def _stream(file: Path | None) -> Iterator[TextIO]:
    """A file that is there once it is whole, or what is printed."""
    if file is None:
        yield sys.stdout
        return
    from speech_analogy.foundation.files import whole_file

    with whole_file(file, one_of_many=True) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream
