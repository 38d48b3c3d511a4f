"""Make `data/` from Debian's Asterisk prompts: Opus clips, metadata.jsonl, and the licence's text.

The result is committed, so nobody has to run this. On Debian or Ubuntu it can be made again:

    apt-get install asterisk-core-sounds-en asterisk-core-sounds-en-g722 ffmpeg
    python recipes/phone_line/prepare.py --overwrite

The same versions of ffmpeg and libopus give the same bytes. The prompts of other languages are not committed; they are
made where their recipes look for them (`recipes/phone_line_es/data` ...), with the texts as Debian has them:

    apt-get install asterisk-core-sounds-es asterisk-core-sounds-es-g722 ffmpeg
    python recipes/phone_line/prepare.py --language es
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import soundfile

from speech_analogy.corpora.asterisk import (
    domain_of,
    identity_of,
    prompt_files,
    read_texts,
    require_ffmpeg,
    spoken_text,
)
from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.foundation.progress import track

SOUNDS = Path("/usr/share/asterisk/sounds")
DOCUMENTS = Path("/usr/share/doc")
TEXTS = DOCUMENTS / "asterisk-core-sounds-en/core-sounds-en.txt.gz"
RECIPES = Path(__file__).parents[1]

ENGLISH = "en"
VOICES = {  # language -> Debian's folder of prompts, who speaks them
    ENGLISH: ("en_US_f_Allison", "Allison Smith"),
    "es": ("es_MX_f_Allison", "Allison Smith"),
    "fr": ("fr_CA_f_June", "June Wallack"),
    "it": ("it_IT_m_Carlo", "Carlo Flora"),
}
LICENCE = "CC-BY-SA-3.0"
LICENCE_FILE = "LICENSE-CC-BY-SA-3.0.txt"
COPYRIGHT_FILE = "COPYRIGHT-debian.txt"  # of the other languages, whole
OPUS_BITS_PER_SECOND = 28_000
RATE_HZ = 16_000
MAX_DURATION_S = 30.0  # Whisper's window

# Where core-sounds-en.txt does not say what is spoken. Found by transcribing every prompt with whisper-tiny.en and
# whisper-base and reading all differences; prompts that are merely hard to recognise keep their text.
CORRECTIONS = {
    # other words are spoken (both recognisers transcribe them, and forced alignment finds them likelier)
    "pbx-invalid": "I am sorry, but that's not a valid extension. Please try again.",
    "pbx-invalidpark": "I am sorry, but there is no call parked on that extension. Please try again.",
    "vm-forwardoptions": "press 1 to prepend the message or 2 to forward the message without prepending",
    "vm-savefolder": "Which folder should I save this message to?",
    # signs that are spoken as words
    "demo-enterkeywords": "Please enter one or more keywords separated by star and then press the pound key.",
    "dictate/both_help": "press star to toggle pause, press pound to enter a new dictation filename",
    "dictate/enter_filename": "Enter a numeric dictation filename followed by pound or just pound to exit",
    "spy-h323": "H three two three",
    # misspelt
    "confbridge-mute-extended": "to mute, or unmute yourself. When you are muted you cannot send audio to other "
    "participants. However you will still hear audio from other unmuted participants.",
    "de-activated": "Deactivated.",
    "vm-mailboxfull": "sorry but the user's mailbox can't accept more messages",
    "conf-adminmenu-menu8": "Press 1 to list users currently in the conference, 2 to kick all non-administrator users, "
    "3 to mute or unmute all non-administrator users, 4 to record this conference, or 8 to exit this menu and return "
    "to the conference.",
    "digits/h-40": "fortieth",
    "letters/exclaimation-point": "exclamation point",
    "phonetic/x_p": "x-ray",
    "queue-periodic-announce": "All of our representatives are currently busy. Please stay on the line and your call "
    "will be answered by the next available representative.",
    "unidentified-no-callback": "Unidentified or withheld and therefore cannot be called back.",
}


@dataclass(frozen=True)
class Row:
    """One line of metadata.jsonl, in the form of a Hugging Face audiofolder."""

    file_name: str
    id: str
    text: str
    domain: str
    speaker: str
    duration: float  # seconds


def prepare(
    sounds: Path, texts: Path, copyright_file: Path, out: Path, overwrite: bool, language: str = ENGLISH
) -> list[Row]:
    """Write audio/, metadata.jsonl and the licence into `out`, beside whatever else is there.

    Raises:
        DataError: a package or ffmpeg is missing, or the data exist and `overwrite` is False.
    """
    if not sounds.is_dir():
        raise DataError("the prompts are missing", file=sounds,
                        do=f"apt-get install asterisk-core-sounds-{language}-g722")  # fmt: skip
    audio, metadata = out / "audio", out / "metadata.jsonl"
    if (audio.exists() or metadata.exists()) and not overwrite:
        raise DataError("the data exist", file=out, do="give --overwrite to make them again")
    if language == ENGLISH:
        licence_file, licence, corrections = LICENCE_FILE, licence_text(copyright_file), CORRECTIONS
    else:
        licence_file, licence, corrections = COPYRIGHT_FILE, read_copyright(copyright_file, language), {}
    speaker = VOICES[language][1]
    spoken = {name: corrections.get(name) or spoken_text(raw) for name, raw in read_texts(texts).items()}
    files = prompt_files(sounds)
    names = sorted(name for name, text in spoken.items() if text and name in files)
    building = out / "audio.partial"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        encoded = pool.map(lambda name: encode(files[name], building / f"{identity_of(name)}.opus", speaker), names)
        durations = list(track(encoded, "encode", "prompts", total=len(names)))
    rows = []
    for name, duration in zip(names, durations, strict=True):
        clip = f"{identity_of(name)}.opus"
        if duration > MAX_DURATION_S:
            (building / clip).unlink()
            print(f"left out: {name} lasts {duration:.1f} s, Whisper's window {MAX_DURATION_S:.0f} s")
            continue
        text, domain = spoken[name], domain_of(name)
        rows.append(Row(f"audio/{clip}", identity_of(name), text, domain, speaker, round(duration, 3)))
    lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    shutil.rmtree(audio, ignore_errors=True)
    building.replace(audio)
    write_text(metadata, lines)
    write_text(out / licence_file, licence)
    return rows


def encode(source: Path, clip: Path, speaker: str) -> float:
    """Transcode one prompt to Opus, 16 kHz mono; return its duration in seconds."""
    command = [
        require_ffmpeg(source), "-nostdin", "-v", "error", "-f", source.suffix[1:], "-i", os.fspath(source),
        "-ac", "1", "-ar", str(RATE_HZ), "-c:a", "libopus", "-b:a", str(OPUS_BITS_PER_SECOND),
        "-map_metadata", "-1", "-metadata", f"artist={speaker}", "-metadata", f"license={LICENCE}",
        "-fflags", "+bitexact", "-flags:a", "+bitexact", "-y", os.fspath(clip),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"ffmpeg cannot transcode it: {done.stderr.strip()}", file=source)
    info = soundfile.info(clip)
    return float(info.frames / info.samplerate)


def licence_text(copyright_file: Path) -> str:
    """The full text of CC-BY-SA-3.0 from a Debian copyright file (indented by a space, ` .` for empty lines).

    Raises:
        DataError: the file or the text in it is missing.
    """
    contents = read_copyright(copyright_file, ENGLISH)
    found = re.search(rf"^License: {re.escape(LICENCE)}\n((?: THE WORK)[^\n]*\n(?: [^\n]*\n)*)", contents, re.M)
    if found is None:
        raise DataError(f"the text of {LICENCE} is not in it", file=copyright_file)
    lines = (line[1:] for line in found.group(1).splitlines())
    body = "".join(("" if line == "." else line) + "\n" for line in lines).strip()
    return f"Creative Commons Attribution-ShareAlike 3.0 Unported\n\n{body}\n"


def read_copyright(file: Path, language: str) -> str:
    """Debian's copyright file.

    Raises:
        DataError: it is missing.
    """
    if not file.is_file():
        raise DataError("the copyright file is missing", file=file,
                        do=f"apt-get install asterisk-core-sounds-{language}-g722")  # fmt: skip
    return file.read_text(encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main() -> int:
    """Parse the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", choices=list(VOICES), default=ENGLISH, help="of the prompts (%(default)s)")
    parser.add_argument("--sounds", type=Path, help="folder of prompts; by default Debian's")
    parser.add_argument("--texts", type=Path, help="their texts; by default Debian's")
    parser.add_argument("--copyright", type=Path, help="Debian's copyright file")
    parser.add_argument("--out", type=Path, help="where the data go; by default into the language's recipe")
    parser.add_argument("--overwrite", action="store_true", help="replace data that are there")
    given = parser.parse_args()
    language = given.language
    package = f"asterisk-core-sounds-{language}"
    sounds = given.sounds or SOUNDS / VOICES[language][0]
    texts = given.texts or DOCUMENTS / package / f"core-sounds-{language}.txt.gz"
    copyright_file = given.copyright or DOCUMENTS / f"{package}-g722" / "copyright"
    out = given.out or RECIPES / ("phone_line" if language == ENGLISH else f"phone_line_{language}") / "data"
    try:
        rows = prepare(sounds, texts, copyright_file, out, given.overwrite, language)
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    minutes = sum(row.duration for row in rows) / 60
    print(f"{len(rows)} prompts, {minutes:.1f} min in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
