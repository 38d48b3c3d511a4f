"""The published classes as training and trimmed windows need them: a loss that saves memory, any window."""

from __future__ import annotations

from functools import update_wrapper
from typing import Any

import torch
from torch.nn import functional as F
from transformers import WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speech_analogy.recognisers.whisper.token_loss import token_loss


class TrimmedEncoder(WhisperEncoder):
    """Whisper's encoder for any window up to 30 s: the sinusoidal positions are sliced to the frames there are."""

    def forward(self, input_features: torch.Tensor, attention_mask: Any = None, **options: Any) -> BaseModelOutput:
        """input_features: (batch, mels, frames), frames even -> last_hidden_state (batch, frames / 2, width)."""
        hidden = F.gelu(self.conv1(input_features))
        hidden = F.gelu(self.conv2(hidden)).permute(0, 2, 1)  # (batch, frames / 2, width)
        hidden = hidden + self.embed_positions.weight[: hidden.shape[1]]
        hidden = F.dropout(hidden, p=self.dropout, training=self.training)
        for layer in self.layers:
            hidden = layer(hidden, None)
        return BaseModelOutput(last_hidden_state=self.layer_norm(hidden))


class TrainableWhisper(WhisperForConditionalGeneration):
    """The published class, which answers with its loss where targets are given: see `token_loss`."""

    def forward(self, *given: Any, targets: torch.Tensor | None = None, **named: Any) -> Any:
        if targets is None:
            return super().forward(*given, **named)
        # A dense gradient of the embedding is as large as it, and nearly all zeros. Processes that share it need one.
        alone = self.device.type == "cpu" and not torch.distributed.is_initialized()
        embed = self.model.decoder.embed_tokens
        embed.sparse = alone
        hidden = self.model(*given, **named).last_hidden_state
        embed.sparse = False  # a loss of other kinds on the same model is without the in-place gradient
        return token_loss(hidden, self.proj_out.weight, targets, in_place=alone)


TrainableWhisper.__name__ = WhisperForConditionalGeneration.__name__  # what a saved config names
update_wrapper(TrainableWhisper.forward, WhisperForConditionalGeneration.forward)  # `generate` reads the signature


def trimmable(encoder: WhisperEncoder) -> TrimmedEncoder:
    """The same parameters in an encoder that takes any window."""
    with torch.device("meta"):
        trimmed = TrimmedEncoder(encoder.config)
    trimmed.load_state_dict(encoder.state_dict(), assign=True)
    trimmed.embed_positions.requires_grad_(False)  # sinusoids
    trimmed.train(encoder.training)
    return trimmed
