"""Make `data/` for the rehearsal: SLURP's texts in SLURP's folder layout, with stand-in audio.

    python recipes/slurp/prepare.py --texts SLURP_TEXTS       # a folder with test.jsonl and nlu_eval_train.jsonl

No recording of SLURP is in it. flite's four voices are the speakers; `audio-N-headset.flac` is a clip as flite speaks
it, `audio-N.flac` the same clip at another pace in a far-field room with noise. Killed, it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from data_synth.channel.chain import ChannelOptions
from data_synth.plan.options import SynthesisOptions
from data_synth.run.channel_cuts import channel_cuts
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.corpora.cuts import audio_path
from speech_analogy.corpora.read import read_cuts
from speech_analogy.errors import DataError, SpeechAnalogyError

HERE = Path(__file__).parent
TEXTS, DATA = HERE / "../../../shared/data/slurp_text", HERE / "data"
FILES = {"train": "nlu_eval_train.jsonl", "test": "test.jsonl"}
TRAIN_TEXTS, TEST_TEXTS = 100, 60  # a domain, where it has as many
FIRST_TRAIN_ID = 100_000  # beyond SLURP's own ids, which the test keeps
ENGINES = ("flite:slt+rms+awb+kal16",)
SPEAKERS = {"slt": "FE-901", "rms": "ME-902", "awb": "MO-903", "kal16": "ME-904"}  # as SLURP writes usrid
CHANNEL = ChannelOptions.parse(
    {
        "speed": (0.9, 1.1),
        "room": {"rt60_s": 0.4, "distance_m": 2.0},
        "noise": {"colour": "pink", "snr_db": (5.0, 15.0)},
    }
)
LABEL = "REHEARSAL. Synthetic audio (flite) with SLURP's texts: no recording of SLURP is here.\n"


def choose(texts: Path, counts: dict[str, int], seed: int) -> dict[str, list[dict[str, Any]]]:
    """The records of each split: distinct sentences, a number per scenario, ranked by sha256 of (seed, sentence)."""
    chosen: dict[str, list[dict[str, Any]]] = {}
    for split, name in FILES.items():
        file = texts / name
        if not file.is_file():
            raise DataError("the texts are missing", file=file, do="name their folder with --texts")
        records: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
            record = json.loads(line)
            record.setdefault("slurp_id", FIRST_TRAIN_ID + number)
            records.setdefault(record["sentence"].casefold(), record)
        ranked = sorted(records.values(), key=lambda record: _rank(seed, record["sentence"]))
        taken: dict[str, list[dict[str, Any]]] = {}
        for record in ranked:
            own = taken.setdefault(record["scenario"], [])
            if len(own) < counts[split]:
                own.append(record)
        chosen[split] = [record for scenario in sorted(taken) for record in taken[scenario]]
    return chosen


def prepare(texts: Path, out: Path, counts: dict[str, int], seed: int = 0, workers: int = 1) -> int:
    """Write the whole corpus; returns the number of prompts.

    Raises:
        DataError: the texts are missing, or `out` has a corpus already.
        SynthesisError: flite is not installed.
    """
    tables = out / "dataset" / "slurp"
    if tables.exists():
        raise DataError("the data exist", file=tables, do="remove them to make them again")
    chosen = choose(texts, counts, seed)
    records = {str(record["slurp_id"]): (split, record) for split, own in chosen.items() for record in own}
    spoken = [Text(id=key, text=record["sentence"], domain=record["scenario"]) for key, (_, record) in records.items()]
    making = out / ".making"
    making.mkdir(parents=True, exist_ok=True)
    options = SynthesisOptions(engines=ENGINES, seed=seed, workers=workers)
    synthesize(spoken, making / "headset", options)
    clean = read_cuts(making / "headset" / "cuts.jsonl.gz")
    far = channel_cuts(clean, making / "far", CHANNEL, seed)
    audio = out / "audio" / "slurp_real"
    shutil.rmtree(audio, ignore_errors=True)
    audio.mkdir(parents=True)
    lines: dict[str, list[str]] = {split: [] for split in FILES}
    speakers: dict[str, Any] = {}
    for near, distant in zip(clean, far, strict=True):
        key = near.custom["text_id"]
        split, record = records[key]
        names = {f"audio-{key}-headset.flac": near, f"audio-{key}.flac": distant}
        for name, cut in names.items():
            os.link(audio_path(cut), audio / name)
        recordings = [{"file": name, "wer": None, "ent_wer": None, "status": "rehearsal"} for name in names]
        lines[split].append(json.dumps({**record, "recordings": recordings}, ensure_ascii=False) + "\n")
        users = {"usrid": SPEAKERS[near.custom["voice"]], "status": "rehearsal"}
        speakers[key] = {"recordings": dict.fromkeys(names, users)}
    (out / "REHEARSAL.txt").write_text(LABEL, encoding="utf-8")
    building = making / "slurp"
    building.mkdir(exist_ok=True)
    for split, rows in lines.items():
        (building / f"{split}.jsonl").write_text("".join(rows), encoding="utf-8")
    (building / "metadata.json").write_text(json.dumps(speakers), encoding="utf-8")
    tables.parent.mkdir(exist_ok=True)
    building.rename(tables)
    shutil.rmtree(making)
    return len(speakers)


def _rank(seed: int, sentence: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{sentence}".encode()).digest()


def main() -> int:
    """Parse the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, default=TEXTS, help="folder of the texts (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=DATA, help="where the data go (default: %(default)s)")
    parser.add_argument("--train", type=int, default=TRAIN_TEXTS, help="training texts a domain (%(default)s)")
    parser.add_argument("--test", type=int, default=TEST_TEXTS, help="test texts a domain (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    given = parser.parse_args()
    try:
        counts = {"train": given.train, "test": given.test}
        made = prepare(given.texts, given.out.resolve(), counts, workers=given.workers)
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{LABEL}{made} prompts in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
