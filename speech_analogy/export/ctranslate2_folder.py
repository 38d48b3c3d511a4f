"""CTranslate2's format in float32, as faster-whisper opens it; int8 and float16 are made when it is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

from speech_analogy.errors import ConfigError
from speech_analogy.export.exporter import Exporter
from speech_analogy.recognisers.loading import ctranslate2_installed

READ_BESIDE = ("tokenizer.json", "preprocessor_config.json", "provenance.json")
"""What faster-whisper reads beside the weights (without a tokenizer it would ask a hub), and where these come from."""


def write(model: Path, out: Path) -> None:
    """Convert by CTranslate2's own converter.

    Raises:
        ConfigError: CTranslate2 is not installed.
        CheckpointError: CTranslate2 cannot convert the model.
    """
    if not ctranslate2_installed():
        raise ConfigError("its package is not installed", field="to", value="ctranslate2", do="pip install ctranslate2")
    from speech_analogy.recognisers.whisper.ctranslate2_model import convert

    shutil.copytree(convert(model), out, dirs_exist_ok=True)
    for name in READ_BESIDE:
        if (model / name).is_file():
            shutil.copyfile(model / name, out / name)


EXPORTER = Exporter(write, families=("whisper",))
