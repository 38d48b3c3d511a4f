"""What an entry of the catalogue holds: how a system is made, and its words in reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TrainingSet = Literal["source_real", "source_synthetic", "target_synthetic", "target_real"]
Direction = Literal["difference", "random", "shuffled"]
Evidence = Literal["own", "analogy", "scopes"]

BASE = "base"
BY_ADAPTER = "by-adapter"  # a model for which the analogy is applied to each of LoRA's factors, not to their product
VECTORS = "vectors-"  # followed by how several vectors become one: a model, θ_0 plus their merge


@dataclass(frozen=True)
class Training:
    """One fine-tuning.

    Args:
        sets: the speech it is trained on, all in one fine-tuning.
        start: the training that it continues; None: it starts from the base.
        slower: its learning rate is the recipe's `controls.continued_rate` times the usual one.
        replay: only the recipe's `controls.replay_share` of the real source speech is used.
        freeze: modules that are not trained.
        anchored: EWC on real source speech holds the encoder near the base (`controls.ewc_strength`).
        like: the system whose learning rate and epochs it takes where the recipe gives it none of its own.
        searched: a search chooses its learning rate and epochs by itself (see `catalogue.SEARCHED`).
    """

    sets: tuple[TrainingSet, ...]
    start: str | None = None
    slower: bool = False
    replay: bool = False
    freeze: tuple[str, ...] = ()
    anchored: bool = False
    like: str | None = None
    searched: bool = False


@dataclass(frozen=True)
class Combination:
    """θ = θ_c + (λ + offset)·(θ_plus − θ_minus): a system made of finished models, without training.

    Args:
        c, plus, minus: trainings, `analogy`, BASE, BY_ADAPTER, or `vectors-...`, which is θ_0 plus a merge of
            several vectors.
        scales: the λs that it is chosen from; None: the recipe's `scales`.
        chosen: by its `own` WER on what λ is chosen on; or it takes the `analogy`'s λ; or one λ for each of `scopes`.
        fixed: a λ that is not chosen at all.
        offset: −1 writes θ_0 + s(θ_X − θ_0) as θ_X + (s − 1)(θ_X − θ_0): s = 1 is θ_X bit for bit, and the result
            is in X's precision and decoded in X's window.
        direction: what stands for θ_plus − θ_minus: the difference itself, or a control made from it (see
            `adaptation.stages.controls`), drawn with several seeds.
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
        """The models that it is made of, each once."""
        return tuple(dict.fromkeys((self.c, self.plus, self.minus)))


@dataclass(frozen=True)
class Mean:
    """The plain mean of finished models (arXiv 2203.05482): trainings, `analogy`, or combinations."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class SystemWords:
    """What a report says of a system: a short name, one line, and whether it is a ceiling."""

    short: str
    explanation: str
    ceiling: bool = False


@dataclass(frozen=True)
class SystemEntry:
    """One system of the catalogue; what it needs and whether it has a model follow from what it is made of.

    Args:
        name: as recipes and results write it.
        place: where it stands in reports, from the base (lowest) to the ceilings; unique.
        made: None: the base as it is, and the analogy, which has a stage of its own for each λ.
        words: for reports.
        rival: its rank among what the analogy is measured against in the headline, 1 first; None: not among these.
        default: compared where a recipe names no systems.
        comparable: False: only a step towards another system, which no recipe can name.
    """

    name: str
    place: int
    made: Training | Combination | Mean | None
    words: SystemWords
    rival: int | None = None
    default: bool = False
    comparable: bool = True
