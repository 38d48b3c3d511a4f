"""Options for decoding with a domain's text, and the verb `bias`, which makes a folder of it for a model."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speech_analogy.cli.options import Language, Overwrite
from speech_analogy.errors import ConfigError

if TYPE_CHECKING:
    from speech_analogy.recognisers.biasing.options import TextBias


class BiasChoice(StrEnum):
    """See `--bias-method`."""

    lm = "lm"
    trie = "trie"
    prompt = "prompt"


TextBiasPath = Annotated[
    Path | None,
    typer.Option("--text-bias", help="The domain's texts, as for adapt; or the folder that `bias` made of them."),
]
BiasMethodChoice = Annotated[
    BiasChoice | None,
    typer.Option(
        "--bias-method", help="lm: n-gram fusion (default); trie: bonus for rare words; prompt: Whisper's own prompt."
    ),
]
BiasBackground = Annotated[
    Path | None,
    typer.Option("--bias-background", help="Texts or cuts of everything else: what is rare, and what is subtracted."),
]
BiasSettings = Annotated[
    list[str] | None, typer.Option("--bias-set", help="key=value, e.g. text_weight=0.4, order=5, word_bonus=2.")
]


def text_bias(
    path: Path | None, method: BiasChoice | None, background: Path | None, settings: Sequence[str] | None
) -> TextBias | None:
    """What these options ask for; None where no text is given.

    Raises:
        ConfigError: options without text, an unknown key or a value out of range.
        DataError: texts that cannot be read.
    """
    given = {"--bias-method": method, "--bias-background": background, "--bias-set": settings or None}
    if path is None:
        idle = next((name for name, value in given.items() if value is not None), None)
        if idle is not None:
            raise ConfigError("needs the domain's texts", field=idle, do="give --text-bias menu.txt")
        return None
    from speech_analogy.recognisers.biasing.folder import recorded_options
    from speech_analogy.recognisers.biasing.options import TextBias, TextBiasOptions

    changed: dict[str, str] = {}
    for setting in settings or ():
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise ConfigError("must be key=value", field="--bias-set", value=setting)
        changed[key] = value
    if method is not None:
        changed["method"] = method.value
    recorded = recorded_options(path).model_dump() if path.is_dir() else {}
    options = TextBiasOptions.parse({**recorded, **changed})
    if path.is_dir():
        if background is not None:
            raise ConfigError("the folder holds its background", field="--bias-background", do="leave it out")
        return TextBias(options=options, folder=path)
    found = {"texts": _texts(path), "background": () if background is None else _texts(background)}
    return TextBias.parse({"options": options, **found})


def bias_command(
    texts: Annotated[Path, typer.Argument(help="The domain's texts, as for adapt.")],
    model: Annotated[str, typer.Option(help="Weights whose tokens are counted, as for --base.")],
    out: Annotated[Path, typer.Option(help="The folder to make: ARPA files, a list of words, a card.")],
    method: BiasMethodChoice = None,
    background: BiasBackground = None,
    settings: BiasSettings = None,
    language: Language = "en",
    overwrite: Overwrite = False,
) -> None:
    """Make a folder of a domain's n-grams and rare words, for --text-bias, beside any model with these tokens."""
    from speech_analogy.recognisers.biasing.folder import BiasFolder, write_bias
    from speech_analogy.recognisers.loading import text_knowledge

    if texts.is_dir():
        raise ConfigError("is a folder", file=texts, do="name the texts")
    bias = text_bias(texts, method, background, settings)
    assert bias is not None, "texts are given"
    known = text_knowledge(model, bias, language=language)
    made = BiasFolder(known.options, known.text, known.background, known.words)
    write_bias(made, out, model=model, texts=len(bias.texts), overwrite=overwrite)
    print(f"{len(bias.texts)} texts, {len(known.words)} words that are rare elsewhere\ntext bias: {out}")


def _texts(path: Path) -> list[str]:
    from data_synth.text.texts import read_texts
    from speech_analogy.corpora.cut_files import CUTS_SUFFIXES
    from speech_analogy.corpora.cuts import text_of
    from speech_analogy.corpora.read import read_cuts

    if str(path).endswith(CUTS_SUFFIXES):
        return [text_of(cut) for cut in read_cuts(path)]
    return [text.text for text in read_texts(path)]
