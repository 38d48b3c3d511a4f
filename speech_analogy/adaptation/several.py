"""Several vectors in place of one: a τ_B − τ_A for each source domain or cluster of speakers, merged before use.

By domain: task vectors of one domain each. By speaker: Pseudo2Real (arXiv 2510.08047) makes one for each cluster of
speakers and takes their mean. TIES (arXiv 2306.01708) and DARE (arXiv 2311.03099) leave out what the vectors do not
agree on, or entries at random; `nearest` weighs each by how alike its texts and the target's are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from speech_analogy.adaptation.baselines import VECTORS_OF
from speech_analogy.adaptation.compose import VECTORS_STAGE, slug
from speech_analogy.adaptation.data import read_texts
from speech_analogy.adaptation.estimate import START_S
from speech_analogy.adaptation.plan import Stage
from speech_analogy.adaptation.work import TEXTS_FILE, Work
from speech_analogy.config import Recipe
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import domain_of, speaker_of, text_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.merging.merge import merge_vectors
from speech_analogy.merging.vectors import TaskVector
from speech_analogy.recognisers.protocol import load_recogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ

CLUSTERS_STAGE, CLUSTERS_FILE, WEIGHTS_FILE = "speaker-clusters", "clusters.json", "weights.json"
HEARD_OF_A_SPEAKER = 10  # utterances, for what the speaker sounds like
FRAMES_PER_S = 100  # of log-mel


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


def vectors_stage(work: Work) -> None:
    """Write θ_0 + M(τ_B,1 − τ_A,1, τ_B,2 − τ_A,2, ...) as a model folder, and what each vector weighed."""
    params = work.params
    base, groups, way = resolve_weights(params["base"]), params["groups"], params["way"]
    vectors = [
        TaskVector.between(base, work.model(f"finetune-source_real-of-{label}"))
        - TaskVector.between(base, work.model(f"finetune-source_synthetic-of-{label}"))
        for label in groups
    ]
    equal = [1 / len(vectors)] * len(vectors)
    if way == "nearest":
        texts = _texts_of_groups(work)
        told = [text.text for text in read_texts(work.inputs["texts"] / TEXTS_FILE)]
        weights = similarities([texts[label] for label in groups], told)
        merged = merge_vectors(vectors, "task_arithmetic", weights)
    elif way == "ties":
        weights = [1.0] * len(vectors)
        merged = merge_vectors(vectors, "ties", weights, {"density": params["density"]})
    elif way == "dare":
        weights = equal
        chance = {"density": params["density"], "seed": params["seed"]}
        merged = merge_vectors(vectors, "dare_linear", weights, chance)
    else:
        weights = equal
        merged = merge_vectors(vectors, "task_arithmetic", weights)
    merged.apply(base, work.folder / "model", overwrite=True)
    work.write(WEIGHTS_FILE, dict(zip(groups, weights, strict=True)))


def clusters_stage(work: Work) -> None:
    """Divide the speakers by how they sound: k-means on the mean and spread of their log-mel frames.

    `clusters.json` tells each speaker's cluster, and the clusters in which each text was spoken.
    """
    stage, file = work.params["cuts"]
    cuts = list(read_cuts(work.inputs[stage] / file))
    speakers: dict[str, list[Any]] = {}
    for cut in cuts:
        speakers.setdefault(speaker_of(cut), []).append(cut)
    count = work.params["clusters"]
    if len(speakers) < count:
        raise DataError("there must be as many speakers", field="vectors.clusters", value=f"{count} of {len(speakers)}")
    recogniser = load_recogniser(work.params["base"])
    sounds = np.stack([_sound(recogniser, own[:HEARD_OF_A_SPEAKER]) for own in speakers.values()])
    scaled = (sounds - sounds.mean(0)) / (sounds.std(0) + 1e-6)
    _, labels = kmeans2(scaled, count, minit="++", seed=0, iter=100)
    clusters = {speaker: int(label) for speaker, label in zip(speakers, labels, strict=True)}
    if len(set(clusters.values())) < count:
        raise DataError("a cluster of speakers is empty", field="vectors.clusters", value=count, do="ask for fewer")
    texts: dict[str, list[int]] = {}
    for cut in cuts:
        found = texts.setdefault(text_of(cut), [])
        if clusters[speaker_of(cut)] not in found:
            found.append(clusters[speaker_of(cut)])
    work.write(CLUSTERS_FILE, {"speakers": clusters, "texts": texts})


def in_cluster(table: Mapping[str, Any], number: int) -> Callable[[Any, bool], bool]:
    """(cut, is it real?) -> does it belong: real speech by its speaker, synthetic where its text was spoken there."""

    def belongs(cut: Any, real: bool) -> bool:
        if real:
            return bool(table["speakers"].get(speaker_of(cut)) == number)
        return number in table["texts"].get(text_of(cut), ())

    return belongs


def similarities(groups: Sequence[Sequence[str]], target: Sequence[str]) -> list[float]:
    """How alike each group's texts and the target's are: cosines of their TF-IDF vectors, divided by their sum.

    A word weighs log(1 + documents / documents it is in); each group, and the target, is one document.

    Returns:
        weights that sum to 1; equal ones where no group shares a word with the target.
    """
    documents = [Counter(word for text in texts for word in text.lower().split()) for texts in (*groups, target)]
    within = Counter(word for document in documents for word in document)
    vectors = [
        {word: count * math.log(1 + len(documents) / within[word]) for word, count in document.items()}
        for document in documents
    ]
    *own, wanted = vectors
    found = [_cosine(vector, wanted) for vector in own]
    total = sum(found)
    return [value / total for value in found] if total > 0 else [1 / len(found)] * len(found)


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    return sum(value * other.get(word, 0.0) for word, value in one.items()) / lengths if lengths else 0.0


def _sound(recogniser: Any, cuts: Sequence[Any]) -> np.ndarray:
    """(2 x mels,) float64: mean and standard deviation of the speaker's log-mel frames."""
    frames = []
    for cut in cuts:
        window_s = math.ceil(cut.duration)
        mel = recogniser.features([load_audio(cut, SAMPLING_RATE_HZ)], window_s)[0]
        frames.append(mel[:, : max(1, round(FRAMES_PER_S * cut.duration))])
    spoken = torch.cat(frames, dim=1).double()
    return torch.cat([spoken.mean(1), spoken.std(1)]).numpy()


def _texts_of_groups(work: Work) -> dict[str, list[str]]:
    """Group -> the texts that its real speech speaks."""
    stage, file = work.params["texts"]
    cuts = list(read_cuts(work.inputs[stage] / file))
    found = {}
    for label, told in work.params["told"].items():
        if "domains" in told:
            found[label] = [text_of(cut) for cut in cuts if domain_of(cut) in told["domains"]]
        else:
            belongs = in_cluster(work.read(CLUSTERS_STAGE, CLUSTERS_FILE), told["cluster"][1])
            found[label] = [text_of(cut) for cut in cuts if belongs(cut, True)]
    return found
