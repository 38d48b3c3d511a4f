"""Wav2Vec2-Conformer with CTC behind the recogniser protocol: labels, loss and greedy decoding on raw waveforms."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    Wav2Vec2ConformerForCTC,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerConvolutionModule

from data_synth.text.spoken import has_digits, spoken_form
from speech_analogy.errors import CheckpointError, ConfigError, DataError
from speech_analogy.recognisers.hugging_face import loading, no_bars, whole_model
from speech_analogy.recognisers.log_mel import spoken_log_mel
from speech_analogy.recognisers.protocol import IGNORED_LABEL, Backend, Compute
from speech_analogy.recognisers.windows import SAMPLING_RATE_HZ, Padding

WAVEFORM, SPEECH = 0, 1  # channels of the features
SEEDS = 2**31 - 1
SPACES = "-–—/_"  # between words, where the model has no sign for them


class FixedBatchNorm(nn.BatchNorm1d):
    """Batch norm whose statistics stay the base's, in training too.

    Statistics that moved would depend on what shares a batch and on its padding, are no parameters (a resumed run
    would lose them), and a variance is nothing to subtract and add: θ_C + λ(θ_B − θ_A) could make it negative.
    """

    def train(self, mode: bool = True) -> FixedBatchNorm:
        return super().train(False)


class ConformerRecogniser:
    """A Wav2Vec2-Conformer with a CTC head, with what it needs to transcribe, to be trained and to be saved.

    The convolutional feature encoder is frozen, as in arXiv 2406.02925; so are the statistics of the batch norms.
    SpecAugment, dropout and layer drop are what the model's own config says.

    Args:
        folder: a complete Hugging Face folder (`resolve_weights` gives one).
        language: of the texts, for numbers that are to be written in words; the model takes none.
        device: where the model lives.

    Raises:
        CheckpointError: model, tokenizer or extractor cannot be loaded, or it was trained at another rate than 16 kHz.
    """

    architecture: ClassVar[Any] = Wav2Vec2ConformerForCTC
    """The class in transformers; a family of the same features, with another encoder, names its own."""
    called = "Wav2Vec2-Conformer"
    model_type = "wav2vec2-conformer"
    backend: Backend = "torch"
    compute: Compute = "float32"
    kind_of_features = f"waveform {SAMPLING_RATE_HZ}"

    def __init__(self, folder: Path, *, language: str = "en", device: str | torch.device = "cpu") -> None:
        with loading(folder, f"a {self.called}"):
            model = whole_model(self.architecture, folder, dtype=torch.float32)
            self.tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
            self.extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
        if self.extractor.sampling_rate != SAMPLING_RATE_HZ:
            raise CheckpointError(
                f"must be {SAMPLING_RATE_HZ} Hz",
                file=folder / "preprocessor_config.json",
                field="sampling_rate",
                value=self.extractor.sampling_rate,
            )
        self.folder, self.language, self.config = folder, language, model.config
        # Models with a group norm were trained without a mask: their first layer norms over time, padding included.
        self.masked = model.config.feat_extract_norm == "layer"
        self._blank = int(model.config.pad_token_id or 0)  # CTC's blank is the padding's id
        self._signs = {sign for sign in self.tokenizer.get_vocab() if len(sign) == 1}
        self._signs.discard(self.tokenizer.word_delimiter_token)
        self._mask: torch.Tensor | None = None  # (batch, frames): the mask of the batch that is in the model
        model.freeze_feature_encoder()
        for module in model.modules():
            if isinstance(module, Wav2Vec2ConformerConvolutionModule):
                module.batch_norm = _fixed(module.batch_norm)
                module.depthwise_conv.register_forward_pre_hook(self._silence_padding)
        self.model: Any = model.eval()
        self.model.to(device)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def computing_in(self, compute: Compute) -> ConformerRecogniser:
        """This object: it decodes in float32, whatever is asked."""
        return self

    def voice(self, waveform: np.ndarray, duration_s: float) -> torch.Tensor:
        """See `spoken_log_mel`: the features are raw waveforms, which say nothing of a voice sample by sample."""
        return spoken_log_mel(waveform, duration_s)

    def features(self, waveforms: Sequence[np.ndarray], window_s: float, padding: Padding = "silence") -> torch.Tensor:
        """Waveforms, normalised as the model's extractor does, padded to one window, and which samples are speech.

        Args:
            waveforms: float32, mono, 16 kHz, each (samples,); what is longer than the window is cut.
            window_s: seconds; any length will do.
            padding: of no effect; padding is masked, or zero where the model takes no mask.

        Returns:
            (batch, 2, samples) float32: the waveform, and 1 where it is speech, 0 where it is padding.
        """
        made = self.extractor(
            [np.asarray(waveform, dtype=np.float32) for waveform in waveforms],
            sampling_rate=SAMPLING_RATE_HZ,
            padding="max_length",
            max_length=round(window_s * SAMPLING_RATE_HZ),
            truncation=True,
            return_attention_mask=True,  # also where the model takes none: each utterance is normalised by itself
            return_tensors="pt",
        )
        return torch.stack([made.input_values.float(), made.attention_mask.float()], dim=1)

    def labels(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """CTC's targets: the characters of each text, masked by length.

        Returns:
            (batch, 0) int64, since nothing is fed back, and targets (batch, characters) int64, -100 after each text.

        Raises:
            DataError: nothing of a text can be written with the model's characters.
        """
        rows = [self.tokenizer(self.written(text), add_special_tokens=False).input_ids for text in texts]
        for text, row in zip(texts, rows, strict=True):
            if not row:
                raise DataError("has none of the model's characters", field="text", value=text)
        targets = torch.full((len(rows), max(map(len, rows))), IGNORED_LABEL, dtype=torch.int64)
        for target, row in zip(targets, rows, strict=True):
            target[: len(row)] = torch.tensor(row)
        return torch.empty((len(rows), 0), dtype=torch.int64), targets

    def written(self, text: str) -> str:
        """A text in the model's characters: its case, without the accents and signs that it does not have.

        Digits become words where the model has no digits.
        """
        if has_digits(text) and not any(sign.isdigit() for sign in self._signs):
            text = spoken_form(text, self.language)
        written = "".join(map(self._sign, unicodedata.normalize("NFC", text).replace("’", "'")))
        return " ".join(written.split())

    def _sign(self, sign: str) -> str:
        bare = unicodedata.normalize("NFD", sign)[0]
        for choice in (sign, sign.upper(), sign.lower(), bare, bare.upper(), bare.lower()):
            if choice in self._signs:
                return choice
        return " " if sign.isspace() or sign in SPACES else ""

    def loss(self, features: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean CTC loss a character: transformers' `sum`, divided by the characters of the batch.

        So the parts of a batch add up to it (`TrainingBatch.parts`), as with Whisper's mean over tokens, and neither
        the size of a batch nor `ctc_loss_reduction` changes the scale of gradients. A text that is longer than its
        frames allow has no finite loss; it counts as 0.

        Args:
            features: (batch, 2, samples).
            inputs: unused.
            targets: (batch, characters).
        """
        if self.model.training:
            np.random.seed(int(torch.randint(SEEDS, ())))  # transformers draws SpecAugment's masks from it
        logits, lengths = self.logits(features)
        with torch.autocast(logits.device.type, enabled=False), torch.backends.cudnn.flags(enabled=False):
            chances = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)  # (frames, batch, characters)
            learned = targets != IGNORED_LABEL
            total = F.ctc_loss(
                chances,
                targets.masked_select(learned),
                lengths,
                learned.sum(-1),
                blank=self._blank,
                reduction="sum",
                zero_infinity=True,
            )
        return total / learned.sum()

    @torch.inference_mode()
    def decode(self, features: torch.Tensor, durations_s: Sequence[float], beams: int = 1) -> list[str]:
        """Transcribe one batch greedily: the likeliest character of every frame, repeats and blanks removed.

        Args:
            features: (batch, 2, samples).
            durations_s: unused; a transcript has at most one character a frame.

        Raises:
            ConfigError: more than one beam; without a language model a beam search has nothing to search.
        """
        if beams != 1:
            raise ConfigError("CTC is decoded greedily here", field="beams", value=beams, do="leave it at 1")
        logits, lengths = self.logits(features.to(self.device))
        best = logits.argmax(-1)  # (batch, frames)
        padding = torch.arange(best.shape[1], device=best.device) >= lengths[:, None]
        best = best.masked_fill(padding, self._blank)
        self._mask = None
        return [self._without_specials(text) for text in self.tokenizer.batch_decode(best.cpu())]

    def _without_specials(self, text: str) -> str:
        """Removed after the collapse: `L <unk> L` is two Ls."""
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return " ".join(text.split())

    def decode_all(
        self, batches: Iterable[tuple[torch.Tensor, Sequence[float]]], beams: int = 1
    ) -> Iterator[list[str]]:
        """Transcribe batches of (features, durations_s), one after the other; see `decode`."""
        for features, durations_s in batches:
            yield self.decode(features, durations_s, beams)

    def logits(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, frames, characters), and how many frames of each row are speech, (batch,) int64."""
        samples = torch.full(features.shape[:1], features.shape[-1], device=features.device)
        if not self.masked:
            self._mask = None
            return self.model(features[:, WAVEFORM]).logits, self.frames(samples)
        speech = features[:, SPEECH].long()
        lengths = self.frames(speech.sum(-1))
        frames = int(self.frames(samples[:1]))
        self._mask = torch.arange(frames, device=features.device) < lengths[:, None]
        return self.model(features[:, WAVEFORM], attention_mask=speech).logits, lengths

    def frames(self, samples: torch.Tensor) -> torch.Tensor:
        """How many frames the feature encoder makes of this many samples: convolutions without padding."""
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            samples = torch.div(samples - kernel, stride, rounding_mode="floor") + 1
        return samples.clamp(min=0)

    def _silence_padding(self, module: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Padding enters the depthwise convolution as zeros, as what lies beyond the end of an utterance alone does.

        transformers masks the first layer's input and the attention; after them padding is no longer zero, and the
        convolution carries it into the last frames of the speech.
        """
        if self._mask is None:
            return given
        return (given[0] * self._mask[:, None].to(given[0].dtype), *given[1:])  # (batch, dim, frames)

    def save(self, folder: Path) -> None:
        """Write a complete Hugging Face folder: weights, config, vocabulary, extractor."""
        with no_bars():
            self.model.save_pretrained(folder)
        Wav2Vec2Processor(self.extractor, self.tokenizer).save_pretrained(folder)
        self.extractor.save_pretrained(folder)


def _fixed(norm: nn.BatchNorm1d) -> FixedBatchNorm:
    """The same batch norm with its statistics fixed."""
    fixed = FixedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    fixed.load_state_dict(norm.state_dict())
    return fixed
