"""Make `data/` from speechocean762: source recordings, the target's texts alone, and recordings of it for the test.

The result is committed, so nobody has to run this. With the corpus (OpenSLR 101) it can be made again:

    python recipes/demo/prepare.py --data FOLDER --overwrite

No recording of the target's training part is copied: of that part there are texts and nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import soundfile

from data_synth.audio.encode import encode
from data_synth.audio.recordings import read_recording
from speech_analogy.corpora.reading import CorpusUtterance, Problem
from speech_analogy.corpora.speechocean762 import SpeechoceanOptions, utterances
from speech_analogy.corpora.splits import ranked
from speech_analogy.errors import DataError, SpeechAnalogyError

HERE = Path(__file__).parent
CORPUS, DATA = HERE / "../../../shared/data/speechocean762", HERE / "data"
TARGET = ("food", "places")
# Of the training part, a seeded choice: two topics that are not the target's, and sentences without any.
SOURCE = {"animals": 60, "clothing": 48, "child-other": 57, "adult-other": 57}
TEXTS = 150  # of the target's, a seeded choice
SHORTEST_S, LONGEST_S = 1.0, 4.0  # of a source utterance: time is what a demo lacks
SEED = 0
RATE_HZ = 16_000
TEXTS_FILE, METADATA_FILE = "target_texts.txt", "metadata.jsonl"


@dataclass(frozen=True)
class Row:
    """One line of metadata.jsonl, in the form of a Hugging Face audiofolder."""

    file_name: str
    id: str
    text: str
    domain: str
    speaker: str
    duration: float  # seconds


def prepare(corpus: Path, out: Path, overwrite: bool) -> tuple[list[Row], list[str], list[Row]]:
    """Write source/, test/ and the target's texts into `out`, beside whatever else is there.

    Returns:
        rows of the source, the target's texts, rows of the test.

    Raises:
        DataError: the corpus is not there or cannot be read, or the data exist and `overwrite` is False.
    """
    parts = [out / "source", out / "test", out / TEXTS_FILE]
    if not overwrite and any(part.exists() for part in parts):
        raise DataError("the data exist", file=out, do="give --overwrite to make them again")
    if not corpus.exists():
        raise DataError("the corpus is not there", file=corpus, do="give its folder with --data")
    read = list(_read(corpus.resolve()))
    train = [one for one in read if one.custom["split"] == "train"]
    test = sorted((one for one in read if one.custom["split"] == "test" and one.domain in TARGET), key=_identity)
    every = {one.text.strip().lower() for one in train if one.domain in TARGET}
    texts = sorted(ranked(every, SEED)[:TEXTS])
    said = {*every, *(one.text.strip().lower() for one in test)}
    source = chosen([one for one in train if one.text.strip().lower() not in said])
    rows = [_write_part(out / name, part) for name, part in (("source", source), ("test", test))]
    (out / TEXTS_FILE).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return rows[0], texts, rows[1]


def chosen(train: Sequence[CorpusUtterance]) -> list[CorpusUtterance]:
    """The source: a seeded choice of as many short utterances of each domain as `SOURCE` says."""
    found = []
    for domain, count in SOURCE.items():
        short = {one.id: one for one in train if one.domain == domain and SHORTEST_S <= _duration(one) <= LONGEST_S}
        found += [short[identity] for identity in ranked(short.keys(), SEED)[:count]]
    return sorted(found, key=_identity)


def _read(corpus: Path) -> Iterable[CorpusUtterance]:
    for one in utterances(corpus, SpeechoceanOptions()):
        if isinstance(one, Problem):
            raise DataError(one.rule, file=one.file, value=one.id)
        yield one


def _identity(one: CorpusUtterance) -> str:
    return one.id


def _duration(one: CorpusUtterance) -> float:
    info = soundfile.info(one.audio)
    return float(info.frames / info.samplerate)


def _write_part(folder: Path, part: Sequence[CorpusUtterance]) -> list[Row]:
    """Copy or encode its audio and list it; the folder stands under its name when it is whole."""
    building = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    (building / "audio").mkdir(parents=True)
    rows = []
    for one in part:
        clip = f"audio/{one.id}.opus"
        if one.audio.suffix == ".opus":
            shutil.copyfile(one.audio, building / clip)
        else:
            (building / clip).write_bytes(encode(read_recording(one.audio, RATE_HZ), RATE_HZ, "opus"))
        row = Row(clip, one.id, one.text.strip(), one.domain, one.speaker, round(_duration(one), 3))
        rows.append(row)
    lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    (building / METADATA_FILE).write_text(lines, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    building.replace(folder)
    return rows


def main() -> int:
    """Parse the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS, help="the corpus (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=DATA, help="where the data go (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace data that are there")
    given = parser.parse_args()
    try:
        source, texts, test = prepare(given.data, given.out.resolve(), given.overwrite)
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, rows in (("source", source), ("test", test)):
        speakers = len({row.speaker for row in rows})
        minutes = sum(row.duration for row in rows) / 60
        print(f"{name}: {len(rows)} utterances of {speakers} speakers, {minutes:.1f} min")
    print(f"target: {len(texts)} texts; all in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
