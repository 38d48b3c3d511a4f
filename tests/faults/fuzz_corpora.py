"""The readers of corpora and cuts, with what they read, for the fuzz tests."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import soundfile

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import audio_path, domain_of, prompt_of_cut, speaker_of
from speech_analogy.corpora.read import import_corpus, read_corpus, read_cuts, write_cuts
from speech_analogy.corpora.reading import CorpusReading
from speech_analogy.foundation.user_files.json_text import read_objects
from tests.corpora.sounds import tone
from tests.faults.fuzzing import FuzzedReader, remove

CLIP_S, RATE_HZ = 0.1, 8_000
NAMES = ("a", "b", "c")


def clips(folder: Path, *places: str) -> None:
    """Short tones under these names."""
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / place, tone(CLIP_S, RATE_HZ), RATE_HZ)


def json_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _beside(folder: Path) -> None:
    clips(folder, *(f"{name}.wav" for name in NAMES))


def _read(kind: str, file: str = "", **options: object) -> Any:
    def read(folder: Path) -> CorpusReading:
        reading = read_corpus(kind, folder / file, progress=False, **options)
        out = folder / "out.jsonl"
        write_cuts(reading.cuts, out, overwrite=True)
        assert len(read_cuts(out)) == len(reading.cuts)
        out.unlink()
        return reading

    return read


def _import_table(folder: Path) -> None:
    """With the file of problems."""
    try:
        import_corpus("folder", folder / "metadata.csv", folder / "out" / "cuts.jsonl.gz", options={"progress": False})
    finally:
        remove(folder / "out")


def _use_cuts(folder: Path) -> None:
    for file in ("cuts.jsonl", "cuts.jsonl.gz"):
        for cut in read_cuts(folder / file):
            said = [speaker_of(cut), domain_of(cut), audio_path(cut)]
            if cut.supervisions and cut.supervisions[0].text:
                said.append(prompt_of_cut(cut))
            "".join(said).encode()
            if not hasattr(cut, "tracks"):  # a mix takes Lhotse long
                load_audio(cut)


def _cut_rows() -> list[dict[str, Any]]:
    """Two plain cuts and a mix, whose audio is found in the folder that is read."""
    recording = {
        "id": "r", "sources": [{"type": "file", "channels": [0], "source": "a.wav"}], "sampling_rate": RATE_HZ,
        "num_samples": round(CLIP_S * RATE_HZ), "duration": CLIP_S, "channel_ids": [0],
    }  # fmt: skip
    supervision = {
        "id": "s", "recording_id": "r", "start": 0.0, "duration": CLIP_S, "channel": 0, "text": "said é",
        "language": "en", "speaker": "s1",
    }  # fmt: skip
    plain = {
        "id": "x", "start": 0, "duration": CLIP_S, "channel": 0, "supervisions": [supervision], "recording": recording,
        "custom": {"domain": "d", "kind": "real", "prompt": "p"}, "type": "MonoCut",
    }  # fmt: skip
    track = {"cut": {**plain, "id": "in"}, "type": "MonoCut", "offset": 0.0, "snr": None}
    mixed = {"id": "z", "tracks": [track], "type": "MixedCut"}
    second = {**recording, "id": "b", "sources": [{"type": "file", "channels": [0], "source": "b.wav"}]}
    return [plain, {**plain, "id": "y", "recording": second}, mixed]


CUTS = json_lines(_cut_rows())


def _cuts_in_place(folder: Path) -> None:
    """As `_use_cuts`, from the folder itself: the cuts name their audio without one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        _use_cuts(folder)
    finally:
        os.chdir(before)


class _Rows:
    """What `datasets` gives, as far as the reader asks: rows from a file of JSON."""

    split = "train"

    def __init__(self, rows: list[dict[str, Any]], folder: Path) -> None:
        self._rows = [
            {**row, "audio": {"bytes": None, "path": str(folder / f"{row['audio']}.wav")} if "audio" in row else None}
            for row in rows
        ]
        self.column_names = list(dict.fromkeys(name for row in rows for name in row))

    def cast_column(self, name: str, kind: object) -> _Rows:
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter([{name: row.get(name) for name in self.column_names} for row in self._rows])


@contextmanager
def _datasets(folder: Path) -> Iterator[None]:
    """In the place of the package: what it has loaded may hold any row."""
    fake: Any = ModuleType("datasets")
    fake.Audio = lambda decode: None

    def loaded(path: str) -> _Rows:
        found = read_objects(folder / "rows.jsonl")
        return _Rows(found, folder)

    fake.load_from_disk = loaded
    before = sys.modules.get("datasets")
    sys.modules["datasets"] = fake
    try:
        yield
    finally:
        del sys.modules["datasets"]
        if before is not None:
            sys.modules["datasets"] = before


