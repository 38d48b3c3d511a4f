"""The stages that are measured, each run in a process of its own: `python -m speech_analogy.benching.stages`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from speech_analogy.benching.findings import Finding, StageFinding
from speech_analogy.benching.machine import SIDES, describe, matmul_peak, peak_bytes
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.foundation.user_files.json_text import read_objects

if TYPE_CHECKING:
    from speech_analogy.recognisers.protocol import Backend, Compute

WARM_UP = 8  # utterances
TRAINING_BATCH = 16
EXPECTED_SHARE = 0.3  # of the matmul peak; sizes the fine-tuning to the time there is
STEPS_AT_LEAST = 4  # of which the first warms up
LEARNING_RATE = 1e-5
SCALE = 0.5
ENGINES_TRIED = ("hibari", "piper", "flite", "espeak-ng")
GIGA = 1e9
WORK = ("forward", "backward", "optimiser")  # what fine-tuning is for, in a row of its log
JITTER = 1e-4  # added to the weights that are merged


class BenchJob(Finding):
    """The instructions to a stage's process."""

    folder: Path
    """Of the base."""
    cuts: Path
    """Of speech."""
    scratch: Path
    """To write in."""
    seconds: float
    """About how long to measure."""
    threads: int
    language: str
    peak: dict[str, float] = Field(default_factory=dict)
    """GFLOP/s by precision."""
    sides: tuple[int, ...] = SIDES
    """Of the square matrices that the peak is measured with."""


def features(job: BenchJob) -> StageFinding:
    """Log-mel features of trimmed windows, the audio decoded beforehand."""
    from speech_analogy.evaluation.transcribe import batches
    from speech_analogy.recognisers.loading import load_recogniser

    recogniser = load_recogniser(job.folder, language=job.language)
    waves, seconds = _waves(job)
    plan = batches(seconds, "trimmed")
    for batch in plan[:1]:
        recogniser.features([waves[row] for row in batch.rows], batch.window_s)
    rows: list[int] = []
    begin, passed = time.perf_counter(), 0.0
    while passed < job.seconds:
        for batch in plan:
            recogniser.features([waves[row] for row in batch.rows], batch.window_s)
            rows += batch.rows
        passed = time.perf_counter() - begin
    return StageFinding(
        name="features", utterances=len(rows), audio_s=sum(seconds[row] for row in rows), seconds=passed
    )


def fine_tuning(job: BenchJob) -> StageFinding:
    """`finetune` with its defaults; the first step warms up and is left out."""
    from lhotse import CutSet

    from speech_analogy.corpora.cuts import cuts_of
    from speech_analogy.training.batching import epoch_batches
    from speech_analogy.training.finetune import finetune
    from speech_analogy.training.options import FinetuneOptions
    from speech_analogy.training.precision import autocast_precision

    operations = _operations(job)
    if operations is None:
        return StageFinding(name="fine-tuning", missing="operations are not counted for this family of models")
    precision = "bf16" if autocast_precision("auto") == "bf16" else "fp32"
    options = FinetuneOptions(epochs=1, batch_size=TRAINING_BATCH, learning_rate=LEARNING_RATE, language=job.language)
    cuts = list(cuts_of(job.cuts))
    least = cuts[: TRAINING_BATCH * STEPS_AT_LEAST]
    wanted = job.seconds * EXPECTED_SHARE * job.peak[precision] * GIGA * len(least) / operations(least)
    chosen = CutSet.from_cuts(cuts[: max(len(least), round(wanted))])
    batches = epoch_batches(chosen, batch_size=TRAINING_BATCH, seed=options.seed, epoch=0)
    counted = list(map(operations, batches))
    del operations  # and its model with it
    done = finetune(chosen, job.folder, job.scratch / "tuned", options, progress=False)
    rows = read_objects(done.folder / "training" / "log.jsonl")
    spent = [seconds_of(row, len(batch)) for row, batch in zip(rows, batches, strict=True)][1:]
    total = sum(seconds for seconds, _ in spent)
    outside = [share for _, share in spent if share is not None]
    gflops = sum(counted[1:]) / total / GIGA
    return StageFinding(
        name="fine-tuning",
        utterances=sum(map(len, batches[1:])),
        audio_s=sum(cut.duration for batch in batches[1:] for cut in batch),
        seconds=total,
        gflops=gflops,
        peak_share=gflops / job.peak[precision],
        outside_share=sum(outside) / total if len(outside) == len(spent) else None,
        note=f"{precision}, batches of {TRAINING_BATCH}, {len(spent)} steps",
    )


