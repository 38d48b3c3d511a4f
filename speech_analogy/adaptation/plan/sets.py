"""The stages that make every set of cuts a recipe trains and tests with, and where each set is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_synth.gates.round_trip import refuse_trained
from data_synth.plan.options import SynthesisOptions
from speech_analogy.adaptation.plan.estimate import CHANNEL_S, START_S, Size, synthesis_cost
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import Split
from speech_analogy.adaptation.stages.work import CUTS_FILE
from speech_analogy.corpora.cuts import text_of

TRAIN_PARTS = ("source_train", "target_train")
SOURCE_ONLY, TEXTS_ONLY = ("source_domains", "source_utterances"), "target_texts"  # of `split`


@dataclass
class Sets:
    """Where each set of cuts is found, (stage, file), and how much speech it is."""

    where: dict[str, tuple[str, str]] = field(default_factory=dict)
    size: dict[str, Size] = field(default_factory=dict)

    def add(self, name: str, stage: str, file: str, size: Size) -> None:
        self.where[name], self.size[name] = (stage, file), size


def corpus_stages(recipe: Recipe, folder: Path, corpus_digest: str) -> list[Stage]:
    """Read the corpus, divide it, take the target's texts: each by what it hangs on, so that all else is kept.

    Another λ or learning rate changes none of them, other `target_texts` leave A and B, less source speech leaves C.
    """
    corpus = {
        "corpus": recipe.corpus.model_dump(mode="json"),
        "language": recipe.language,
        "folder": str(folder),
        "digest": corpus_digest,
    }

    def told(*unread: str) -> dict[str, Any]:
        kept = recipe.model_dump(mode="json", include={"title", "language", "seed", "corpus", "split"})
        kept |= {"title": "", "synthesis": {"source": {}, "target": {}}, "systems": ["zero_shot"]}
        kept["split"] = {key: value for key, value in kept["split"].items() if key not in unread}
        return {"recipe": kept}

    return [
        Stage("corpus", "corpus", corpus, cost_s=START_S),
        Stage("split", "split", told(TEXTS_ONLY), ("corpus",), START_S),
        Stage("texts", "texts", told(*SOURCE_ONLY), ("corpus",), START_S),
    ]


def real_sets(recipe: Recipe, folder: Path, parts: Split, stages: list[Stage]) -> Sets:
    """The real parts, through the recipe's channel if it has one."""
    sets = Sets()
    for part in ("source_train", "source_dev", "target_train", "target_dev", "test"):
        if not len(parts.part(part)):
            continue
        size = Size.of(parts.part(part))
        name = {"source_train": "source_real", "target_train": "target_real"}.get(part, part)
        if recipe.channel is None:
            sets.add(name, "split", f"{part}.jsonl.gz", size)
            continue
        copies = recipe.channel.train_copies if part in TRAIN_PARTS else recipe.channel.test_copies
        options = recipe.channel.options.beside(folder)
        params = {
            "part": part,
            "options": options.model_dump(mode="json"),
            "seed": recipe.seed,
            "copies": copies,
        }
        if files := options.files_digest():
            params["files"] = files
        cost = START_S + CHANNEL_S * size.utterances * copies
        stages.append(Stage(f"channel-{part}", "channel", params, ("split",), cost))
        sets.add(name, f"channel-{part}", CUTS_FILE, size.times(copies))
    return sets


def synthetic_sets(recipe: Recipe, folder: Path, parts: Split, base_key: str, sets: Sets, stages: list[Stage]) -> None:
    """A's and C's speech."""
    texts = {"source": [text_of(cut) for cut in parts.source_train], "target": [t.text for t in parts.target_texts]}
    for side, spoken in texts.items():
        options = recipe.synthesis.source if side == "source" else recipe.synthesis.target
        options = _without_the_trained(options, recipe.base, base_key)
        channel = options.channel and options.channel.beside(folder)
        options = options.model_copy(update={"language": recipe.language, "workers": 1, "channel": channel})
        size = Size.of_texts(spoken).times(options.voices_per_text)
        params = {
            "side": side,
            "options": options.model_dump(mode="json", exclude={"workers", "isolated", "timeout_s"}),
        }
        if channel and (files := channel.files_digest()):
            params["files"] = files
        name = f"synthesise-{side}"
        needs = ("split" if side == "source" else "texts",)
        stages.append(Stage(name, "synthesis", params, needs, synthesis_cost(size, options.engines)))
        sets.add(f"{side}_synthetic", name, CUTS_FILE, size)


def _without_the_trained(options: SynthesisOptions, base: str, base_key: str) -> SynthesisOptions:
    """The options with a round trip, if there is one, that knows and refuses the recogniser that is trained here.

    Raises:
        ConfigError: by its name it is the recipe's base; what only its weights tell is refused when they are loaded.
    """
    if options.gates is None or options.gates.round_trip is None:
        return options
    trained = tuple(dict.fromkeys(filter(None, (*options.gates.round_trip.trained, base, base_key))))
    listening = options.gates.round_trip.model_copy(update={"trained": trained})
    refuse_trained(listening)
    return options.model_copy(update={"gates": options.gates.model_copy(update={"round_trip": listening})})
