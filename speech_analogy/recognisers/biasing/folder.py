"""A domain's n-grams and words as a folder beside a model: ARPA files, a list, options and a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.files import whole_folder, write_json, write_whole
from speech_analogy.foundation.user_files.json_text import read_json
from speech_analogy.foundation.user_files.plain import read_text
from speech_analogy.merging.naming import known_as
from speech_analogy.recognisers.biasing.arpa import read_arpa, write_arpa
from speech_analogy.recognisers.biasing.ngram import NgramModel
from speech_analogy.recognisers.biasing.options import TextBiasOptions

RECORD_FILE, TEXT_FILE, BACKGROUND_FILE, WORDS_FILE = "bias.json", "text.arpa", "background.arpa", "words.txt"
CARD_FILE = "README.md"
CARD = """\
# Text bias

An n-gram of order {order} over the tokens of {model}, of {texts} texts, and {words} words that are rare elsewhere.
{subtracted}
`speech-analogy transcribe order.wav --model MODEL --text-bias FOLDER` decodes with it.

| file | |
|---|---|
| {text_file} | ARPA; words are token ids, `</s>` is the end, `<unk>` the probability of each token that is not listed |
| {words_file} | a word a line, the most frequent in the texts first |
| {record_file} | the options that it was made with, which are the defaults for decoding |

Both hold the texts' words in their order: do not pass them on where the texts may not be passed on.
"""


@dataclass(frozen=True)
class BiasFolder:
    """What such a folder holds."""

    options: TextBiasOptions
    text: NgramModel
    background: NgramModel | None
    words: tuple[str, ...]


def write_bias(made: BiasFolder, out: Path, *, model: str, texts: int, overwrite: bool = False) -> None:
    """Write a folder, whole.

    Args:
        model: whose tokens these are, for the card.
        texts: how many were counted.
    """
    with whole_folder(out, overwrite=overwrite) as building:
        write_arpa(made.text, building / TEXT_FILE)
        if made.background is not None:
            write_arpa(made.background, building / BACKGROUND_FILE)
        write_whole(building / WORDS_FILE, "".join(f"{word}\n" for word in made.words))
        record = {
            "options": made.options.model_dump(mode="json"),
            "vocabulary": made.text.vocabulary,
            "end": made.text.end,
            "model": known_as(model),
            "texts": texts,
        }
        write_json(building / RECORD_FILE, record)
        subtracted = "" if made.background is None else f"`{BACKGROUND_FILE}` is subtracted from it.\n"
        card = CARD.format(
            order=made.text.order, model=known_as(model), texts=texts, words=len(made.words), subtracted=subtracted,
            text_file=TEXT_FILE, words_file=WORDS_FILE, record_file=RECORD_FILE,
        )  # fmt: skip
        write_whole(building / CARD_FILE, card)


def recorded_options(folder: Path) -> TextBiasOptions:
    """The options that a folder was made with.

    Raises:
        DataError: it is no such folder.
        ConfigError: options that this version does not know.
    """
    options = _record(folder).get("options")
    if not isinstance(options, dict):
        raise DataError("must hold options", file=folder / RECORD_FILE, do=_MAKE)
    return TextBiasOptions.parse(options)


def read_bias(folder: Path, vocabulary: int, end: int) -> BiasFolder:
    """Read a folder.

    Args:
        vocabulary, end: of the recogniser that is to be biased.

    Raises:
        DataError: it is broken, or no such folder.
        ConfigError: it was made for a recogniser with other tokens.
    """
    record = _record(folder)
    if (record.get("vocabulary"), record.get("end")) != (vocabulary, end):
        raise ConfigError(
            f"its tokens are not this model's, which has {vocabulary}",
            file=folder / RECORD_FILE,
            field="vocabulary",
            value=record.get("vocabulary"),
            do=_MAKE,
        )
    background = folder / BACKGROUND_FILE
    words: Sequence[str] = [word.strip() for word in read_text(folder / WORDS_FILE).split("\n")]
    return BiasFolder(
        recorded_options(folder),
        read_arpa(folder / TEXT_FILE, vocabulary, end),
        read_arpa(background, vocabulary, end) if background.is_file() else None,
        tuple(filter(None, words)),
    )


_MAKE = "make it by `speech-analogy bias`"


def _record(folder: Path) -> dict[str, Any]:
    found = read_json(folder / RECORD_FILE)
    if not isinstance(found, dict):
        raise DataError("must be an object", file=folder / RECORD_FILE, do=_MAKE)
    return found