def _operations(job: BenchJob) -> Callable[[list[Any]], int] | None:
    """What counts the operations of one step on a batch of cuts; None where its family does not count them."""
    from speech_analogy.corpora.cuts import text_of
    from speech_analogy.recognisers.families import family_of
    from speech_analogy.recognisers.loading import load_recogniser
    from speech_analogy.recognisers.protocol import IGNORED_LABEL
    from speech_analogy.training.batching import batch_window_s

    recogniser = load_recogniser(job.folder, language=job.language)
    family = family_of(recogniser)
    training_flops = family.training_flops
    if training_flops is None:
        return None

    def counted(batch: list[Any]) -> int:
        inputs, targets = recogniser.labels([text_of(cut) for cut in batch])
        learned = int((targets != IGNORED_LABEL).sum())
        frames = round(family.features.per_s * batch_window_s(batch, "trimmed"))
        return training_flops(recogniser.model.config, len(batch), frames, inputs.shape[1], learned)

    return counted


def seconds_of(row: dict[str, Any], utterances: int) -> tuple[float, float | None]:
    """Of a step, from its row in `log.jsonl`: its wall time, and the part outside `WORK` where the log has it."""
    parts = row.get("seconds")
    if isinstance(parts, dict):
        total = float(sum(parts.values()))
        return total, total - float(sum(parts.get(name, 0.0) for name in WORK))
    return utterances / float(row["utterances_per_second"]), None


def transcription(backend: Backend, compute: Compute) -> Callable[[BenchJob], StageFinding]:
    """Greedy decoding in trimmed windows."""

    def measured(job: BenchJob) -> StageFinding:
        from speech_analogy.evaluation.transcribe import transcribe_arrays
        from speech_analogy.recognisers.decoding import DecodingOptions
        from speech_analogy.recognisers.loading import load_transcriber

        decoding = DecodingOptions(backend=backend, compute=compute, language=job.language)
        transcriber = load_transcriber(job.folder, decoding)
        waves, seconds = _waves(job)
        transcribe_arrays(waves[:WARM_UP], transcriber, "trimmed")
        count, passed, texts = min(2 * WARM_UP, len(waves)), 0.0, [""]
        while True:  # more and more, until they fill the time
            begin = time.perf_counter()
            texts = transcribe_arrays(waves[:count], transcriber, "trimmed")
            passed = time.perf_counter() - begin
            if count == len(waves) or passed > job.seconds / 3:
                break
            count = min(len(waves), max(count + 1, int(0.9 * count * job.seconds / passed)))
        words = sum(len(text.split()) for text in texts) / count
        return StageFinding(
            name="transcription, torch" if backend == "torch" else f"transcription, CTranslate2 {compute}",
            utterances=count,
            audio_s=sum(seconds[:count]),
            seconds=passed,
            note=f"{words:.1f} words an utterance",
        )

    return measured


