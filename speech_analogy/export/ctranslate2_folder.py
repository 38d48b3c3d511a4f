"""CTranslate2's format, as faster-whisper opens it: float32, which it quantises as it loads, or quantised here."""

from __future__ import annotations

import shutil
from pathlib import Path

from speech_analogy.errors import ConfigError
from speech_analogy.export.exporter import Exporter
from speech_analogy.merging.io.model_folder import copy_record
from speech_analogy.recognisers.loading import ctranslate2_installed

READ_BESIDE = ("tokenizer.json", "preprocessor_config.json")
"""What faster-whisper reads beside the weights; without a tokenizer it would ask a hub."""

QUANTIZATIONS = (
    "float32", "float16", "bfloat16", "int16", "int8", "int8_float32", "int8_float16", "int8_bfloat16",
)  # fmt: skip
"""CTranslate2's own, of the weights in the file (`ctranslate2.converters.Converter.convert`)."""


def write(model: Path, out: Path) -> None:
    """Convert by CTranslate2's own converter, to float32.

    Raises:
        ConfigError: CTranslate2 is not installed.
        CheckpointError: CTranslate2 cannot convert the model.
    """
    _require_ctranslate2()
    from speech_analogy.recognisers.whisper.ctranslate2_model import convert

    shutil.copytree(convert(model), out, dirs_exist_ok=True)
    _copy_what_is_read_beside(model, out)


def write_quantized(model: Path, out: Path, quantization: str) -> None:
    """Convert to one of `QUANTIZATIONS`; errors as of `write`."""
    _require_ctranslate2()
    from speech_analogy.recognisers.whisper.ctranslate2_model import write_converted

    converted = out / "converted"  # the converter makes its folder anew
    write_converted(model, converted, quantization)
    for file in converted.iterdir():
        file.rename(out / file.name)
    converted.rmdir()
    _copy_what_is_read_beside(model, out)


def _require_ctranslate2() -> None:
    if not ctranslate2_installed():
        raise ConfigError("its package is not installed", field="to", value="ctranslate2", do="pip install ctranslate2")


def _copy_what_is_read_beside(model: Path, out: Path) -> None:
    for name in READ_BESIDE:
        if (model / name).is_file():
            shutil.copyfile(model / name, out / name)
    copy_record(model, out)


USE = (
    "```python\nfrom faster_whisper import WhisperModel\n\n"
    'segments, _ = WhisperModel("path/to/this/folder").transcribe("order.wav")\n```'
)
EXPORTER = Exporter(
    write,
    families=("whisper",),
    quantizations=QUANTIZATIONS,
    quantized=write_quantized,
    use=USE,
    library="ctranslate2",
)
