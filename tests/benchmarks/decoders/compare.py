"""The same models on the same recordings in the decoders that people use: WER, differences to ours, seconds.

    pip install -e '.[test,benchmarks]'
    python tests/benchmarks/decoders/compare.py --cuts test.jsonl.gz --models menu=runs/menu/model --work WORK \
        --out DECODERS.md --json decoders.json
    python tests/benchmarks/decoders/compare.py --cuts test.jsonl.gz --models menu=runs/menu/model --work WORK \
        --joined 5
    python tests/benchmarks/decoders/compare.py --cuts test.jsonl.gz --models menu=runs/menu/model --work WORK \
        --transformers-4 PYTHON

Ours decodes in the window that a model was tuned in, and in 30 s windows; the others as their documentation calls
them (`speech_analogy/export/other_decoders.py`), one recording at a time. A difference is to our decoder in the
model's own window, paired, resampled by speaker or by what `--cluster` says. `--joined MINUTES` joins the utterances to
recordings of that length with pauses, and compares each decoder's long form with what it writes utterance by utterance;
errors are given back to the utterances they stand at, so that the difference is paired. What a decoder wrote is kept
in WORK: the same command goes on where it was stopped. Seconds are wall time, without opening a model. `= ours` counts
the utterances that a decoder writes to the letter as ours does, in the model's own window and in 30 s windows, and in
brackets those that are alike once they are normalised as they are for scoring. `--transformers-4` names an interpreter
with transformers 4, whose pipeline is then one of the decoders.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lhotse import CutSet
from transformers import GenerationConfig

sys.path.insert(0, str(Path(__file__).parent))
from joining import cuts_of_joined, join, shared_out
from older_transformers import OLDER_PIPELINE, in_older_pipeline

from speech_analogy.corpora.cuts import LONGEST_CUT_S, audio_path, cuts_of, prompt_of_cut, speaker_of, text_of
from speech_analogy.evaluation.evaluate import Evaluation, compare_hypotheses, score
from speech_analogy.evaluation.grouping import Cluster
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.evaluation.significance import compare
from speech_analogy.evaluation.transcribe import Transcript, Transcription
from speech_analogy.export.other_decoders import DECODERS, OURS_IN_FULL_WINDOWS, in_decoder, in_our_decoder
from speech_analogy.foundation.digests import digest
from speech_analogy.foundation.files import write_json, write_whole
from speech_analogy.foundation.machine import processor
from speech_analogy.long_audio.transcribe import transcribe
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import window_of_record, window_record

PACKAGES = (
    "transformers", "torch", "faster-whisper", "ctranslate2", "openai-whisper", "pywhispercpp", "onnxruntime",
)  # fmt: skip
OURS, OURS_FULL = "ours", "ours, 30 s windows"
SHORT = [OURS, OURS_FULL, *(name for name in DECODERS if name != OURS_IN_FULL_WINDOWS)]
LONG = {  # long form -> what it is compared with, utterance by utterance
    OURS: OURS,
    "transformers pipeline, timestamps": "transformers pipeline",
    "transformers pipeline, chunks": "transformers pipeline",
    "faster-whisper": "faster-whisper",
    "faster-whisper, greedy": "faster-whisper, greedy",
    "openai-whisper": "openai-whisper",
}
NOT_SHORT = "transformers pipeline, chunks"  # on one window it is the plain call
WEIGHED = ("*.safetensors", "*.json")  # what tells one model folder from another
LEAST_P = 0.001  # below it, its size is not told


@dataclass(frozen=True)
class Alike:
    """How many utterances two decoders write alike."""

    utterances: int
    to_the_letter: int
    """But for white space."""
    scored: int
    """In the form in which they are scored."""

    def __str__(self) -> str:
        return f"{self.to_the_letter} ({self.scored}) of {self.utterances}"


@dataclass(frozen=True)
class Row:
    """A line of a table, as it goes into the JSON."""

    model: str
    decoder: str
    wer: float
    ci95: tuple[float, float]
    substitutions: int
    deletions: int
    insertions: int
    over_100: int
    seconds: float
    alike: Alike
    alike_in_full_windows: Alike
    difference: float | None = None
    difference_ci95: tuple[float, float] | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class LongRow:
    """A line of the table of joined recordings."""

    model: str
    decoder: str
    wer: float
    """Of the long transcripts as they are."""
    seconds: float
    apart: str
    """The decoder that wrote utterance by utterance."""
    wer_apart: float
    difference: float
    difference_ci95: tuple[float, float]
    p_value: float | None
    ours_difference: float
    ours_difference_ci95: tuple[float, float]


@dataclass
class Bench:
    """The recordings, how they are scored, and where transcripts are kept."""

    cuts: CutSet
    work: Path
    language: str
    cluster: Cluster
    older: str | None = None
    """An interpreter with transformers 4."""
    weights: dict[Path, str] = field(default_factory=dict)

    def transcript(self, decoder: str, model: Path, cuts: CutSet) -> Transcription:
        """What a decoder writes; what it wrote before is taken from WORK."""
        key = {
            "decoder": decoder,
            "model": self._weights(model),
            "cuts": [[cut.id, round(cut.duration, 4)] for cut in cuts],
            "language": self.language,
        }
        path = self.work / "transcripts" / f"{re.sub('[^a-z0-9]+', '-', decoder)}-{digest(key)[:16]}.json"
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            rows = [Transcript(**row) for row in kept["transcripts"]]
            return Transcription(rows, window_of_record(kept["window"]), kept["seconds"], kept["backend"])
        print(f"{model.name}, {decoder}: {len(cuts)} recordings", file=sys.stderr, flush=True)
        if decoder == OURS and any(cut.duration > LONGEST_CUT_S for cut in cuts):
            decoding = DecodingOptions(language=self.language)
            found = transcribe([audio_path(cut) for cut in cuts], model, decoding=decoding)
            found = replace(
                found, transcripts=[Transcript(row.id, row.text, row.duration_s) for row in found.transcripts]
            )
        elif decoder in (OURS, OURS_FULL):
            window = "full" if decoder == OURS_FULL else None
            found = in_our_decoder(model, cuts, window=window, language=self.language)
        elif decoder == OLDER_PIPELINE:
            assert self.older is not None, "asked for without an interpreter"
            multilingual = getattr(GenerationConfig.from_pretrained(model), "is_multilingual", False)
            found = in_older_pipeline(self.older, model, cuts, self.language, multilingual)
        else:
            found = in_decoder(decoder, model, cuts, language=self.language)
        rows = [asdict(row) for row in found.transcripts]
        write_json(path, {**asdict(found), "window": window_record(found.window), "transcripts": rows})
        return found

    def scored(self, decoder: str, model: Path) -> Evaluation:
        found = self.transcript(decoder, model, self.cuts)
        return score(self.cuts, found, name=decoder, language=self.language, cluster=self.cluster)

    def _weights(self, model: Path) -> str:
        if model not in self.weights:
            files = sorted(file for pattern in WEIGHED for file in model.glob(pattern))
            self.weights[model] = digest([[file.name, _sha256(file)] for file in files])
        return self.weights[model]


def short_rows(bench: Bench, name: str, model: Path, decoders: Sequence[str]) -> list[Row]:
    """Utterance by utterance."""
    ours = bench.scored(OURS, model)
    references = [bench.transcript(one, model, bench.cuts) for one in (OURS, OURS_FULL)]
    rows = []
    for decoder in decoders:
        found = ours if decoder == OURS else bench.scored(decoder, model)
        written = bench.transcript(decoder, model, bench.cuts)
        paired = None
        if decoder != OURS:
            paired = compare_hypotheses(found.hypotheses, ours.hypotheses, (decoder, OURS))
        system = found.system
        rows.append(
            Row(
                name, decoder, system.wer, system.ci95, system.substitutions, system.deletions, system.insertions,
                system.over_100, round(system.seconds, 2),
                *(alike(written, reference, bench.language) for reference in references), *(
                    (paired.difference, paired.ci95, paired.p_value) if paired else ()
                ),
            )
        )  # fmt: skip
    return rows


def alike(one: Transcription, other: Transcription, language: str) -> Alike:
    """How many of the same utterances two decoders write alike."""
    normalise = normaliser(language)
    pairs = [(a.text, b.text) for a, b in zip(one.transcripts, other.transcripts, strict=True)]
    return Alike(
        len(pairs),
        sum(a.split() == b.split() for a, b in pairs),
        sum(normalise(a).split() == normalise(b).split() for a, b in pairs),
    )


def long_rows(bench: Bench, name: str, model: Path, decoders: Sequence[str], minutes: float) -> list[LongRow]:
    """Joined recordings, each decoder against what it writes utterance by utterance, and against ours."""
    normalise = normaliser(bench.language)
    kept = [cut for cut in bench.cuts if normalise(text_of(cut)).strip()]
    joined = join(kept, minutes, bench.work / f"joined-{minutes:g}-{digest([cut.id for cut in kept])[:12]}")
    long_cuts, texts = cuts_of_joined(joined), [text_of(cut) for cut in kept]
    clusters = [prompt_of_cut(cut) if bench.cluster == "prompt" else speaker_of(cut) for cut in kept]
    ours = bench.scored(OURS, model)
    rows = []
    for decoder in decoders:
        written = bench.transcript(decoder, model, long_cuts)
        whole = score(long_cuts, written, name=decoder, language=bench.language)
        shared = shared_out(joined, [row.text for row in written.transcripts], texts, normalise)
        apart = bench.scored(LONG[decoder], model)
        paired = compare(shared.errors, _errors(apart), shared.words, clusters)
        to_ours = compare(shared.errors, _errors(ours), shared.words, clusters)
        rows.append(
            LongRow(
                name, decoder, whole.system.wer, round(written.seconds, 2), LONG[decoder], apart.system.wer,
                paired.points, paired.ci95, paired.p_value, to_ours.points, to_ours.ci95,
            )
        )  # fmt: skip
    return rows


def _errors(found: Evaluation) -> np.ndarray:
    return np.array([row.substitutions + row.deletions + row.insertions for row in found.hypotheses], dtype=np.int64)


def short_table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| model | decoder | WER (95 %) | S | D | I | over 100 % | − ours (95 %) | p | = ours | = ours, 30 s | s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        difference = _difference(row.difference, row.difference_ci95)
        p = "" if row.p_value is None else _p(row.p_value)
        lines.append(
            f"| {row.model} | {row.decoder} | {row.wer:.1f} ({row.ci95[0]:.1f} to {row.ci95[1]:.1f}) | "
            f"{row.substitutions} | {row.deletions} | {row.insertions} | {row.over_100} | {difference} | {p} | "
            f"{row.alike} | {row.alike_in_full_windows} | {row.seconds:.0f} |"
        )
    return "\n".join(lines)


def long_table(rows: list[LongRow]) -> str:
    """Markdown."""
    lines = [
        "| model | decoder | WER joined | WER apart | joined − apart (95 %) | p | joined − ours apart (95 %) | s |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.model} | {row.decoder} | {row.wer:.1f} | {row.wer_apart:.1f} | "
            f"{_difference(row.difference, row.difference_ci95)} | {_p(row.p_value)} | "
            f"{_difference(row.ours_difference, row.ours_difference_ci95)} | {row.seconds:.0f} |"
        )
    return "\n".join(lines)


def _difference(points: float | None, ci95: tuple[float, float] | None) -> str:
    return "" if points is None or ci95 is None else f"{points:+.1f} ({ci95[0]:+.1f} to {ci95[1]:+.1f})"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= LEAST_P else f"< {LEAST_P:g}"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def heading(cuts: CutSet, options: argparse.Namespace) -> str:
    """What was measured, on what, with what."""
    durations: list[Any] = [cut.duration for cut in cuts]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{len(cuts)} utterances of `{options.cuts.name}` (median {np.median(durations):.1f} s, "
        f"{sum(durations) / 60:.1f} min in all), differences by {options.cluster}; {processor()}, "
        f"{options.threads} of {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{versions}."
    )


def _chosen(cuts: CutSet, limit: int | None) -> CutSet:
    """All, or so many, evenly picked."""
    rows = list(cuts)
    if limit is None or limit >= len(rows):
        return cuts
    return CutSet.from_cuts(rows[index] for index in np.linspace(0, len(rows) - 1, limit).astype(int))


def _named(text: str) -> tuple[str, Path]:
    name, equals, model = text.partition("=")
    return (name, resolve_weights(model)) if equals else (text, resolve_weights(text))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME=MODEL")
    parser.add_argument("--cuts", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="transcripts and joined recordings are kept here")
    known = [*SHORT, OLDER_PIPELINE]
    parser.add_argument("--decoders", nargs="+", choices=known, metavar="NAME", help=", ".join(known))
    parser.add_argument("--transformers-4", dest="older", metavar="PYTHON", help="its pipeline is compared too")
    parser.add_argument("--joined", type=float, metavar="MINUTES", help="join the utterances to recordings this long")
    parser.add_argument("--limit", type=int, help="so many utterances, evenly picked")
    parser.add_argument("--language", default="en")
    parser.add_argument("--cluster", choices=("speaker", "prompt"), default="speaker")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="Markdown; by default standard output alone")
    parser.add_argument("--json", type=Path, help="the same, and more digits")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    cuts = _chosen(cuts_of(options.cuts), options.limit)
    bench = Bench(cuts, options.work, options.language, options.cluster, options.older)
    short = [*SHORT, *([OLDER_PIPELINE] if options.older else [])]
    known = list(LONG) if options.joined else [name for name in short if name != NOT_SHORT]
    decoders = [name for name in options.decoders or known if name in known]
    rows: list[Any] = []
    for text in options.models:
        name, model = _named(text)
        if options.joined:
            rows += long_rows(bench, name, model, decoders, options.joined)
        else:
            rows += short_rows(bench, name, model, decoders)
    table = long_table(rows) if options.joined else short_table(rows)
    head = heading(cuts, options)
    print(f"{head}\n\n{table}")
    if options.out:
        write_whole(options.out, f"{head}\n\n{table}\n")
    if options.json:
        write_json(options.json, {"heading": head, "joined_minutes": options.joined, "rows": [asdict(r) for r in rows]})


if __name__ == "__main__":
    main()
