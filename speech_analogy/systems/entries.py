"""Every system that can be compared, one entry each: a new baseline is one more entry here."""

from __future__ import annotations

from speech_analogy.systems.entry import (
    BASE,
    BY_ADAPTER,
    VECTORS,
    Combination,
    Mean,
    SystemEntry,
    SystemWords,
    Training,
)

SHARES = (0.25, 0.5, 0.75, 0.9, 1.0)  # of the way from the base to the model
STEPS = (0.5, 0.75, 1.0, 1.25, 1.5)  # a shorter or longer step than the fine-tuning took
_A, _B, _C = "source_synthetic", "source_real", "target_synthetic"  # corners of the analogy, D = C + λ(B − A)

# In an order in which they can be trained.
SYSTEMS = (
    SystemEntry(
        "zero_shot", 0, None, SystemWords("Whisper as published", "The base model, untouched."), rival=4, default=True
    ),
    SystemEntry(
        "source_synthetic",
        10,
        Training(("source_synthetic",)),
        SystemWords("A: source, synthetic", "Fine-tuned on TTS speech of the source domains."),
        default=True,
    ),
    SystemEntry(
        "source_real",
        20,
        Training(("source_real",), searched=True),
        SystemWords("B: source, real", "Fine-tuned on real recordings of the source domains."),
        rival=3,
        default=True,
    ),
    SystemEntry(
        "target_synthetic",
        30,
        Training(("target_synthetic",)),
        SystemWords("C: TTS fine-tuning alone", "Fine-tuned on TTS speech of the target domain."),
        rival=1,
        default=True,
    ),
    SystemEntry(
        "mixed",
        80,
        Training(("source_real", "target_synthetic"), searched=True),
        SystemWords("Mixed", "Source real + target synthetic, one fine-tuning: the strongest rival."),
        rival=2,
        default=True,
    ),
    SystemEntry(
        "analogy",
        150,
        None,
        SystemWords("D: analogy", "C + λ(B − A): arithmetic on the weights, no further training."),
        default=True,
    ),
    SystemEntry(
        "target_real",
        300,
        Training(("target_real",)),
        SystemWords(
            "Ceiling: target, real",
            "Fine-tuned on recordings of the target domain, which the method never sees.",
            ceiling=True,
        ),
        default=True,
    ),
    SystemEntry(
        "all_real",
        310,
        Training(("source_real", "target_real")),
        SystemWords(
            "Ceiling: all real",
            "Fine-tuned on recordings of source and target together, which the method never sees.",
            ceiling=True,
        ),
        default=True,
    ),
    SystemEntry(
        "source_both",
        290,
        Training(("source_real", "source_synthetic"), like=_B),
        SystemWords("Source, both", "Fine-tuned on real and TTS speech of the source domains."),
        comparable=False,
    ),
    SystemEntry(
        "mixed_continued",
        90,
        Training(("target_synthetic",), start="source_both", slower=True, like=_C),
        SystemWords(
            "Mixed, continued",
            "Source real + source synthetic, then target synthetic at a lower learning rate (arXiv 2406.02925).",
        ),
    ),
    SystemEntry(
        "source_real_then_target_synthetic",
        70,
        Training(("target_synthetic",), start=_B, like=_C),
        SystemWords("B, then C", "B trained on with TTS speech of the target domain."),
    ),
    SystemEntry(
        "target_synthetic_frozen_encoder",
        40,
        Training(("target_synthetic",), freeze=("encoder",), like=_C),
        SystemWords("C, encoder frozen", "As C, but the decoder alone was trained."),
    ),
    SystemEntry(
        "target_synthetic_ewc",
        50,
        Training(("target_synthetic",), anchored=True, like=_C),
        SystemWords(
            "C with EWC",
            "As C, the encoder held by elastic weight consolidation on source real speech (arXiv 2011.11564).",
        ),
    ),
    SystemEntry(
        "target_synthetic_replay",
        60,
        Training(("target_synthetic", "source_real"), replay=True, like="mixed"),
        SystemWords("C with replay", "Target synthetic and a share of the source real recordings, one fine-tuning."),
    ),
    SystemEntry(
        "analogy_on_frozen_encoder",
        220,
        Combination("target_synthetic_frozen_encoder", _B, _A),
        SystemWords("D, encoder frozen in C", "As D, the vector added to the C whose decoder alone was trained."),
    ),
    SystemEntry(
        "analogy_on_mixed",
        230,
        Combination("mixed", _B, _A),
        SystemWords("Mixed + λ(B − A)", "The analogy's vector added to the mixed model."),
    ),
    SystemEntry(
        "analogy_on_mixed_continued",
        240,
        Combination("mixed_continued", _B, _A),
        SystemWords(
            "Continued + λ(B − A)", "The analogy's vector on the continued model: the combination of arXiv 2406.02925."
        ),
    ),
    SystemEntry(
        "analogy_by_adapter",
        170,
        Combination(_C, BY_ADAPTER, _C, fixed=1.0),
        SystemWords("D, by adapter", "As D, but each of LoRA's two factors takes the analogy by itself."),
    ),
    SystemEntry(
        "analogy_per_scope",
        160,
        Combination(_C, _B, _A, chosen="scopes"),
        SystemWords("D, λ by scope", "As D, with a λ of its own for each part of the network."),
    ),
    SystemEntry(
        "analogy_of_vectors_mean",
        180,
        Combination(_C, f"{VECTORS}mean", BASE),
        SystemWords("D, mean of vectors", "As D, the mean of one B − A for each source domain or cluster of speakers."),
    ),
    SystemEntry(
        "analogy_of_vectors_ties",
        190,
        Combination(_C, f"{VECTORS}ties", BASE),
        SystemWords("D, TIES of vectors", "As D, several B − A merged by TIES (arXiv 2306.01708)."),
    ),
    SystemEntry(
        "analogy_of_vectors_dare",
        200,
        Combination(_C, f"{VECTORS}dare", BASE),
        SystemWords("D, DARE of vectors", "As D, several B − A merged by DARE (arXiv 2311.03099)."),
    ),
    SystemEntry(
        "analogy_of_vectors_nearest",
        210,
        Combination(_C, f"{VECTORS}nearest", BASE),
        SystemWords(
            "D, nearest vectors", "As D, several B − A, each weighed by how alike its texts and the target's are."
        ),
    ),
    SystemEntry(
        "mean_of_mixed_and_analogy",
        250,
        Combination("mixed", "analogy", "mixed", fixed=0.5),
        SystemWords("Mean of mixed and D", "Halfway between the weights of the mixed model and of D."),
    ),
    SystemEntry(
        "addition",
        155,
        Combination(_C, _B, BASE),
        SystemWords("C + λB", "C + λ(B − base): the analogy without A; λ chosen as the analogy's is."),
    ),
    SystemEntry(
        "mean_of_mixed_and_addition",
        255,
        Mean(("mixed", "addition")),
        SystemWords("Mean of mixed and C + λB", "Halfway between mixed and C + λ(B − base): without A."),
    ),
    SystemEntry(
        "mean_of_mixed_and_target_synthetic",
        245,
        Mean(("mixed", "target_synthetic")),
        SystemWords("Mean of mixed and C", "Halfway between the weights of the mixed model and of C: without A and B."),
    ),
    SystemEntry(
        "mean_of_mixed_and_source_real",
        246,
        Mean(("mixed", "source_real")),
        SystemWords("Mean of mixed and B", "Halfway between the weights of the mixed model and of B: without A and C."),
    ),
    SystemEntry(
        "mean_of_mixed_target_synthetic_and_source_real",
        247,
        Mean(("mixed", "target_synthetic", "source_real")),
        SystemWords("Mean of mixed, C and B", "The mean of the weights of the mixed model, of C and of B: without A."),
    ),
    SystemEntry(
        "mean_of_mixed_and_analogy_on_frozen_encoder",
        260,
        Mean(("mixed", "analogy_on_frozen_encoder")),
        SystemWords("Mean of mixed and D, frozen", "Halfway between mixed and the D whose C has a frozen encoder."),
    ),
    SystemEntry(
        "soup",
        270,
        Mean(("mixed", "source_real_then_target_synthetic", "analogy", "analogy_on_frozen_encoder")),
        SystemWords("Soup", "The mean of mixed, of B then C, of D and of the D whose C has a frozen encoder."),
    ),
    SystemEntry(
        "interpolated",
        280,
        Combination("analogy", "analogy", BASE, scales=SHARES, offset=-1.0),
        SystemWords("D, interpolated", "Base + α(D − base): a part of the way, against forgetting."),
    ),
    SystemEntry(
        "scaled_source_real",
        100,
        Combination(_B, _B, BASE, scales=STEPS, offset=-1.0),
        SystemWords("B, scaled", "Base + s(B − base): a longer or shorter step alone; s chosen as λ is."),
    ),
    SystemEntry(
        "scaled_target_synthetic",
        110,
        Combination(_C, _C, BASE, scales=STEPS, offset=-1.0),
        SystemWords("C, scaled", "Base + s(C − base): a longer or shorter step alone."),
    ),
    SystemEntry(
        "scaled_mixed",
        120,
        Combination("mixed", "mixed", BASE, scales=STEPS, offset=-1.0),
        SystemWords("Mixed, scaled", "Base + s(mixed − base): a longer or shorter step alone."),
    ),
    SystemEntry(
        "random_vector",
        130,
        Combination(_C, _B, _A, chosen="analogy", direction="random"),
        SystemWords("Control: random", "C + λr: r is random, of the norm of B − A in every tensor; mean over seeds."),
    ),
    SystemEntry(
        "shuffled_vector",
        140,
        Combination(_C, _B, _A, chosen="analogy", direction="shuffled"),
        SystemWords(
            "Control: shuffled", "C + λ(B − A) with the entries of B − A permuted in every tensor; mean over seeds."
        ),
    ),
)
