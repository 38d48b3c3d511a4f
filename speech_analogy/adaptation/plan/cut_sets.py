"""The stages that make every set of cuts a recipe trains and tests with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_synth.gates.round_trip import refuse_trained
from data_synth.plan.checks import settled
from data_synth.plan.options import SynthesisOptions
from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.draft import SET_OF, Draft
from speech_analogy.adaptation.plan.estimate import CHANNEL_S, START_S, Size, synthesis_cost
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import PARTS
from speech_analogy.adaptation.stages.params.speech_params import (
    ChannelParams,
    CorpusParams,
    SplitParams,
    SynthesisParams,
    TextsParams,
)
from speech_analogy.corpora.cuts import text_of

TRAIN_PARTS = ("source_train", "target_train")


def add_speech(draft: Draft) -> None:
    """Read the corpus, divide it, take the target's texts; the real sets and the synthetic ones.

    Each by what it depends on: another λ or learning rate changes none of them, other `target_texts` leave A and B,
    less source speech leaves C.
    """
    corpus = draft.add(names.CORPUS, corpus_params(draft.recipe, draft.folder, draft.corpus_digest), START_S)
    split = draft.add(names.SPLIT, SplitParams.of(draft.recipe, corpus["cuts"]), START_S)
    texts = draft.add(names.TEXTS, TextsParams.of(draft.recipe, corpus["cuts"]), START_S)
    add_real(draft, split)
    add_synthetic(draft, "source", split, "source_train")
    add_synthetic(draft, "target", texts, "texts")


def corpus_params(recipe: Recipe, folder: Path, corpus_digest: str) -> CorpusParams:
    """Which corpus a recipe reads."""
    corpus = recipe.experiment.corpus
    return CorpusParams(corpus=corpus, language=recipe.language, folder=str(folder), digest=corpus_digest)


def add_real(draft: Draft, split: Stage) -> None:
    """The real parts, through the recipe's channel if it has one."""
    channel = draft.recipe.channel
    for part in PARTS:
        if not len(draft.parts.part(part)):
            continue
        size = Size.of(draft.parts.part(part))
        name = SET_OF.get(part, part)
        if channel is None:
            draft.add_set(name, split[part], size)
            continue
        copies = channel.train_copies if part in TRAIN_PARTS else channel.test_copies
        options = channel.options.beside(draft.folder)
        params = ChannelParams(
            cuts=split[part],
            part=part,
            options=options,
            seed=draft.recipe.seed,
            copies=copies,
            files=options.files_digest() or None,
        )
        stage = draft.add(names.channel(part), params, START_S + CHANNEL_S * size.utterances * copies)
        draft.add_set(name, stage["cuts"], size.times(copies))


def add_synthetic(draft: Draft, side: str, stage: Stage, output: str) -> None:
    """A's or C's speech."""
    options, texts = side_options(draft, side), spoken_texts(draft, side)
    size = Size.of_texts(texts).times(options.voices_per_text)
    params = SynthesisParams(side=side, texts=stage[output], **spoken_with(options))
    made = draft.add(names.synthesis(side), params, synthesis_cost(size, options.engines))
    add_synthetic_set(draft, side, made, options, texts)


def add_synthetic_set(draft: Draft, side: str, made: Stage, options: SynthesisOptions, texts: list[str]) -> None:
    """The set of cuts that a side's speech is."""
    size = Size.of_texts(texts).times(options.voices_per_text)
    draft.add_set(f"{side}_synthetic", made["cuts"], size)


def spoken_texts(draft: Draft, side: str) -> list[str]:
    """What a side speaks: every source utterance's text, or every distinct target text."""
    if side == "source":
        return [text_of(cut) for cut in draft.parts.source_train]
    return [text.text for text in draft.parts.target_texts]


def side_options(draft: Draft, side: str) -> SynthesisOptions:
    """How one side of a recipe is spoken, with what the recipe says elsewhere."""
    synthesis = draft.recipe.spoken
    options = _without_the_trained(synthesis.source if side == "source" else synthesis.target, draft)
    channel = options.channel and options.channel.beside(draft.folder)
    return settled(options.model_copy(update={"language": draft.recipe.language, "workers": 1, "channel": channel}))


def spoken_with(options: SynthesisOptions) -> dict[str, Any]:
    """Options, and the digest of the files that their channel reads, as stages' parameters have them."""
    files = options.channel.files_digest() if options.channel else None
    return {"options": options, "files": files or None}


def _without_the_trained(options: SynthesisOptions, draft: Draft) -> SynthesisOptions:
    """The options with a round trip, if there is one, that knows and refuses the recogniser that is trained here.

    Raises:
        ConfigError: the base is named as its recogniser; one known by its weights alone is refused on loading.
    """
    if options.gates is None or options.gates.round_trip is None:
        return options
    ours = (*options.gates.round_trip.trained, draft.recipe.base, draft.base_key)
    listening = options.gates.round_trip.model_copy(update={"trained": tuple(dict.fromkeys(filter(None, ours)))})
    refuse_trained(listening)
    return options.model_copy(update={"gates": options.gates.model_copy(update={"round_trip": listening})})
