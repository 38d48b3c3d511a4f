"""What a share of 30 s windows in training gives: WER in trimmed and in 30 s windows, on joined recordings, and cost.

    python tests/benchmarks/windows/shares_of_30_s.py --prepare speechocean762/ --work WORK
    python tests/benchmarks/windows/shares_of_30_s.py --work WORK --train source_real --out SHARES.md \
        --shares none packed=0.3 padded=0.05 packed=0.3,padded=0.03
    python tests/benchmarks/windows/shares_of_30_s.py --work WORK --cost --train source_real --shares none packed=0.3

`--prepare` divides speechocean762: `source_real`, 600 utterances of the topics that are not the target's;
`source_synthetic` and `target_synthetic`, their texts and 300 of the target, spoken by TTS; `dev`, 80 short utterances
of 25 training speakers that none of them holds. The test part is never read. The second command fine-tunes the base
once for each share, on the same batches, and decodes `dev`: in our decoder in trimmed windows and, in 30 s windows, in
faster-whisper as it is called by default (beam, time stamps, fallback), greedily without time stamps, and greedily in
both ways without its fallback, which is what a plain greedy decoder writes. All of them on the model in int8. Joined:
the first utterances one after the other with pauses, to two recordings of two minutes, and the same utterances apart.
Models and results that WORK holds already are not made again. `--cost` counts seconds of windows and trains nothing.
For the decoders themselves see `tests/benchmarks/decoders/`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from lhotse import CutSet

sys.path.insert(0, str(Path(__file__).parents[1] / "decoders"))
from joining import join

from data_synth.synthesize import SynthesisOptions, synthesize
from data_synth.text.texts import Text
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import domain_of, speaker_of, text_of
from speech_analogy.corpora.read import read_corpus, read_cuts, write_cuts
from speech_analogy.corpora.splits import ranked, subset
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.evaluation.score import Errors, word_errors
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.export.exporter import export
from speech_analogy.foundation.files import write_json
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.windows import FULL_WINDOW_S
from speech_analogy.training.batching import batch_window_s, epoch_batches
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions
from speech_analogy.training.packing.batches import plan_batches
from speech_analogy.training.packing.layout import lay_out

TARGET = ("food", "animals", "clothing", "places")
VOICES = ("hibari", "piper:joe", "flite:slt+rms+awb+kal16")
SOURCE_UTTERANCES, TARGET_TEXTS, DEV_SPEAKERS = 600, 300, 25
DEV_DRAWN, DEV_EACH = (60, 50), 40  # of target and source utterances; and taken of each
SHORT_S = 6.0
JOINED_MINUTES, JOINED = 2.0, 2
COST_EPOCHS = 20
FULL_WINDOWS: dict[str, dict[str, Any]] = {
    "30 s": {"beam_size": 1, "without_timestamps": True, "temperature": 0.0},
    "30 s, stamps": {"beam_size": 1, "temperature": 0.0},
    "faster-whisper": {},
    "its greedy": {"beam_size": 1, "without_timestamps": True},
}
LONG = ("faster-whisper", "its greedy")


@dataclass(frozen=True)
class Point:
    """One fine-tuning and what its model writes."""

    shares: str
    wer: dict[str, float]
    """Decoding -> WER in per cent."""
    kinds: dict[str, str]
    """Decoding -> substitutions, deletions, insertions."""
    seconds: float
    """The processor's, of the fine-tuning."""
    utterances: int
    """That it went through, over all epochs."""


def prepare(corpus: Path, work: Path) -> None:
    """Divide the corpus and speak the target's texts."""
    cuts = [cut for cut in read_corpus("speechocean762", corpus).cuts if cut.custom.get("split") == "train"]
    held_out = set(ranked({speaker_of(cut) for cut in cuts}, 0)[:DEV_SPEAKERS])
    kept = [cut for cut in cuts if speaker_of(cut) not in held_out]
    source = CutSet.from_cuts(cut for cut in kept if domain_of(cut) not in TARGET)
    write_cuts(subset(source, SOURCE_UTTERANCES, 0), work / "source_real.jsonl.gz", overwrite=True)
    short = [cut for cut in cuts if speaker_of(cut) in held_out and cut.duration < SHORT_S]
    halves = [
        list(subset(CutSet.from_cuts(cut for cut in short if (domain_of(cut) in TARGET) == target), count, 0))[
            :DEV_EACH
        ]
        for target, count in zip((True, False), DEV_DRAWN, strict=True)
    ]
    mixed = chain.from_iterable(zip(*halves, strict=True))  # so that joined recordings hold both
    write_cuts(CutSet.from_cuts(mixed), work / "dev.jsonl.gz", overwrite=True)
    texts = ranked({text_of(cut) for cut in cuts if domain_of(cut) in TARGET}, 0)[:TARGET_TEXTS]
    options = SynthesisOptions(engines=VOICES, voices_per_text=1, speed=(0.85, 1.1), spoken="none")
    synthesize([Text.of(text, "target") for text in sorted(texts)], work / "target_synthetic", options)
    spoken = sorted({text_of(cut) for cut in read_cuts(work / "source_real.jsonl.gz")})
    synthesize([Text.of(text, "source") for text in spoken], work / "source_synthetic", options)


def training_cuts(work: Path, sets: Sequence[str], utterances: int | None = None) -> CutSet:
    """The named sets, one behind the other; or a subset of so many."""
    files = [work / f"{name}.jsonl.gz" for name in sets]
    files = [file if file.is_file() else work / name / "cuts.jsonl.gz" for file, name in zip(files, sets, strict=True)]
    together = CutSet.from_cuts(cut for file in files for cut in read_cuts(file))
    return together if utterances is None else subset(together, utterances, 0)


