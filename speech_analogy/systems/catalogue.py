"""The systems that are compared, as data: what each is trained on, or which weights it is put together from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TrainingSet = Literal["source_real", "source_synthetic", "target_synthetic", "target_real"]
Direction = Literal["difference", "random", "shuffled"]
Evidence = Literal["own", "analogy", "scopes"]


@dataclass(frozen=True)
class Training:
    """One fine-tuning.

    Args:
        sets: what it hears, all in one fine-tuning.
        start: the training it goes on from; None: the base.
        slower: its learning rate is the recipe's `controls.continued_rate` times the usual one.
        replay: of the real source speech only the recipe's `controls.replay_share` is heard.
        freeze: modules left as they are.
        anchored: the encoder is held by what real source speech makes of it (EWC, `controls.ewc_strength`).
        like: the system whose learning rate and epochs it has, where the recipe gives it none of its own.
    """

    sets: tuple[TrainingSet, ...]
    start: str | None = None
    slower: bool = False
    replay: bool = False
    freeze: tuple[str, ...] = ()
    anchored: bool = False
    like: str | None = None


_C = "target_synthetic"
# In an order in which they can be trained. `source_both` is no system of its own: mixed_continued starts from it.
TRAININGS: dict[str, Training] = {
    "source_synthetic": Training(("source_synthetic",)),  # A
    "source_real": Training(("source_real",)),  # B
    "target_synthetic": Training(("target_synthetic",)),  # C
    "mixed": Training(("source_real", "target_synthetic")),
    "source_both": Training(("source_real", "source_synthetic"), like="source_real"),
    "mixed_continued": Training(("target_synthetic",), "source_both", slower=True, like=_C),  # arXiv 2406.02925
    "source_real_then_target_synthetic": Training(("target_synthetic",), "source_real", like=_C),
    "target_synthetic_frozen_encoder": Training(("target_synthetic",), freeze=("encoder",), like=_C),
    "target_synthetic_ewc": Training(("target_synthetic",), anchored=True, like=_C),  # arXiv 2011.11564
    "target_synthetic_replay": Training(("target_synthetic", "source_real"), replay=True, like="mixed"),
    "target_real": Training(("target_real",)),
    "all_real": Training(("source_real", "target_real")),
}
TRAINED_ON: dict[str, tuple[TrainingSet, ...]] = {name: training.sets for name, training in TRAININGS.items()}


@dataclass(frozen=True)
class Combination:
    """θ = θ_c + (λ + offset)·(θ_plus − θ_minus): a system made of finished models, without training.

    Args:
        c, plus, minus: trainings, `analogy`, BASE, or `vectors-...`, which is θ_0 plus a merge of several vectors.
        scales: the λs it is chosen from; None: the recipe's `scales`.
        chosen: by its `own` WER on what λ is chosen on; or it takes the `analogy`'s λ; or a λ for each of `scopes`.
        fixed: a λ that is not chosen at all.
        offset: −1 writes θ_0 + s(θ_X − θ_0) as θ_X + (s − 1)(θ_X − θ_0): s = 1 is θ_X bit for bit, and the result
            is in X's precision and decoded in X's window.
        direction: what stands for θ_plus − θ_minus: itself, or a control made of it (see `controls`).
    """

    c: str
    plus: str
    minus: str
    scales: tuple[float, ...] | None = None
    chosen: Evidence = "own"
    fixed: float | None = None
    offset: float = 0.0
    direction: Direction = "difference"

    @property
    def parts(self) -> tuple[str, ...]:
        """The models it is made of, each once."""
        return tuple(dict.fromkeys((self.c, self.plus, self.minus)))


BASE = "base"
# The corners of the analogy, τ_D = τ_C + λ(τ_B − τ_A).
CORNERS = {"c": "target_synthetic", "plus": "source_real", "minus": "source_synthetic"}
ANALOGY = (CORNERS["c"], CORNERS["plus"], CORNERS["minus"])
BY_ADAPTER = "by-adapter"  # a model: of LoRA's factors each takes the analogy, not their product
SHARES = (0.25, 0.5, 0.75, 0.9, 1.0)  # of the way from the base to the model
STEPS = (0.5, 0.75, 1.0, 1.25, 1.5)  # a shorter or longer step than the fine-tuning took

VECTORS_OF = {
    "analogy_of_vectors_mean": "mean",
    "analogy_of_vectors_ties": "ties",
    "analogy_of_vectors_dare": "dare",
    "analogy_of_vectors_nearest": "nearest",
}
"""System -> how its vectors, one a source domain or cluster of speakers, become one (`adaptation.several`)."""

COMBINATIONS: dict[str, Combination] = {
    **{name: Combination(CORNERS["c"], f"vectors-{way}", BASE) for name, way in VECTORS_OF.items()},
    "analogy_on_frozen_encoder": Combination("target_synthetic_frozen_encoder", CORNERS["plus"], CORNERS["minus"]),
    "analogy_on_mixed": Combination("mixed", CORNERS["plus"], CORNERS["minus"]),
    "analogy_on_mixed_continued": Combination("mixed_continued", CORNERS["plus"], CORNERS["minus"]),
    "analogy_by_adapter": Combination(CORNERS["c"], BY_ADAPTER, CORNERS["c"], fixed=1.0),
    "analogy_per_scope": Combination(*ANALOGY, chosen="scopes"),
    "mean_of_mixed_and_analogy": Combination("mixed", "analogy", "mixed", fixed=0.5),
    "interpolated": Combination("analogy", "analogy", BASE, SHARES, offset=-1.0),
    "scaled_source_real": Combination("source_real", "source_real", BASE, STEPS, offset=-1.0),
    "scaled_target_synthetic": Combination("target_synthetic", "target_synthetic", BASE, STEPS, offset=-1.0),
    "scaled_mixed": Combination("mixed", "mixed", BASE, STEPS, offset=-1.0),
    "random_vector": Combination(*ANALOGY, chosen="analogy", direction="random"),
    "shuffled_vector": Combination(*ANALOGY, chosen="analogy", direction="shuffled"),
}

MEANS: dict[str, tuple[str, ...]] = {
    "mean_of_mixed_and_analogy_on_frozen_encoder": ("mixed", "analogy_on_frozen_encoder"),
    "soup": ("mixed", "source_real_then_target_synthetic", "analogy", "analogy_on_frozen_encoder"),
}
"""System -> the models it is the plain mean of (arXiv 2203.05482): trainings, `analogy`, or systems of COMBINATIONS."""

# Systems that hear real source speech in training choose their own learning rate and epochs on held-out source
# speech. The others take source_real's: held-out real speech would only tell them to learn less.
SEARCHED = ("source_real", "mixed")


def made_of(system: str) -> set[str]:
    """The system and all that it is put together from, trainings among them; what those go on from is not in it."""
    parts = MEANS.get(system) or (COMBINATIONS[system].parts if system in COMBINATIONS else ())
    if system == "analogy" or (system in COMBINATIONS and COMBINATIONS[system].chosen != "own") or BY_ADAPTER in parts:
        parts = (*parts, *CORNERS.values())
    return {system}.union(*(made_of(part) for part in parts if part != system))


def needs_analogy(systems: tuple[str, ...]) -> bool:
    """Is λ of the analogy asked for, by itself or by what is made with it?"""
    made = set().union(*map(made_of, systems))
    return bool({"analogy", BY_ADAPTER} & made) or any(
        COMBINATIONS[name].chosen != "own" for name in made if name in COMBINATIONS
    )


def trained_systems(systems: tuple[str, ...]) -> list[str]:
    """The fine-tunings that the wanted systems need, in an order in which they can be done."""
    needed = set().union(*map(made_of, systems))
    for name, training in reversed(TRAININGS.items()):
        if name in needed and training.start is not None:
            needed.add(training.start)
    return [name for name in TRAININGS if name in needed]


def searched_as(system: str) -> str:
    """The system whose chosen learning rate and epochs this one is trained with."""
    return "mixed" if "mixed" in (system, TRAININGS[system].like) else "source_real"


SystemName = Literal[
    "zero_shot",
    "source_synthetic",
    "source_real",
    "target_synthetic",
    "mixed",
    "analogy",
    "target_real",
    "all_real",
    "mixed_continued",
    "source_real_then_target_synthetic",
    "target_synthetic_frozen_encoder",
    "target_synthetic_ewc",
    "target_synthetic_replay",
    "analogy_on_frozen_encoder",
    "analogy_on_mixed",
    "analogy_on_mixed_continued",
    "analogy_by_adapter",
    "analogy_per_scope",
    "analogy_of_vectors_mean",
    "analogy_of_vectors_ties",
    "analogy_of_vectors_dare",
    "analogy_of_vectors_nearest",
    "mean_of_mixed_and_analogy",
    "mean_of_mixed_and_analogy_on_frozen_encoder",
    "soup",
    "interpolated",
    "scaled_source_real",
    "scaled_target_synthetic",
    "scaled_mixed",
    "random_vector",
    "shuffled_vector",
]
"""What a recipe can compare; what each is stands in `adaptation.baselines` and, for readers, in `report.ranking`."""


DEFAULT_SYSTEMS: tuple[SystemName, ...] = (
    "zero_shot",
    "source_synthetic",
    "source_real",
    "target_synthetic",
    "mixed",
    "analogy",
    "target_real",
    "all_real",
)


WITHOUT_MODEL = ("zero_shot", "random_vector", "shuffled_vector")
"""The base as it is, and controls that are drawn several times."""
