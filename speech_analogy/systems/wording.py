"""What readers are told of each system: its label, its kind, who its rivals are."""

from __future__ import annotations

from dataclasses import dataclass

from speech_analogy.foundation.page import wording

ANALOGY = "analogy"


ADAPTED = "target_synthetic"


MAIN = ("zero_shot", "source_real", ADAPTED, "mixed", ANALOGY)
"""The systems whose hypotheses are printed under every clip."""


RIVALS = (ADAPTED, "mixed", "source_real", "zero_shot")
"""What the analogy is measured against in the headline, in this order."""


@dataclass(frozen=True)
class Kind:
    """What a reader is told of a system: a short name, one line, and whether it is a ceiling."""

    short: str
    explanation: str
    ceiling: bool = False


KINDS = {
    "zero_shot": Kind("Whisper as published", "The base model, untouched."),
    "source_synthetic": Kind("A: source, synthetic", "Fine-tuned on TTS speech of the source domains."),
    "source_real": Kind("B: source, real", "Fine-tuned on real recordings of the source domains."),
    "target_synthetic": Kind("C: TTS fine-tuning alone", "Fine-tuned on TTS speech of the target domain."),
    "target_synthetic_frozen_encoder": Kind("C, encoder frozen", "As C, but the decoder alone was trained."),
    "target_synthetic_ewc": Kind(
        "C with EWC", "As C, the encoder held by elastic weight consolidation on source real speech (arXiv 2011.11564)."
    ),
    "target_synthetic_replay": Kind(
        "C with replay", "Target synthetic and a share of the source real recordings, one fine-tuning."
    ),
    "source_real_then_target_synthetic": Kind("B, then C", "B trained on with TTS speech of the target domain."),
    "mixed": Kind("Mixed", "Source real + target synthetic, one fine-tuning: the strongest rival."),
    "mixed_continued": Kind(
        "Mixed, continued",
        "Source real + source synthetic, then target synthetic at a lower learning rate (arXiv 2406.02925).",
    ),
    "scaled_source_real": Kind("B, scaled", "Base + s(B − base): a longer or shorter step alone; s chosen as λ is."),
    "scaled_target_synthetic": Kind("C, scaled", "Base + s(C − base): a longer or shorter step alone."),
    "scaled_mixed": Kind("Mixed, scaled", "Base + s(mixed − base): a longer or shorter step alone."),
    "random_vector": Kind(
        "Control: random", "C + λr: r is random, of the norm of B − A in every tensor; mean over seeds."
    ),
    "shuffled_vector": Kind(
        "Control: shuffled", "C + λ(B − A) with the entries of B − A permuted in every tensor; mean over seeds."
    ),
    "analogy": Kind("D: analogy", "C + λ(B − A): arithmetic on the weights, no further training."),
    "analogy_per_scope": Kind("D, λ by scope", "As D, with a λ of its own for each part of the network."),
    "analogy_by_adapter": Kind("D, by adapter", "As D, but each of LoRA's two factors takes the analogy by itself."),
    "analogy_of_vectors_mean": Kind(
        "D, mean of vectors", "As D, the mean of one B − A for each source domain or cluster of speakers."
    ),
    "analogy_of_vectors_ties": Kind("D, TIES of vectors", "As D, several B − A merged by TIES (arXiv 2306.01708)."),
    "analogy_of_vectors_dare": Kind("D, DARE of vectors", "As D, several B − A merged by DARE (arXiv 2311.03099)."),
    "analogy_of_vectors_nearest": Kind(
        "D, nearest vectors", "As D, several B − A, each weighed by how alike its texts and the target's are."
    ),
    "analogy_on_frozen_encoder": Kind(
        "D, encoder frozen in C", "As D, the vector added to the C whose decoder alone was trained."
    ),
    "analogy_on_mixed": Kind("Mixed + λ(B − A)", "The analogy's vector added to the mixed model."),
    "analogy_on_mixed_continued": Kind(
        "Continued + λ(B − A)", "The analogy's vector on the continued model: the combination of arXiv 2406.02925."
    ),
    "mean_of_mixed_and_analogy": Kind(
        "Mean of mixed and D", "Halfway between the weights of the mixed model and of D."
    ),
    "mean_of_mixed_and_analogy_on_frozen_encoder": Kind(
        "Mean of mixed and D, frozen", "Halfway between mixed and the D whose C has a frozen encoder."
    ),
    "soup": Kind("Soup", "The mean of mixed, of B then C, of D and of the D whose C has a frozen encoder."),
    "interpolated": Kind("D, interpolated", "Base + α(D − base): a part of the way, against forgetting."),
    "source_both": Kind("Source, both", "Fine-tuned on real and TTS speech of the source domains."),
    "target_real": Kind(
        "Ceiling: target, real",
        "Fine-tuned on recordings of the target domain, which the method never sees.",
        ceiling=True,
    ),
    "all_real": Kind(
        "Ceiling: all real",
        "Fine-tuned on recordings of source and target together, which the method never sees.",
        ceiling=True,
    ),
}


RIVAL_RANK = list(KINDS).index(ANALOGY) - 0.5  # a system without an entry stands with the rivals, before D


def kind(name: str) -> Kind:
    """What is said of the system `name`; a name without an entry is its own short name."""
    return KINDS.get(name) or Kind(name.replace("_", " "), "")


def label(name: str, scale: float | None = None) -> str:
    """The short name, with λ where there is one: `D: analogy, λ = 0.75`."""
    return kind(name).short + ("" if scale is None else f", λ = {wording.scale(scale)}")
