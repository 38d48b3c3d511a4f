"""How to load a run's model in the runtimes that people use: lines to copy, for the formats that can be exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_analogy.foundation.plugins import Plugins

FORMATS: Plugins[Any] = Plugins("speech_analogy.exporters", "export format", field="to")


@dataclass(frozen=True)
class Recipe:
    """One runtime: `to` is the export format it reads, empty where it reads the model's folder as it is."""

    runtime: str
    to: str
    out: str
    code: str


RECIPES = (
    Recipe(
        "transformers", "", "",
        'from transformers import pipeline\n\nasr = pipeline("automatic-speech-recognition", model="MODEL")\n'
        'print(asr("order.wav")["text"])',
    ),
    Recipe(
        "speech-analogy", "", "",
        "speech-analogy transcribe order.wav --model MODEL",
    ),
    Recipe(
        "faster-whisper", "ctranslate2", "model-ct2",
        'from faster_whisper import WhisperModel\n\nmodel = WhisperModel("model-ct2", compute_type="int8")\n'
        'segments, _ = model.transcribe("order.wav")\nprint(" ".join(one.text.strip() for one in segments))',
    ),
    Recipe(
        "openai-whisper", "openai", "model.pt",
        'import whisper\n\nprint(whisper.load_model("model.pt").transcribe("order.wav")["text"])',
    ),
    Recipe(
        "whisper.cpp, through pywhispercpp", "ggml", "ggml-model.bin",
        'from pywhispercpp.model import Model\n\nsegments = Model("ggml-model.bin").transcribe("order.wav")\n'
        'print(" ".join(one.text.strip() for one in segments))',
    ),
    Recipe(
        "onnxruntime, through optimum", "onnx", "model-onnx",
        "from optimum.onnxruntime import ORTModelForSpeechSeq2Seq\nfrom transformers import AutoProcessor, pipeline\n\n"
        'model = ORTModelForSpeechSeq2Seq.from_pretrained("model-onnx")\n'
        'processor = AutoProcessor.from_pretrained("model-onnx")\n'
        'asr = pipeline("automatic-speech-recognition", model=model, tokenizer=processor.tokenizer,\n'
        '               feature_extractor=processor.feature_extractor)\nprint(asr("order.wav")["text"])',
    ),
)  # fmt: skip


def ready(run: Path, folder: str) -> list[tuple[str, str]]:
    """(runtime, lines to copy) for a run's model; nothing where the run has none.

    Args:
        run: the run folder.
        folder: of the model, below it. Paths in the lines are from the run folder.
    """
    if not (run / folder / "config.json").is_file():
        return []
    known = set(FORMATS.names())
    return [(one.runtime, _lines(one, folder)) for one in RECIPES if not one.to or one.to in known]


def _lines(recipe: Recipe, folder: str) -> str:
    if not recipe.to:
        return recipe.code.replace("MODEL", folder)
    return f"# first: speech-analogy export {folder} --to {recipe.to} --out {recipe.out}\n{recipe.code}"
