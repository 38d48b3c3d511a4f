"""Elastic weight consolidation: a fine-tuning is pulled back where the base's own speech would feel the change most.

Kirkpatrick et al. (arXiv 1612.00796); for synthetic speech, on the encoder, Zheng et al. (arXiv 2011.11564).
"""

from __future__ import annotations

from typing import Any

import torch
from lhotse import CutSet
from torch import Tensor

from speech_analogy.corpora.splits import subset
from speech_analogy.foundation.progress import track
from speech_analogy.recognisers.protocol import IGNORED_LABEL, Recogniser
from speech_analogy.recognisers.windows import Window
from speech_analogy.training.batching import make_batch
from speech_analogy.training.features import FeatureStore
from speech_analogy.training.options import EwcOptions
from speech_analogy.training.trained_part import lies_in


class Anchor:
    """What pulls parameters back: s · F (θ − θ_0), added to their gradients; so the loss gains s/2 · F (θ − θ_0)².

    F is the diagonal of the empirical Fisher information, the mean over utterances of the squared gradient of
    −log p(text | speech), divided by its mean over all anchored parameters, so that s means the same for every model.

    Args:
        recogniser: at θ_0; its gradients are zeroed.
        cuts: speech with texts that must not be forgotten; a subset of `options.utterances` is taken.
        parameters: those that are trained, by name.
        window, store: the encoder's window, and where features come from.
        autocast: a context, as for a training step.

    Raises:
        ConfigError: no trained parameter lies in `options.modules`.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        cuts: CutSet,
        options: EwcOptions,
        parameters: dict[str, torch.nn.Parameter],
        window: Window,
        store: FeatureStore,
        autocast: Any,
        progress: bool = False,
    ) -> None:
        self.strength = options.strength
        self.parameters = {name: parameters[name] for name in lies_in(parameters, options.modules, field="ewc.modules")}
        self.origin = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        chosen = subset(cuts, options.utterances, 0) if len(cuts) > options.utterances else cuts
        self.importance = self._importance(recogniser, chosen, window, store, autocast, progress)

    def _importance(
        self,
        recogniser: Recogniser,
        cuts: CutSet,
        window: Window,
        store: FeatureStore,
        autocast: Any,
        progress: bool,
    ) -> dict[str, Tensor]:
        """Squared gradients, one utterance at a time; mean 1 over all anchored parameters."""
        found = {name: torch.zeros_like(parameter) for name, parameter in self.parameters.items()}
        recogniser.model.eval()
        for cut in track(cuts, "importance", "utterances", show=progress):
            batch = make_batch([cut], recogniser, window, store)
            with autocast():
                loss = recogniser.loss(
                    batch.features.to(recogniser.device),
                    batch.inputs.to(recogniser.device),
                    batch.targets.to(recogniser.device),
                )
            tokens = int((batch.targets != IGNORED_LABEL).sum())
            torch.autograd.backward(loss * tokens)
            for name, parameter in self.parameters.items():
                if parameter.grad is not None:
                    found[name] += parameter.grad.square()
            recogniser.model.zero_grad(set_to_none=True)
        mean = sum(float(values.double().sum()) for values in found.values())
        mean /= sum(values.numel() for values in found.values())
        return {name: values / mean for name, values in found.items()} if mean > 0 else found

    @torch.no_grad()
    def pull(self, scale: float = 1.0) -> None:
        """Add the penalty's gradient to the parameters'; `scale` is what a loss scaler multiplied those with."""
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                moved = (parameter - self.origin[name]).mul_(self.importance[name])
                parameter.grad.add_(moved, alpha=self.strength * scale)
