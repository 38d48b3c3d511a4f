"""The names of stages, each made in one place; a stage's folder is its name and its hash."""

from __future__ import annotations

import re

from speech_analogy.foundation.user_files.file_names import file_stem
from speech_analogy.systems.catalogue import TRAININGS

CORPUS, SPLIT, TEXTS = "corpus", "split", "texts"
CHOOSE_RATE, CHOOSE_TRAINING = "choose-rate", "choose-training"
CHOOSE_SCALE = "choose-scale"  # the one whose λ is taken
ANALOGY_STAGE = "analogy"
CLUSTERS = "speaker-clusters"
AGREEMENT_SWEEP = "sweep-agreement"
PUBLISHED = "published"
WIDENED = "published-widened"
IN_DECODERS = "published-in-other-decoders"
SCORES, TRUTH = "scores", "truth"  # of the candidates on a stand-in, and on the test
GAP_MODELS = "gap"  # the base with a ready-made τ_B − τ_A, and the base


def corpus_of(part: str) -> str:
    """The reading of what one part alone is taken from."""
    return f"{CORPUS}-{part}"


def channel(part: str) -> str:
    return f"channel-{part}"


def synthesis(side: str) -> str:
    return f"synthesise-{side}"


def stand_in(label: str) -> str:
    """The division of the source for a stand-in; what is made for it has this before its name."""
    return f"stand-in-{slug(label)}"


def speech(domain: str) -> str:
    return f"speech-{domain}"


def finetune(system: str) -> str:
    return f"finetune-{system}"


def of_group(finetuning: str, label: str) -> str:
    """A fine-tuning on one domain, or one cluster of speakers, alone."""
    return f"{finetuning}-of-{label}"


def without_domain(finetuning: str, label: str) -> str:
    """A fine-tuning on all but one domain."""
    return f"{finetuning}-without-{label}"


def model(system: str) -> str:
    """The stage whose folder holds a system's model; the base has none."""
    return finetune(system) if system in TRAININGS else system


def vectors(way: str) -> str:
    return f"vectors-{way}"


def trial(system: str, learning_rate: float | None, epochs: int) -> str:
    label = f"{learning_rate:g}-" if learning_rate is not None else ""
    return f"trial-{system}-{label}{epochs}ep"


def evaluation(part: str, system: str, scale: float | None = None) -> str:
    """The transcription of a part with a system; the test needs no suffix."""
    name = f"evaluate-{system}" if scale is None else f"evaluate-{system}-{scale:g}"
    return name if part == "test" else f"{name}-on-{part}"


def seeded(system: str, seed: int) -> str:
    """A random control with one of its seeds, for `evaluation`."""
    return f"{system}-{seed}"


def choose_scale_of(system: str) -> str:
    """The choice of a combined system's own λ."""
    return f"{CHOOSE_SCALE}-{system}"


def choose_scale_by(strategy: str) -> str:
    """The choice of a λ by a strategy that is compared with the one that counts."""
    return f"{CHOOSE_SCALE}-by-{strategy}"


def sweep(system: str, part: str) -> str:
    return f"sweep-{system}-on-{part}"


def domain_sweep(domain: str) -> str:
    return f"sweep-domain-{slug(domain)}"


def slug(domain: str) -> str:
    """A domain as a part of a folder's name."""
    return file_stem(re.sub(r"[^\w.-]+", "_", domain))
