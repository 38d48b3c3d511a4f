"""Asterisk's core sounds: telephone prompts in their telephone codecs, with texts in core-sounds-XX.txt."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speech_analogy.corpora.reading import (
    CHECKING_THREADS,
    MISSING_AUDIO,
    UNKNOWN_SPEAKER,
    CorpusUtterance,
    Problem,
    Reader,
    ReaderOptions,
)
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.progress import track
from speech_analogy.foundation.user_files.file_names import file_stem
from speech_analogy.foundation.user_files.plain import lines_of, open_plain

NOTHING_SPOKEN = "the text describes a sound; nothing is spoken"
G722_RATE_HZ = 16_000
GSM_RATE_HZ = 8_000
SLN_RATES_HZ = {
    ".sln": 8_000, ".sln12": 12_000, ".sln16": 16_000, ".sln24": 24_000,
    ".sln32": 32_000, ".sln44": 44_100, ".sln48": 48_000,
}  # fmt: skip
FORMATS = (".wav", ".g722", *reversed(SLN_RATES_HZ), ".gsm")  # best first, where a prompt comes in several

TELEPHONE_FORMATS = frozenset(FORMATS) - {".wav"}  # that no other corpus comes in

# Prompts outside folders belong to the part of the exchange that their prefix names; the rest is "general".
DOMAIN_OF_PREFIX = {
    name: name for name in ("agent", "conf", "confbridge", "demo", "dir", "pbx", "queue", "spy", "tt", "vm")
} | {"priv": "privacy", "privacy": "privacy", "screen": "privacy", "call": "call"}
GENERAL = "general"
MOST_LINES = 100_000  # of texts


class AsteriskOptions(ReaderOptions):
    """Options of the reader of Asterisk's sounds."""

    texts: Path | None = None  # core-sounds-XX.txt or .txt.gz; None: looked for in the folder, then in Debian's
    speaker: str = UNKNOWN_SPEAKER
    decode_to: Path | None = None  # where g722, gsm and sln go as FLAC, as Lhotse reads none of them


def utterances(path: Path, options: AsteriskOptions) -> Iterator[CorpusUtterance | Problem]:
    """List the prompts that have a text, in the order of their names.

    Raises:
        DataError: no text file, no prompt in the folder, or a prompt cannot be decoded for want of ffmpeg.
        ConfigError: prompts need decoding and `decode_to` is not given.
    """
    if not path.is_dir():
        raise DataError("not a folder of Asterisk sounds", file=path)
    files = prompt_files(path)
    if not files:
        raise DataError(f"no prompt ({', '.join(FORMATS)}) in the folder", file=path)
    texts = read_texts(options.texts or find_texts(path, options.language))
    playable = _playable({name: files[name] for name in sorted(texts.keys() & files.keys())
                          if spoken_text(texts[name])}, options)  # fmt: skip
    for name in sorted(texts):
        text, identity = spoken_text(texts[name]), identity_of(name)
        if not text:
            yield Problem(identity, str(files.get(name, name)), NOTHING_SPOKEN)
        elif name not in files:
            yield Problem(identity, name, MISSING_AUDIO)
        elif isinstance(audio := playable[name], Problem):
            yield audio
        else:
            yield CorpusUtterance(
                id=identity,
                audio=audio,
                text=text,
                speaker=options.speaker,
                domain=domain_of(name),
                language=options.language,
                custom={"codec": files[name].suffix[1:]},
            )
    for name in sorted(files.keys() - texts.keys()):
        yield Problem(identity_of(name), str(files[name]), "the prompt has no text")


def prompt_files(folder: Path) -> dict[str, Path]:
    """Prompt name (`digits/1`, `vm-intro`) -> file; of several formats the best."""
    found: dict[str, Path] = {}
    for rank in reversed(FORMATS):
        for file in folder.rglob(f"*{rank}"):
            found[file.relative_to(folder).with_suffix("").as_posix()] = file
    return found


def find_texts(folder: Path, language: str) -> Path:
    """The texts of a folder of prompts: in it, beside it, or where Debian puts them.

    Raises:
        DataError: they are in none of these places.
    """
    documents = Path("/usr/share/doc") / f"asterisk-core-sounds-{language}"
    for place in (folder, folder.parent, documents):
        for name in (f"core-sounds-{language}.txt", f"core-sounds-{language}.txt.gz"):
            if (place / name).is_file():
                return place / name
    rule = f"no core-sounds-{language}.txt(.gz) in the folder, beside it or in {documents}"
    raise DataError(rule, file=folder, do="name it with the option `texts`")


