"""Long recordings: ours against faster-whisper's batched pipeline, WER, time and memory; see RESULTS.md.

    python tests/benchmarks/long_audio/long_audio.py --model MODEL --cuts CUTS --seconds 3600
    python tests/benchmarks/long_audio/long_audio.py --model MODEL --cuts CUTS --memory

Utterances are joined with pauses of 0.3 to 2 s of faint noise. Each system runs in a process of its own, one after the
other, on one thread; what is measured starts when the model is loaded and ends with the last word.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000
PAUSES_S = (0.3, 2.0)
NOISE = 1e-4  # of full scale, in the pauses
SHORT_S, LONG_S, SPOKEN_S = 600.0, 36_000.0, 60.0  # for the memory: two lengths, and how much of them is speech
SYSTEMS = (
    "ours, CTranslate2 int8",
    "ours, torch",
    "faster-whisper int8, batched pipeline, greedy",
    "faster-whisper int8, batched pipeline, its defaults",
    "faster-whisper int8, batched pipeline, greedy, our segments",
)


def join(cuts: Path, seconds: float, out: Path, seed: int = 0) -> list[str]:
    """Write one recording of utterances with pauses; their texts in order."""
    from lhotse import CutSet

    from speech_analogy.corpora.audio import load_audio
    from speech_analogy.corpora.cuts import text_of

    rows = list(CutSet.from_file(cuts))
    drawn = random.Random(seed)
    drawn.shuffle(rows)
    generator = np.random.default_rng(seed)
    texts: list[str] = []
    written = 0
    with soundfile.SoundFile(out, "w", RATE_HZ, 1, subtype="PCM_16") as file:
        while written < seconds * RATE_HZ:
            cut = rows[len(texts) % len(rows)]
            pause = NOISE * generator.standard_normal(round(drawn.uniform(*PAUSES_S) * RATE_HZ))
            for part in (load_audio(cut), pause.astype(np.float32)):
                file.write(part)
                written += len(part)
            texts.append(text_of(cut))
    return texts


def ours(backend: str) -> Callable[[Path, Path], Callable[[], list[str]]]:
    """Open a model; what comes back transcribes."""

    def opened(model: Path, audio: Path) -> Callable[[], list[str]]:
        from speech_analogy.evaluation.transcribe import TimedText
        from speech_analogy.long_audio.recordings import SoundFile
        from speech_analogy.long_audio.transcribe import SoundTranscriber
        from speech_analogy.recognisers.decoding import DecodingOptions

        decoding = DecodingOptions(backend="ctranslate2" if backend == "ctranslate2" else "torch")
        ready = SoundTranscriber.load(model, decoding)
        recordings = [SoundFile(audio, audio.name)]
        return lambda: [found.text for _, found in ready.texts(recordings) if isinstance(found, TimedText)]

    return opened


def faster_whisper(*, beams: int = 1, our_segments: bool = False) -> Callable[[Path, Path], Callable[[], list[str]]]:
    """The same model, converted."""

    def opened(model: Path, audio: Path) -> Callable[[], list[str]]:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        from speech_analogy.long_audio.sound import sound_blocks
        from speech_analogy.long_audio.speech_finder import speech_segments
        from speech_analogy.recognisers.whisper.ctranslate2_model import convert

        folder = Path(tempfile.mkdtemp()) / "model"
        shutil.copytree(convert(model), folder)
        for name in ("tokenizer.json", "preprocessor_config.json"):
            shutil.copy(model / name, folder / name)
        loaded = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        pipeline = BatchedInferencePipeline(loaded)

        def transcribe() -> list[str]:
            given = {}
            if our_segments:
                spans = [{"start": s.start_s, "end": s.end_s} for s in speech_segments(sound_blocks(audio))]
                given = {"clip_timestamps": spans}
            segments, _ = pipeline.transcribe(str(audio), language="en", beam_size=beams, batch_size=8, **given)
            return [segment.text for segment in segments]

        return transcribe

    return opened


OPEN = dict(
    zip(
        SYSTEMS,
        (
            ours("ctranslate2"),
            ours("torch"),
            faster_whisper(),
            faster_whisper(beams=5),
            faster_whisper(our_segments=True),
        ),
        strict=True,
    )
)


def measured(system: str, model: Path, audio: Path) -> dict[str, object]:
    """In this process: texts, wall and processor seconds, peak memory in MiB."""
    import torch

    torch.set_num_threads(1)
    transcribe = OPEN[system](model, audio)
    wall, processor = time.perf_counter(), time.process_time()
    texts = transcribe()
    return {
        "text": " ".join(texts),
        "wall_s": time.perf_counter() - wall,
        "processor_s": time.process_time() - processor,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "segments": len(texts),
    }


def apart(system: str, model: Path, audio: Path) -> dict[str, object]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", system, "--model", str(model), "--audio", str(audio)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(model: Path, cuts: Path, seconds: float, systems: list[str]) -> None:
    """Print the table."""
    from speech_analogy.evaluation.normalise import normaliser
    from speech_analogy.evaluation.score import word_errors

    normalise = normaliser("en")
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "joined.wav"
        texts = join(cuts, seconds, audio)
        lasts = soundfile.info(audio).duration
        reference = " ".join(normalise(text) for text in texts)
        print(f"{len(texts)} utterances, {lasts:.0f} s\n", flush=True)
        print("| system | wall s | processor s | real-time factor | peak MiB | segments | WER | S / D / I |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|", flush=True)
        for system in systems:
            found = apart(system, model, audio)
            errors = word_errors([reference], [normalise(str(found["text"]))])
            counts = " / ".join(
                str(int(each.sum())) for each in (errors.substitutions, errors.deletions, errors.insertions)
            )
            wall, processor, peak = (float(str(found[key])) for key in ("wall_s", "processor_s", "peak_mib"))
            print(
                f"| {system} | {wall:.1f} | {processor:.1f} | {processor / lasts:.4f} | {peak:.0f} "
                f"| {found['segments']} | {errors.rate:.2f} | {counts} |",
                flush=True,
            )


def memory(model: Path, cuts: Path) -> None:
    """Peak memory of ten minutes and of ten hours, a minute of speech in every ten."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        join(cuts, SPOKEN_S, spoken)
        samples, _ = soundfile.read(spoken, dtype="int16")
        print("| recording | peak MiB | wall s | segments |\n|---|--:|--:|--:|", flush=True)
        for seconds in (SHORT_S, LONG_S):
            audio = Path(folder) / "long.flac"
            with soundfile.SoundFile(audio, "w", RATE_HZ, 1) as file:
                for _ in range(round(seconds / SHORT_S)):
                    file.write(samples)
                    file.write(np.zeros(round(SHORT_S * RATE_HZ) - len(samples), np.int16))
            found = apart(SYSTEMS[0], model, audio)
            peak, wall = float(str(found["peak_mib"])), float(str(found["wall_s"]))
            print(f"| {seconds / 60:.0f} min | {peak:.0f} | {wall:.1f} | {found['segments']} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cuts", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--one", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--audio", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one, given.model, given.audio)))
    elif given.memory:
        memory(given.model, given.cuts)
    else:
        compare(given.model, given.cuts, given.seconds, given.systems)


if __name__ == "__main__":
    main()
