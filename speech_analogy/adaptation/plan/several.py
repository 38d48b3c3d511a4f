"""The stages of several vectors: fine-tunings on each domain or speaker cluster, and their merging."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from speech_analogy.adaptation.plan.compose import VECTORS_STAGE, slug
from speech_analogy.adaptation.plan.estimate import START_S
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.stages.work import CLUSTERS_STAGE
from speech_analogy.errors import ConfigError
from speech_analogy.systems.catalogue import VECTORS_OF


def several_stages(
    recipe: Recipe,
    trained: Mapping[str, int],
    base_key: str,
    finetune: Callable[[str], Stage],
    earlier: Iterable[str],
) -> list[Stage]:
    """The fine-tunings of each group, and a model θ_0 + merged vector for each way of merging that is asked for.

    Args:
        trained: source domain -> training utterances.
        finetune: system -> its fine-tuning on all of its speech.
        earlier: stages that there are already.
    """
    ways = [VECTORS_OF[system] for system in recipe.systems if system in VECTORS_OF]
    if not ways:
        return []
    stages: list[Stage] = []
    groups = _groups(recipe, trained)
    if recipe.vectors.by == "speaker":
        real = finetune("source_real").params["sets"]["source_real"]
        params = {"cuts": real, "base": recipe.base, "base_key": base_key, "clusters": recipe.vectors.clusters}
        stages.append(Stage(CLUSTERS_STAGE, "clusters", params, (real[0],), START_S))
    for label, told, share in groups:
        for system in ("source_real", "source_synthetic"):
            whole = finetune(system)
            needs = whole.needs if "domains" in told else (*whole.needs, CLUSTERS_STAGE)
            name = f"{whole.name}-of-{label}"
            stages.append(Stage(name, whole.kind, {**whole.params, **told}, needs, whole.cost_s * share))
    for way in dict.fromkeys(ways):
        params = {
            "base": recipe.base,
            "base_key": base_key,
            "way": way,
            "groups": [label for label, *_ in groups],
            "density": recipe.vectors.density,
            "seed": recipe.seed,
        }
        needs = tuple(stage.name for stage in stages if stage.kind == "finetune")
        if way == "nearest":
            params["texts"] = finetune("source_real").params["sets"]["source_real"]
            params["told"] = {label: told for label, told, _ in groups}
            needs += ("texts", params["texts"][0], *([CLUSTERS_STAGE] if recipe.vectors.by == "speaker" else []))
        stages.append(Stage(VECTORS_STAGE + way, "vectors", params, tuple(dict.fromkeys(needs)), START_S))
    there = set(earlier)
    return [stage for stage in stages if stage.name not in there]


def _groups(recipe: Recipe, trained: Mapping[str, int]) -> list[tuple[str, dict[str, Any], float]]:
    """(label, what a fine-tuning on the group is told, its share of the speech)."""
    rules = recipe.vectors
    if rules.by == "speaker":
        return [
            (f"cluster-{number}", {"cluster": [CLUSTERS_STAGE, number]}, 1 / rules.clusters)
            for number in range(rules.clusters)
        ]
    total = max(1, sum(trained.values()))
    enough = sorted(name for name, count in trained.items() if count >= rules.utterances)
    if len(enough) < 2:
        raise ConfigError(
            f"two source domains must have {rules.utterances} training utterances each",
            field="vectors.utterances",
            value=", ".join(f"{name}: {count}" for name, count in sorted(trained.items())),
            do="ask for fewer, or take vectors.by: speaker",
        )
    return [(slug(name), {"domains": [name]}, trained[name] / total) for name in enough]