def read_texts(path: Path) -> dict[str, str]:
    """Prompt name -> raw text, from lines `name: text`; lines that start with `;` are comments.

    Raises:
        DataError: the file is missing, unreadable, or has no such line.
    """
    with open_plain(path, missing="the text file is missing") as file:
        unpacked: Any = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        lines = [line or "" for _, line in islice(lines_of(unpacked, path), MOST_LINES)]
    pairs = (line.split(":", maxsplit=1) for line in lines if ":" in line and not line.startswith(";"))
    texts = {name.strip(): text.strip() for name, text in pairs}
    if not texts:
        raise DataError("no line of the form `name: text`", file=path)
    return texts


def spoken_text(raw: str) -> str:
    """A prompt's text without remarks in brackets and without the dots of sentences to be continued."""
    text = re.sub(r"\[[^]]*\]|\([^)]*\)|<[^>]*>", " ", raw)
    text = re.sub(r"\.{3}|…", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    return text if any(character.isalnum() for character in text) else ""


def domain_of(name: str) -> str:
    """`digits/1` -> digits; `vm-intro` -> vm; `hello` -> general."""
    folder, _, rest = name.partition("/")
    return folder if rest else DOMAIN_OF_PREFIX.get(name.split("-")[0], GENERAL)


def identity_of(name: str) -> str:
    """A prompt's name as a cut's id, fit for a file name: `digits/1` -> `digits-1`."""
    return name.replace("/", "-")


def require_ffmpeg(file: Path) -> str:
    """The path of ffmpeg.

    Raises:
        DataError: it is not installed; `file` is what it is needed for.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise DataError("G.722 is decoded by ffmpeg, which is not installed", file=file,
                        do="install it (Debian: apt-get install ffmpeg)")  # fmt: skip
    return program


def _playable(files: dict[str, Path], options: AsteriskOptions) -> dict[str, Path | Problem]:
    """Each prompt as a file that Lhotse reads: itself, or a decoded copy."""
    coded = {name: file for name, file in files.items() if file.suffix != ".wav"}
    if not coded:
        return dict(files)
    first = next(iter(coded.values()))
    if options.decode_to is None:
        raise ConfigError(f"{first.suffix} must be decoded to FLAC", field="decode_to", file=first,
                          do="name a folder for the decoded files")  # fmt: skip
    if any(file.suffix == ".g722" for file in coded.values()):
        require_ffmpeg(first)
    root = options.decode_to
    with ThreadPoolExecutor(CHECKING_THREADS) as pool:
        outs = {name: root / f"{file_stem(identity_of(name))}.flac" for name in coded}
        decoded = pool.map(lambda name: _decoded(coded[name], outs[name]), coded)
        results = list(track(decoded, "decode", "clips", total=len(coded), show=options.progress))
    return {**files, **dict(zip(coded, results, strict=True))}


def _decoded(file: Path, out: Path) -> Path | Problem:
    """Decode one prompt to 16-bit FLAC; a copy that is newer than the prompt is kept."""
    if out.is_file() and out.stat().st_mtime >= file.stat().st_mtime:
        return out
    try:
        samples, rate = _decode(file)
    except (subprocess.CalledProcessError, soundfile.LibsndfileError, ValueError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        line = (reason.decode(errors="replace") if isinstance(reason, bytes) else reason).strip()
        first = (line.splitlines() or ["unknown reason"])[0]
        return Problem(out.stem, str(file), f"the audio cannot be decoded: {first}")
    content = io.BytesIO()  # libsndfile would not say why it cannot write
    soundfile.write(content, samples, rate, format="FLAC", subtype="PCM_16")
    with whole_file(out, one_of_many=True) as temporary:
        temporary.write_bytes(content.getvalue())
    return out


def _decode(file: Path) -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], int]:
    """A prompt's samples: int16 (samples,), and the rate in Hz."""
    if file.suffix in SLN_RATES_HZ:
        return np.frombuffer(file.read_bytes(), dtype="<i2"), SLN_RATES_HZ[file.suffix]
    if file.suffix == ".gsm":
        options = {"samplerate": GSM_RATE_HZ, "channels": 1, "format": "RAW", "subtype": "GSM610"}
        samples, _ = soundfile.read(file, dtype="int16", **options)
        return samples, GSM_RATE_HZ
    command = [require_ffmpeg(file), "-nostdin", "-v", "error", "-f", "g722", "-i", os.fspath(file),
               "-ac", "1", "-ar", str(G722_RATE_HZ), "-f", "s16le", "pipe:1"]  # fmt: skip
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, dtype="<i2"), G722_RATE_HZ


def recognises(path: Path) -> bool:
    """A folder with prompts in one of the telephone's own formats."""
    return path.is_dir() and any(file.suffix in TELEPHONE_FORMATS for file in path.rglob("*"))


READER = Reader(AsteriskOptions, utterances, recognises=recognises)
