"""From a recipe to its plan: which stages there are, with which parameters, and what each reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_synth.round_trip import refuse_trained
from data_synth.synthesize import SynthesisOptions
from speech_analogy.adaptation.baselines import CORNERS, SEARCHED, TRAINED_ON, searched_as, trained_systems
from speech_analogy.adaptation.data import Split
from speech_analogy.adaptation.estimate import (
    CHANNEL_S,
    NOTHING,
    START_S,
    Size,
    decode_cost,
    finetune_cost,
    synthesis_cost,
)
from speech_analogy.adaptation.plan import Plan, Stage
from speech_analogy.adaptation.stages import CUTS_FILE, VERSIONS
from speech_analogy.config import Recipe, SearchOptions
from speech_analogy.corpora.cuts import text_of
from speech_analogy.recognisers.backends import choose_backend, ctranslate2_installed
from speech_analogy.recognisers.protocol import Backend
from speech_analogy.recognisers.windows import Window

TRAIN_PARTS = ("source_train", "target_train")


@dataclass
class Sets:
    """Where each set of cuts is found, (stage, file), and how much speech it is."""

    where: dict[str, tuple[str, str]] = field(default_factory=dict)
    size: dict[str, Size] = field(default_factory=dict)

    def add(self, name: str, stage: str, file: str, size: Size) -> None:
        self.where[name], self.size[name] = (stage, file), size


def build_plan(recipe: Recipe, folder: Path, run: Path, parts: Split, corpus_digest: str, base_key: str) -> Plan:
    """All stages of a recipe.

    Args:
        folder: what the recipe's paths are relative to.
        run: the run's folder.
        parts: the divided corpus; its sizes give the estimates.
        corpus_digest: of all the corpus's cuts; a changed recording makes everything anew.
        base_key: of the base's weights.
    """
    stages = [_split_stage(recipe, folder, corpus_digest)]
    sets = _real_sets(recipe, folder, parts, stages)
    _synthetic_sets(recipe, folder, parts, base_key, sets, stages)
    choice = _search(recipe, recipe.search, sets, base_key, stages) if recipe.search else None
    for system in trained_systems(recipe.systems):
        stages.append(_finetune(recipe, system, sets, base_key, choice))
    if "analogy" in recipe.systems:
        _scale_choice(recipe, sets, stages)
    for system in recipe.systems:
        if system == "analogy":
            for scale in recipe.scales:
                stage = _evaluate_analogy(recipe, scale, recipe.evaluation.part, sets)
                if stage.name not in {earlier.name for earlier in stages}:  # the choice of λ may have heard it
                    stages.append(stage)
        else:
            stages.append(_evaluate(recipe, system, sets, base_key))
    if "analogy" in recipe.systems:
        stages.append(_analogy(stages))
    return Plan(run, stages, VERSIONS)


def _split_stage(recipe: Recipe, folder: Path, corpus_digest: str) -> Stage:
    # Only what the division hangs on, so that another λ or learning rate leaves it as it is.
    kept = recipe.model_dump(mode="json", include={"title", "language", "seed", "corpus", "split"})
    kept["synthesis"] = {"source": {}, "target": {}}
    kept["systems"] = ["zero_shot"]
    kept["title"] = ""
    return Stage("split", "split", {"recipe": kept, "folder": str(folder), "digest": corpus_digest}, cost_s=START_S)


def _real_sets(recipe: Recipe, folder: Path, parts: Split, stages: list[Stage]) -> Sets:
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


def _synthetic_sets(recipe: Recipe, folder: Path, parts: Split, base_key: str, sets: Sets, stages: list[Stage]) -> None:
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
        stages.append(Stage(name, "synthesis", params, ("split",), synthesis_cost(size, options.engines)))
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


def _training(recipe: Recipe, system: str, sets: Sets, base_key: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What every fine-tuning stage is told, and what it reads."""
    used = {name: sets.where[name] for name in TRAINED_ON[system]}
    params = {
        "system": system,
        "sets": {name: list(place) for name, place in used.items()},
        "base": recipe.base,
        "base_key": base_key,
        "training": {
            **recipe.training_for(system).model_dump(mode="json", exclude={"save_every_s"}),
            "seed": recipe.seed,
            "language": recipe.language,
        },
    }
    return params, tuple(dict.fromkeys(stage for stage, _ in used.values()))


def _finetune(recipe: Recipe, system: str, sets: Sets, base_key: str, choice: str | None) -> Stage:
    params, needs = _training(recipe, system, sets, base_key)
    epochs = max(recipe.search.epochs) if recipe.search else recipe.training_for(system).epochs
    if choice is not None:
        params |= {"choice": choice, "searched_as": searched_as(system)}
        needs += (choice,)
    size = _sum([sets.size[name] for name in TRAINED_ON[system]])
    cost = finetune_cost(size, epochs, recipe.training.window)
    return Stage(f"finetune-{system}", "finetune", params, needs, cost)


