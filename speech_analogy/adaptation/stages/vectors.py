"""Several vectors in place of one: a τ_B − τ_A for each source domain or cluster of speakers, merged before use.

By domain: task vectors of one domain each. By speaker: Pseudo2Real (arXiv 2510.08047) makes one for each cluster of
speakers and takes their mean. TIES (arXiv 2306.01708) and DARE (arXiv 2311.03099) leave out what the vectors do not
agree on, or entries at random; `nearest` weighs each by how alike its texts and the target's are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from speech_analogy.adaptation.split import read_texts
from speech_analogy.adaptation.stages.params.base import CLUSTERS_FILE, MODEL_FOLDER, WEIGHTS_FILE
from speech_analogy.adaptation.stages.params.model_params import ClustersParams, VectorsParams
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import domain_of, speaker_of, text_of
from speech_analogy.errors import DataError
from speech_analogy.merging.engine.write import merge_vectors
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.protocol import Recogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ

HEARD_OF_A_SPEAKER = 10  # utterances, for what the speaker sounds like


def vectors_stage(work: Work[VectorsParams]) -> None:
    """Write θ_0 + M(τ_B,1 − τ_A,1, τ_B,2 − τ_A,2, ...) as a model folder, and the weight of each vector."""
    params = work.params
    base = resolve_weights(params.base)
    vectors = [
        TaskVector.between(base, work.path(real)) - TaskVector.between(base, work.path(synthetic))
        for real, synthetic in params.models
    ]
    equal = [1 / len(vectors)] * len(vectors)
    if params.way == "nearest":
        assert params.target_texts is not None, "`nearest` compares with the target's texts"
        target = [text.text for text in read_texts(work.path(params.target_texts))]
        weights = similarities(_texts_of_groups(work), target)
        merged = merge_vectors(vectors, "task_arithmetic", weights)
    elif params.way == "ties":
        weights = [1.0] * len(vectors)
        merged = merge_vectors(vectors, "ties", weights, {"density": params.density})
    elif params.way == "dare":
        weights = equal
        merged = merge_vectors(vectors, "dare_linear", weights, {"density": params.density, "seed": params.seed})
    else:
        weights = equal
        merged = merge_vectors(vectors, "task_arithmetic", weights)
    merged.apply(base, work.folder / MODEL_FOLDER, overwrite=True)
    work.write(WEIGHTS_FILE, dict(zip(params.groups, weights, strict=True)))


def clusters_stage(work: Work[ClustersParams]) -> None:
    """Divide the speakers by how they sound: k-means on the mean and spread of their log-mel frames.

    `clusters.json` holds each speaker's cluster, and the clusters in which each text was spoken.
    """
    cuts = list(work.cuts(work.params.cuts))
    speakers: dict[str, list[Any]] = {}
    for cut in cuts:
        speakers.setdefault(_voice_of(cut), []).append(cut)
    count = work.params.clusters
    if len(speakers) < count:
        raise DataError("there must be as many speakers", field="vectors.clusters", value=f"{count} of {len(speakers)}")
    recogniser = load_recogniser(work.params.base)
    sounds = np.stack([_sound(recogniser, own[:HEARD_OF_A_SPEAKER]) for own in speakers.values()])
    scaled = (sounds - sounds.mean(0)) / (sounds.std(0) + 1e-6)
    _, labels = kmeans2(scaled, count, minit="++", seed=0, iter=100)
    clusters = {speaker: int(label) for speaker, label in zip(speakers, labels, strict=True)}
    if len(set(clusters.values())) < count:
        raise DataError("a cluster of speakers is empty", field="vectors.clusters", value=count, do="ask for fewer")
    texts: dict[str, list[int]] = {}
    for cut in cuts:
        found = texts.setdefault(text_of(cut), [])
        if clusters[_voice_of(cut)] not in found:
            found.append(clusters[_voice_of(cut)])
    work.write(CLUSTERS_FILE, {"speakers": clusters, "texts": texts})


def _voice_of(cut: Any) -> str:
    """Whose voice it is; a recording of an unknown speaker is placed by its own sound."""
    return speaker_of(cut) or str(cut.id)


def in_cluster(table: Mapping[str, Any], number: int) -> Callable[[Any, bool], bool]:
    """(cut, is it real?) -> does it belong: real speech by its speaker, synthetic where its text was spoken there."""

    def belongs(cut: Any, real: bool) -> bool:
        if real:
            return bool(table["speakers"].get(_voice_of(cut)) == number)
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


def _sound(recogniser: Recogniser, cuts: Sequence[Any]) -> np.ndarray:
    """(2 x mels,) float64: mean and standard deviation of the speaker's log-mel frames."""
    frames = []
    for cut in cuts:
        frames.append(recogniser.voice(load_audio(cut, SAMPLING_RATE_HZ), cut.duration))
    spoken = torch.cat(frames, dim=1).double()
    return torch.cat([spoken.mean(1), spoken.std(1)]).numpy()


def _texts_of_groups(work: Work[VectorsParams]) -> list[list[str]]:
    """The texts that each group's real speech speaks."""
    params = work.params
    assert params.texts is not None, "`nearest` compares texts"
    cuts = list(work.cuts(params.texts))
    found = []
    for group in params.told or ():
        if group.domains is not None:
            found.append([text_of(cut) for cut in cuts if domain_of(cut) in group.domains])
        elif group.cluster is not None:
            clusters, number = group.cluster
            belongs = in_cluster(work.read(clusters), number)
            found.append([text_of(cut) for cut in cuts if belongs(cut, True)])
    return found