def cost(shares: str, options: argparse.Namespace) -> str:
    """Seconds of windows against those of trimmed ones alone, over many epochs."""
    chosen, cuts = _chosen(shares, options), training_cuts(options.work, options.train, options.utterances)
    trimmed_s = shared_s = 0.0
    for epoch in range(COST_EPOCHS):
        batches = epoch_batches(cuts, batch_size=chosen.batch_size, seed=chosen.seed, epoch=epoch)
        for planned in plan_batches(batches, chosen, epoch):
            own = len(planned.cuts) * batch_window_s(planned.cuts, "trimmed")
            trimmed_s += own
            if planned.form == "own":
                shared_s += own
            else:
                windows = lay_out(planned.cuts, planned.form, planned.seed, lambda text: len(text.split()), 400)
                shared_s += FULL_WINDOW_S * len(windows)
    return f"{'+'.join(options.train)}, {shares}: {shared_s / trimmed_s:.2f}"


def _chosen(shares: str, options: argparse.Namespace) -> FinetuneOptions:
    given = {} if shares == "none" else dict(part.split("=") for part in shares.split(","))
    return FinetuneOptions.parse({"learning_rate": options.learning_rate, "epochs": options.epochs, **given})


def measure(shares: str, options: argparse.Namespace) -> Point:
    """Fine-tune with these shares, and decode."""
    kind = [*options.train, options.utterances, options.learning_rate, options.epochs, shares]
    name = " ".join(str(part) for part in kind if part is not None).replace(",", " ")
    model, kept = options.work / "models" / name, options.work / "points" / f"{name}.json"
    if kept.is_file():
        return Point(**json.loads(kept.read_text(encoding="utf-8")))
    chosen = _chosen(shares, options)
    cuts, start = training_cuts(options.work, options.train, options.utterances), time.process_time()
    finetune(cuts, options.base, model, chosen, description=shares, features=options.work / "features")
    spent = time.process_time() - start
    found = decode(model, read_cuts(options.work / "dev.jsonl.gz"), options.work)
    wer = {way: round(float(errors.rate), 1) for way, errors in found.items()}
    kinds = {
        way: "/".join(str(int(kind.sum())) for kind in (errors.substitutions, errors.deletions, errors.insertions))
        for way, errors in found.items()
    }
    point = Point(shares, wer, kinds, spent, len(cuts) * options.epochs)
    write_json(kept, asdict(point))
    return point


def decode(model: Path, cuts: CutSet, work: Path) -> dict[str, Errors]:
    """Errors of each way to decode; of recordings joined from the utterances with `joined, ` before its name."""
    from faster_whisper import WhisperModel

    rows = list(cuts)
    trimmed = transcribe(cuts, model, decoding=DecodingOptions(backend="ctranslate2", window="trimmed"))
    found = {"trimmed": _errors(rows, [row.text for row in trimmed.transcripts])}
    converted = work / "ctranslate2" / model.name
    if not converted.exists():
        export(model, "ctranslate2", converted)
    other = WhisperModel(str(converted), device="cpu", compute_type="int8", cpu_threads=torch.get_num_threads())

    def texts(recordings: Sequence[Any], way: str) -> list[str]:
        waves = (load_audio(cut, 16_000) for cut in recordings)
        return ["".join(part.text for part in other.transcribe(wave, **FULL_WINDOWS[way])[0]) for wave in waves]

    joined = join(rows, JOINED_MINUTES, work / "joined")[:JOINED]
    long_cuts, apart = [one.cut for one in joined], [row for one in joined for row in one.utterances]
    for way in FULL_WINDOWS:
        found[way] = _errors(rows, texts(rows, way))
    found["joined: trimmed, apart"] = _errors(
        [rows[row] for row in apart], [trimmed.transcripts[row].text for row in apart]
    )
    for way in LONG:
        found[f"joined, {way}"] = _errors(long_cuts, texts(long_cuts, way))
    return found


def _errors(cuts: Sequence[Any], written: Sequence[str]) -> Errors:
    normalise = normaliser("en")
    return word_errors([normalise(text_of(cut)).strip() for cut in cuts], [normalise(text).strip() for text in written])


def table(points: list[Point]) -> str:
    """Markdown."""
    ways = list(points[0].wer)
    usual = points[0].seconds / points[0].utterances
    lines = [
        f"| shares | {' | '.join(ways)} | s an utterance | times the first |",
        "|---" + "|--:" * (len(ways) + 2) + "|",
    ]
    for point in points:
        each = point.seconds / point.utterances
        cells = [point.shares, *(f"{point.wer[way]:.1f}" for way in ways), f"{each:.3f}", f"{each / usual:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--prepare", type=Path, metavar="CORPUS", help="divide speechocean762 and speak the texts")
    parser.add_argument("--train", nargs="+", default=["source_real"], metavar="SET", help="taken together")
    parser.add_argument("--shares", nargs="+", default=["none", "packed=0.3"], metavar="SHARES")
    parser.add_argument("--utterances", type=int, help="a subset of so many")
    parser.add_argument("--cost", action="store_true", help="seconds of windows alone")
    parser.add_argument("--base", default="pip:whisper-tiny.en")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=3e-5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="Markdown; by default standard output alone")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.prepare:
        prepare(options.prepare, options.work)
        return
    if options.cost:
        print("\n".join(cost(shares, options) for shares in options.shares))
        return
    found = table([measure(shares, options) for shares in options.shares])
    print(found)
    if options.out:
        options.out.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