def _search(recipe: Recipe, search: SearchOptions, sets: Sets, base_key: str, stages: list[Stage]) -> str:
    """Learning rates are compared at the fewest epochs, then more epochs at each system's best rate."""
    first, *more = sorted(search.epochs)
    by_rate = [
        _trial(recipe, search, system, sets, base_key, {"learning_rate": rate, "epochs": first}, None)
        for system in SEARCHED
        for rate in search.learning_rates
    ]
    stages += by_rate
    names = tuple(stage.name for stage in by_rate)
    if not more:
        stages.append(Stage("choose-training", "choice", {}, names))
        return "choose-training"
    stages.append(Stage("choose-rate", "choice", {}, names))
    by_epochs = [
        _trial(recipe, search, system, sets, base_key, {"epochs": epochs}, "choose-rate")
        for system in SEARCHED
        for epochs in more
    ]
    stages += by_epochs
    stages.append(Stage("choose-training", "choice", {}, names + tuple(stage.name for stage in by_epochs)))
    return "choose-training"


def _trial(
    recipe: Recipe,
    search: SearchOptions,
    system: str,
    sets: Sets,
    base_key: str,
    override: dict[str, Any],
    choice: str | None,
) -> Stage:
    params, needs = _training(recipe, system, sets, base_key)
    params |= {
        "override": override,
        "source_utterances": search.source_utterances,
        "dev": list(sets.where["source_dev"]),
    }
    if choice is not None:
        params |= {"choice": choice, "searched_as": system}
        needs += (choice,)
    needs = tuple(dict.fromkeys((*needs, sets.where["source_dev"][0])))
    whole = sets.size["source_real"]
    share = min(1.0, search.source_utterances / whole.utterances)
    others = [sets.size[name] for name in TRAINED_ON[system] if name != "source_real"]
    cost = finetune_cost(_sum([whole.times(share), *others]), override["epochs"], recipe.training.window)
    cost += decode_cost(sets.size["source_dev"], recipe.training.window)
    label = f"{override['learning_rate']:g}-" if "learning_rate" in override else ""
    return Stage(f"trial-{system}-{label}{override['epochs']}ep", "trial", params, needs, cost)


def evaluation_stage(part: str, system: str, scale: float | None = None) -> str:
    """The name of the stage that transcribes a part with a system."""
    name = f"evaluate-{system}" if scale is None else f"evaluate-{system}-{scale:g}"
    return name if part == "test" else f"{name}-on-{part}"


def _evaluation_params(recipe: Recipe, system: str, place: tuple[str, str], sets: Sets) -> dict[str, Any]:
    evaluation = recipe.evaluation.model_dump(mode="json", exclude={"part", "backend", "compute"})
    backend = _backend(recipe, sets)
    if backend != "torch":  # torch has no key of its own, so that what it made earlier stays valid
        evaluation |= {"backend": backend, "compute": recipe.evaluation.compute}
    return {
        "system": system,
        "cuts": list(place),
        "evaluation": evaluation,
        "language": recipe.language,
    }


def _backend(recipe: Recipe, sets: Sets) -> Backend:
    """One backend for every system of a run, since they are compared; it does not hang on what a cache holds."""
    if recipe.evaluation.backend != "auto":
        return recipe.evaluation.backend
    window_s = sets.size[recipe.evaluation.part].window_s(_window(recipe))
    return choose_backend(window_s, on_cpu=True, installed=ctranslate2_installed(), converted=False)


def _evaluate(recipe: Recipe, system: str, sets: Sets, base_key: str) -> Stage:
    part = recipe.evaluation.part
    place, name = sets.where[part], evaluation_stage(part, system)
    params = _evaluation_params(recipe, system, place, sets)
    if system == "zero_shot":
        params |= {"base": recipe.base, "base_key": base_key}
        cost = decode_cost(sets.size[part], recipe.evaluation.window or "full")
        return Stage(name, "evaluate", params, (place[0],), cost)
    model = f"finetune-{system}"
    cost = decode_cost(sets.size[part], _window(recipe))
    return Stage(name, "evaluate", {**params, "model": model}, (model, place[0]), cost)


def _evaluate_analogy(recipe: Recipe, scale: float, part: str, sets: Sets) -> Stage:
    corners = [f"finetune-{CORNERS[corner]}" for corner in ("c", "plus", "minus")]
    place = sets.where[part]
    params = {**_evaluation_params(recipe, "analogy", place, sets), "corners": corners, "scale": float(scale)}
    name = evaluation_stage(part, "analogy", scale)
    needs = tuple(dict.fromkeys((*corners, place[0])))
    return Stage(name, "evaluate", params, needs, decode_cost(sets.size[part], _window(recipe)))


def _scale_choice(recipe: Recipe, sets: Sets, stages: list[Stage]) -> None:
    parts = {}
    for part in recipe.scale_chosen_on:
        for scale in recipe.scales:
            stage = _evaluate_analogy(recipe, scale, part, sets)
            stages.append(stage)
            parts[stage.name] = part
    stages.append(Stage("choose-scale", "scale", {"parts": parts}, tuple(parts)))


def _analogy(stages: list[Stage]) -> Stage:
    corners = [f"finetune-{CORNERS[corner]}" for corner in ("c", "plus", "minus")]
    params = {"corners": corners, "choice": "choose-scale"}
    return Stage("analogy", "analogy", params, (*corners, "choose-scale"), START_S)


def _window(recipe: Recipe) -> Window:
    return recipe.evaluation.window or recipe.training.window


def _sum(sizes: list[Size]) -> Size:
    total = NOTHING
    for size in sizes:
        total = total.plus(size)
    return total
