"""Parameters that several merge methods share."""

from __future__ import annotations

from speech_analogy.merging.methods.parameters import GLOBAL, MethodParameter, Role

WEIGHT = MethodParameter(
    "weight", float, "what the model is multiplied by", default=1.0, per_model=True, role=Role.WEIGHT
)
LAMBDA = MethodParameter("lambda", float, "what the merged difference is multiplied by", default=1.0, role=Role.SCALE)
DENSITY = MethodParameter(
    "density",
    float,
    "share of the entries that stay",
    default=1.0,
    per_model=True,
    low=0.0,
    high=1.0,
    role=Role.DENSITY,
)
RANDOM_SEED = MethodParameter("seed", int, "of the random numbers", default=0, role=Role.SEED)
POSITION = MethodParameter("t", float, "0 gives the base, 1 the model", low=0.0, high=1.0)
TRIM = MethodParameter(
    "trim",
    str,
    "whether the density is of the whole vector or of each tensor",
    GLOBAL,
    "tensor",
    choices=(GLOBAL, "tensor"),
    role=Role.TRIM,
)
UNDECIDED = MethodParameter(
    "undecided",
    str,
    "the sign of an entry whose votes cancel out",
    "none",
    "positive",
    choices=("none", "positive"),
)


def normalize(default: bool, mergekit: bool) -> MethodParameter:
    """Whether a sum is divided by the sum of the weights."""
    return MethodParameter(
        "normalize", bool, "divide by the sum of the weights", default, mergekit, role=Role.NORMALIZE
    )


def rescale(default: str) -> MethodParameter:
    """How survivors are rescaled.

    mergekit's boolean stands for the L1 norm; under the papers' definitions it stands for theirs, where they rescale.
    """
    ours = "expectation" if default == "expectation" else "l1"
    return MethodParameter(
        "rescale",
        str,
        "what makes up for the dropped entries",
        default,
        "l1" if default == "expectation" else "none",
        choices=("none", "expectation", "l1"),
        synonyms={"paper": {True: ours, False: "none"}, "mergekit": {True: "l1", False: "none"}},
    )