def synthesis(job: BenchJob) -> StageFinding:
    """The first installed engine, in this process, on the texts of the speech."""
    from data_synth.engines import Utterance, Waveform, load_engine
    from speech_analogy.corpora.cuts import cuts_of, text_of

    texts = [text_of(cut) for cut in cuts_of(job.cuts)]
    for name in ENGINES_TRIED:
        try:
            engine = load_engine(name)
            voice = engine.voices()[0]
            [first] = engine.synthesize([Utterance(texts[0], voice, 0, {"speed": 1.0})])  # loads the voice
        except (SpeechAnalogyError, OSError, IndexError):
            continue
        if isinstance(first, Waveform):
            break
    else:
        return StageFinding(name="synthesis", missing=f"none of {', '.join(ENGINES_TRIED)} is installed")
    count, audio, begin = 0, 0.0, time.perf_counter()
    while time.perf_counter() - begin < job.seconds:
        batch = [Utterance(texts[(count + i) % len(texts)], voice, i, {"speed": 1.0}) for i in range(engine.batch_size)]
        spoken = [outcome for outcome in engine.synthesize(batch) if isinstance(outcome, Waveform)]
        if not spoken:
            return StageFinding(name="synthesis", missing=f"{name} speaks none of the texts")
        count += len(spoken)
        audio += sum(len(wave.samples) / wave.rate for wave in spoken)
    passed = time.perf_counter() - begin
    return StageFinding(name="synthesis", utterances=count, audio_s=audio, seconds=passed, note=f"{name}, {voice}")


def merging(job: BenchJob) -> StageFinding:
    """The analogy of three models of the base's size, written again and again."""
    import shutil

    import torch
    from safetensors.torch import save_file

    from speech_analogy.merging.analogy import analogy
    from speech_analogy.merging.io.checkpoints import open_checkpoint

    base = open_checkpoint(job.folder)
    for seed, name in enumerate("cba"):
        draw = torch.Generator().manual_seed(seed)
        (job.scratch / name).mkdir(parents=True)
        moved = {
            key: (base[key].float() + JITTER * torch.randn(base.shape(key), generator=draw)).contiguous()
            for key in base.keys()  # noqa: SIM118 - its keys leave tied names out
        }
        save_file(moved, job.scratch / name / "model.safetensors")
        shutil.copy(job.folder / "config.json", job.scratch / name)
    c, plus, minus = (job.scratch / name for name in "cba")
    written, passed = 0, 0.0
    for turn in range(1 << 20):
        out = job.scratch / "out"
        begin = time.perf_counter()
        analogy(c, plus, minus, SCALE, out)
        if turn:  # the first warms up
            passed += time.perf_counter() - begin
            written += sum(file.stat().st_size for file in out.glob("*.safetensors"))
        shutil.rmtree(out)
        if passed >= job.seconds:
            break
    return StageFinding(name="merging", seconds=passed, gigabytes=written / GIGA, note="analogy of 3, float32, written")


STAGES: dict[str, Callable[[BenchJob], StageFinding]] = {
    "features": features,
    "fine-tuning": fine_tuning,
    "transcription, torch": transcription("torch", "float32"),
    "transcription, CTranslate2 int8": transcription("ctranslate2", "int8"),
    "transcription, CTranslate2 float32": transcription("ctranslate2", "float32"),
    "synthesis": synthesis,
    "merging": merging,
}
MACHINE = "machine"


def _waves(job: BenchJob) -> tuple[list[Any], list[float]]:
    """The speech as float32 (samples,) at 16 kHz, and its seconds."""
    from speech_analogy.corpora.audio import load_audio
    from speech_analogy.corpora.cuts import cuts_of

    waves = [load_audio(cut) for cut in cuts_of(job.cuts)]
    return waves, [len(wave) / 16_000 for wave in waves]


def main(name: str, content: str) -> None:
    """One stage, or the machine itself; prints one line of JSON."""
    import torch

    job = BenchJob.model_validate_json(content)
    torch.set_num_threads(job.threads)
    if name == MACHINE:
        machine = describe()
        precisions = ("fp32", "bf16") if machine.bf16 else ("fp32",)
        peak = {precision: matmul_peak(precision, job.sides).model_dump() for precision in precisions}
        print(json.dumps({"machine": machine.model_dump(), "peak": peak}))
        return
    try:
        found = STAGES[name](job)
    except SpeechAnalogyError as error:
        found = StageFinding(name=name, missing=str(error))
    print(found.model_copy(update={"peak_bytes": peak_bytes()}).model_dump_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
