"""The systems that speed.py compares: each is opened with one model folder and transcribes the same arrays."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

Hear = Callable[[Sequence[np.ndarray]], list[str]]
"""Waveforms, float32 mono 16 kHz, in; their texts, in order, out."""

RATE_HZ = 16_000
BATCH = 8  # utterances, for those that take batches of 30 s windows
PACK_S, GAP_S = 30.0, 0.5
PLAIN = {"language": "en", "temperature": 0.0, "condition_on_previous_text": False}


def ours(backend: str, compute: str = "int8") -> Callable[[Path, int], Hear]:
    """This project, greedy, in the window that the model was tuned in."""

    def opened(folder: Path, threads: int) -> Hear:
        from speech_analogy.evaluation.transcribe import transcribe_arrays
        from speech_analogy.recognisers.decoding import DecodingOptions
        from speech_analogy.recognisers.loading import load_transcriber

        transcriber = load_transcriber(folder, DecodingOptions(backend=backend, compute=compute))  # type: ignore[arg-type]
        return lambda waves: transcribe_arrays(waves, transcriber)

    return opened


def _faster_whisper(folder: Path, threads: int, workers: int = 1) -> Any:
    """faster-whisper in int8 on the model converted by CTranslate2."""
    from faster_whisper import WhisperModel

    from speech_analogy.recognisers.whisper.ctranslate2_model import convert

    converted = convert(folder)
    for name in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copy(folder / name, converted / name)
    return WhisperModel(str(converted), compute_type="int8", cpu_threads=threads // workers, num_workers=workers)


def faster_sequential(beams: int) -> Callable[[Path, int], Hear]:
    """Utterance by utterance."""

    def opened(folder: Path, threads: int) -> Hear:
        model = _faster_whisper(folder, threads)
        return lambda waves: [
            _joined(model.transcribe(w, beam_size=beams, without_timestamps=True, **PLAIN)) for w in waves
        ]

    return opened


def faster_workers(folder: Path, threads: int) -> Hear:
    """Utterance by utterance, as many at a time as there are threads, one thread each."""
    model = _faster_whisper(folder, threads, workers=threads)

    def hear(waves: Sequence[np.ndarray]) -> list[str]:
        with ThreadPoolExecutor(threads) as pool:
            return list(
                pool.map(lambda w: _joined(model.transcribe(w, beam_size=1, without_timestamps=True, **PLAIN)), waves)
            )

    return hear


def faster_batched(folder: Path, threads: int) -> Hear:
    """The batched pipeline, which takes one recording: all utterances in a row, with their borders given."""
    from faster_whisper import BatchedInferencePipeline

    pipeline = BatchedInferencePipeline(_faster_whisper(folder, threads))

    def hear(waves: Sequence[np.ndarray]) -> list[str]:
        ends = np.cumsum([len(wave) for wave in waves])
        clips = [{"start": (e - len(w)) / RATE_HZ, "end": e / RATE_HZ} for w, e in zip(waves, ends, strict=True)]
        segments, _ = pipeline.transcribe(
            np.concatenate(waves),
            language="en",
            beam_size=1,
            batch_size=BATCH,
            clip_timestamps=clips,
            vad_filter=False,
            without_timestamps=True,
        )
        texts = [""] * len(waves)
        middles = [(clip["start"] + clip["end"]) / 2 for clip in clips]
        for segment in segments:
            texts[int(np.argmin(np.abs(np.array(middles) - (segment.start + segment.end) / 2)))] += segment.text
        return [text.strip() for text in texts]

    return hear


def faster_packed(folder: Path, threads: int) -> Hear:
    """As many utterances as fit into 30 s as one recording, half a second apart; the text goes to the first one."""
    model = _faster_whisper(folder, threads)
    gap = np.zeros(int(GAP_S * RATE_HZ), dtype=np.float32)

    def hear(waves: Sequence[np.ndarray]) -> list[str]:
        texts = [""] * len(waves)
        for pack in packs([len(wave) / RATE_HZ for wave in waves]):
            together = np.concatenate([piece for row in pack for piece in (waves[row], gap)])
            texts[pack[0]] = _joined(model.transcribe(together, beam_size=1, **PLAIN))
        return texts

    return hear


def packs(durations_s: Sequence[float]) -> list[list[int]]:
    """Utterances, by number, that share 30 s."""
    found: list[list[int]] = [[]]
    filled = 0.0
    for row, duration in enumerate(durations_s):
        if found[-1] and filled + duration + GAP_S > PACK_S:
            found.append([])
            filled = 0.0
        found[-1].append(row)
        filled += duration + GAP_S
    return found


def _joined(answer: tuple[Any, Any]) -> str:
    return "".join(segment.text for segment in answer[0]).strip()


def openai_whisper(folder: Path, threads: int) -> Hear:
    """openai-whisper, greedy, float32, with the folder's weights under its own names."""
    import whisper
    from safetensors.torch import load_file

    from speech_analogy.recognisers.whisper.folder import Dimensions
    from speech_analogy.recognisers.whisper.openai_format import RENAMES

    tensors = load_file(folder / "model.safetensors")
    size = Dimensions.of(tensors, folder)
    heads = size.width // 64
    model = whisper.model.Whisper(
        whisper.model.ModelDimensions(
            size.mels, size.audio_positions, size.width, heads, size.encoder_layers,
            size.vocabulary, size.text_positions, size.width, heads, size.decoder_layers,
        )
    ).eval()  # fmt: skip
    state = {}
    for name in model.state_dict():
        theirs = name
        for pattern, replacement in RENAMES:
            theirs = re.sub(pattern, replacement, theirs)
        state[name] = tensors[theirs]
    model.load_state_dict(state)

    def hear(waves: Sequence[np.ndarray]) -> list[str]:
        return [
            model.transcribe(wave, fp16=False, without_timestamps=True, verbose=None, **PLAIN)["text"].strip()
            for wave in waves
        ]

    return hear


def transformers_pipeline(batch: int) -> Callable[[Path, int], Hear]:
    """The pipeline of transformers, greedy, float32."""

    def opened(folder: Path, threads: int) -> Hear:
        import torch
        from transformers import pipeline

        speech = pipeline("automatic-speech-recognition", model=str(folder), dtype=torch.float32)
        speech.tokenizer.pad_token_id = speech.model.config.eos_token_id  # asked for by its batches

        def hear(waves: Sequence[np.ndarray]) -> list[str]:
            inputs = [{"raw": wave, "sampling_rate": RATE_HZ} for wave in waves]
            return [row["text"].strip() for row in speech(inputs, batch_size=batch, generate_kwargs={"num_beams": 1})]

        return hear

    return opened


SYSTEMS: dict[str, Callable[[Path, int], Hear]] = {
    "ours, CTranslate2 int8": ours("ctranslate2", "int8"),
    "ours, CTranslate2 float32": ours("ctranslate2", "float32"),
    "ours, torch": ours("torch", "float32"),
    "ours, torch, encoder in bf16": ours("torch", "bf16"),
    "faster-whisper int8": faster_sequential(1),
    "faster-whisper int8, beam 5 (its default)": faster_sequential(5),
    "faster-whisper int8, a worker a thread": faster_workers,
    "faster-whisper int8, batched pipeline": faster_batched,
    "faster-whisper int8, packed into 30 s": faster_packed,
    "openai-whisper": openai_whisper,
    "transformers pipeline": transformers_pipeline(1),
    f"transformers pipeline, batches of {BATCH}": transformers_pipeline(BATCH),
}
