"""The stages of several vectors: fine-tunings on each domain or speaker cluster, and the merging of their vectors."""

from __future__ import annotations

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.draft import Draft, by_domain
from speech_analogy.adaptation.plan.estimate import START_S
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.model_params import ClustersParams, Group, VectorsParams
from speech_analogy.errors import ConfigError
from speech_analogy.recognisers.loading import features_kind
from speech_analogy.systems.catalogue import CORNERS, VECTORS_OF

VOICE_FEATURES = "log-mel"
PAIR = (CORNERS["plus"], CORNERS["minus"])  # what a vector is the difference of


def add_vectors(draft: Draft) -> None:
    """The fine-tunings of each group, and a model θ_0 + merged vector for each way of merging that is asked for."""
    recipe = draft.recipe
    ways = [VECTORS_OF[system] for system in recipe.systems if system in VECTORS_OF]
    if not ways:
        return
    clusters: Output | None = None
    if recipe.vectors.by == "speaker":
        params = ClustersParams(
            cuts=draft.cuts["source_real"],
            clusters=recipe.vectors.clusters,
            sound=None if features_kind(recipe.base) in (VOICE_FEATURES, None) else VOICE_FEATURES,
            **draft.base,
        )
        clusters = draft.add(names.CLUSTERS, params, START_S)["clusters"]
        share = 1 / recipe.vectors.clusters
        groups = [
            (Group(label=f"cluster-{number}", cluster=(clusters, number)), share)
            for number in range(recipe.vectors.clusters)
        ]
    else:
        groups = domain_groups(recipe, by_domain(draft.parts.source_train))
    models = tuple(_pair(draft, group, share) for group, share in groups)
    for way in dict.fromkeys(ways):
        nearest = way == "nearest"
        vectors = VectorsParams(
            way=way,
            groups=tuple(group.label for group, _ in groups),
            models=models,
            density=recipe.vectors.density,
            seed=recipe.seed,
            target_texts=draft.stages[names.TEXTS]["texts"] if nearest else None,
            clusters=clusters if nearest else None,
            texts=draft.cuts["source_real"] if nearest else None,
            told=tuple(group for group, _ in groups) if nearest else None,
            **draft.base,
        )
        draft.add(names.vectors(way), vectors, START_S)


def _pair(draft: Draft, group: Group, share: float) -> tuple[Output, Output]:
    """The group's real and synthetic fine-tunings."""
    real, synthetic = (_finetune(draft, system, group, share) for system in PAIR)
    return real, synthetic


def _finetune(draft: Draft, system: str, group: Group, share: float) -> Output:
    kept = {
        name: value for name, value in (("domains", group.domains), ("cluster", group.cluster)) if value is not None
    }
    params, cost = draft.finetuning(system, **kept)
    return draft.add(names.of_group(names.finetune(system), group.label), params, cost * share)["model"]


def domain_groups(recipe: Recipe, trained: dict[str, int]) -> list[tuple[Group, float]]:
    """The source domains that have a vector of their own, and each one's share of the speech.

    Args:
        trained: source domain -> training utterances.

    Raises:
        ConfigError: fewer than two have enough speech.
    """
    rules = recipe.vectors
    total = max(1, sum(trained.values()))
    enough = sorted(name for name, count in trained.items() if count >= rules.utterances)
    if len(enough) < 2:
        raise ConfigError(
            f"two source domains must have {rules.utterances} training utterances each",
            field="vectors.utterances",
            value=", ".join(f"{name}: {count}" for name, count in sorted(trained.items())),
            do="ask for fewer, or take vectors.by: speaker",
        )
    return [(Group(label=names.slug(name), domains=(name,)), trained[name] / total) for name in enough]
