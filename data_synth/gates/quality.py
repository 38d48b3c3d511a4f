"""The quality gate: a learned score of how a clip sounds, from torchmetrics (DNSMOS, NISQA) or injected by name.

Nothing is loaded unless a score is asked for. The weights of both are fetched by torchmetrics when first used, into
`~/.torchmetrics`; on a machine without a connection they must be there.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Protocol

import numpy as np
from pydantic import Field

from data_synth.audio.samples import Samples
from data_synth.gates.injection import load_named
from speech_analogy.errors import ConfigError, SynthesisError, one_line
from speech_analogy.foundation.digests import canonical_json
from speech_analogy.foundation.options import Options
from speech_analogy.foundation.plugins import Plugins

METRIC_FIELD = "gates.quality.metric"
SCORERS: Plugins[Any] = Plugins("data_synth.scorers", "scorer", METRIC_FIELD)
QUALITY_INSTALL = "pip install 'torchmetrics>=1.6' librosa onnxruntime requests"
WEIGHTS_FOLDER = "~/.torchmetrics"  # torchmetrics' own, DNSMOS_DIR and NISQA_DIR
DNSMOS_OVERALL, NISQA_OVERALL = 3, 0  # indices of the overall score in what torchmetrics' functions return
PROBE_S, PROBE_RATE_HZ = 2, 16_000  # of noise, scored once when a metric is loaded: its weights are fetched then
REASON_LETTERS = 160

# name -> module, function, arguments after (samples, rate), index of the overall score.
# DNSMOS P.835: Reddy et al. 2022, arXiv 2110.01763. NISQA v2.0: Mittag et al. 2021, arXiv 2104.09494.
BUILT_IN: dict[str, tuple[str, str, tuple[bool, ...], int]] = {
    "dnsmos": (
        "torchmetrics.functional.audio.dnsmos",
        "deep_noise_suppression_mean_opinion_score",
        (False,),  # personalized
        DNSMOS_OVERALL,
    ),
    "nisqa": (
        "torchmetrics.functional.audio.nisqa",
        "non_intrusive_speech_quality_assessment",
        (),
        NISQA_OVERALL,
    ),
}


class Scorer(Protocol):
    """A score: float32 mono samples of shape (samples,) at `rate` Hz in, a mean opinion score (1 to 5) out."""

    def __call__(self, samples: Samples, rate: int) -> float:
        """How good it sounds."""
        ...


class QualityOptions(Options):
    """Which score, and the least that a clip must have."""

    metric: str = Field(description="dnsmos, nisqa, `module:attribute` or an entry point of `data_synth.scorers`")
    parameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="keyword arguments of an injected scorer"
    )
    minimum: float = Field(default=2.5, description="mean opinion score; 1 is bad, 5 excellent")


def load_scorer(options: QualityOptions) -> Scorer:
    """The scorer that is named, made once a process.

    Raises:
        ConfigError: there is none of this name, or it takes no such parameter.
        SynthesisError: its package or its weights are missing.
    """
    if options.metric in BUILT_IN:
        if options.parameters:
            raise ConfigError("takes no parameters", field="gates.quality.parameters", value=options.metric)
        return built_in_scorer(options.metric)
    scorer: Scorer = load_named(options.metric, SCORERS, canonical_json(options.parameters))
    return scorer


def score(samples: Samples, rate: int, options: QualityOptions) -> float:
    """The score of a clip: samples (samples,) float32 mono at `rate` Hz.

    Raises:
        ValueError: the scorer gave no finite number. Whatever else it raises is passed on.
    """
    value = float(load_scorer(options)(samples, rate))
    if not np.isfinite(value):
        raise ValueError(f"the score is {value}")
    return value


@cache
def built_in_scorer(name: str) -> Scorer:
    """One of torchmetrics' metrics, tried once, so that missing weights are reported before clips are made."""
    module, function, arguments, index = BUILT_IN[name]
    try:
        import torch

        functional = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SynthesisError(
            f"needs torchmetrics ({error})", field=METRIC_FIELD, value=name, do=QUALITY_INSTALL
        ) from None

    def scorer(samples: Samples, rate: int) -> float:
        if not samples.size:
            raise ValueError("there is nothing to score")
        return float(functional(torch.from_numpy(np.ascontiguousarray(samples)), rate, *arguments)[..., index])

    probe = np.random.default_rng(0).normal(0.0, 0.01, PROBE_S * PROBE_RATE_HZ).astype(np.float32)
    try:
        scorer(probe, PROBE_RATE_HZ)
    except ImportError as error:
        raise SynthesisError(f"lacks a package: {error}", field=METRIC_FIELD, value=name, do=QUALITY_INSTALL) from None
    except Exception as error:  # of requests, onnxruntime or torch, according to what is wrong with the weights
        rule = f"its weights are missing or broken, and cannot be fetched: {one_line(error)[:REASON_LETTERS]}"
        do = f"connect this machine, or copy {WEIGHTS_FOLDER} from one where it works"
        raise SynthesisError(rule, field=METRIC_FIELD, value=name, do=do) from None
    return scorer