def _hugging_face(folder: Path) -> None:
    with _datasets(folder):
        _read("huggingface")(folder)


TABLE = "file_name,text,speaker,id,language,domain,mood\n" + "".join(
    f'{name}.wav,"said, {name} é",s{name},i{name},en,d,calm\n' for name in NAMES
)
SLURP_ROWS = [
    {
        "slurp_id": number, "sentence": f"say {number}", "scenario": "music", "intent": "play",
        "recordings": [{"file": f"audio-{number}-headset.flac", "wer": 0.0}, {"file": f"audio-{number}.flac"}],
    }
    for number in (1, 2)
]  # fmt: skip
SLURP_USERS = {
    str(number): {"recordings": {f"audio-{number}{end}.flac": {"usrid": f"FE-{number}"} for end in ("", "-headset")}}
    for number in (1, 2)
}
CORPORA = (
    FuzzedReader(
        "cuts",
        {"cuts.jsonl": CUTS, "cuts.jsonl.gz": gzip.compress(CUTS, 1, mtime=0)},
        _cuts_in_place,
        _beside,
        names_file=False,
    ),
    FuzzedReader(
        "folder, a table",
        {"metadata.csv": TABLE.encode()},
        _import_table,
        _beside,
    ),
    FuzzedReader(
        "folder, other tables",
        {
            "metadata.tsv": TABLE.replace(",", "\t").encode(),
            "metadata.jsonl": json_lines(
                {"file_name": f"{name}.wav", "text": "said é", "speaker": name, "id": f"j{name}", "extra": {"a": [1]}}
                for name in NAMES
            ),
        },
        _read("folder"),
        _beside,
    ),
    FuzzedReader(
        "folder, texts beside the audio",
        {"a.txt": "said é\n".encode(), "b.txt": b"said b", "c.txt": b"said c"},
        _read("folder"),
        _beside,
    ),
    FuzzedReader(
        "nemo",
        {
            "manifest.json": json_lines(
                {
                    "audio_filepath": f"{name}.wav",
                    "text": "said é",
                    "duration": 0.05,
                    "offset": 0.02,
                    "speaker": "s",
                    "domain": "d",
                    "lang": "en",
                    "extra": 1,
                }
                for name in NAMES
            )
        },
        _read("nemo", "manifest.json"),
        _beside,
    ),
    FuzzedReader(
        "slurp",
        {
            "dataset/slurp/train.jsonl": json_lines(SLURP_ROWS),
            "dataset/slurp/metadata.json": json.dumps(SLURP_USERS).encode(),
        },
        _read("slurp"),
        lambda folder: clips(
            folder / "audio" / "slurp_real", *(f"audio-{n}{end}.flac" for n in (1, 2) for end in ("", "-headset"))
        ),
        names_file=False,
    ),
    FuzzedReader(
        "speechocean762, one table",
        {
            "utterances.jsonl": json_lines(
                {"id": f"i{n}", "audio": f"{n}.wav", "text": "an apple", "speaker": n, "age": 8, "split": "train"}
                for n in NAMES
            )
        },
        _read("speechocean762"),
        _beside,
    ),
    FuzzedReader(
        "speechocean762, as published",
        {
            "train/text": b"u1\tWE CALL IT BEAR\nu2\tAN APPLE\n",
            "train/wav.scp": b"u1\tWAVE/u1.wav\nu2\tWAVE/u2.wav\n",
            "train/utt2spk": b"u1\ts1\nu2\ts2\n",
            "train/spk2age": b"s1 6\ns2 30\n",
            "train/spk2gender": b"s1 f\ns2 m\n",
        },
        _read("speechocean762"),
        lambda folder: clips(folder / "WAVE", "u1.wav", "u2.wav"),
        names_file=False,
    ),
    FuzzedReader(
        "asterisk",
        {"core-sounds-en.txt": "; comment\na: Say é [beep]\nb: say b ...\ndigits/c: say c\n".encode()},
        _read("asterisk"),
        lambda folder: clips(folder, "a.wav", "b.wav", "digits/c.wav"),
    ),
    FuzzedReader(
        "huggingface",
        {
            "rows.jsonl": json_lines(
                {"audio": name, "text": "said é", "speaker": name, "id": f"i{name}", "domain": "d", "mood": 1}
                for name in NAMES
            ),
            "state.json": b"{}",
        },
        _hugging_face,
        _beside,
        names_file=False,
    ),
)
