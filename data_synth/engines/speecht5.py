"""SpeechT5 with its HiFi-GAN vocoder (16 kHz): one English model, any speaker that an x-vector describes.

A batch is spoken so that a clip's samples depend on its own seed and not on its neighbours:

- The decoder's pre-net keeps its dropout when it speaks (that is where clips differ by seed). transformers draws
  one mask for the whole batch from torch's generator; here each clip draws its own from its seed.
- Texts are padded to a multiple of 64 characters, and spoken with texts of the same multiple; a batch that is not
  full is filled up with copies of its first clip. So shapes, and with them rounding, depend on the clip alone.
- The vocoder is run clip by clip on the clip's own frames: in `generate_speech(return_output_lengths=True)` it
  runs over padding, which is audible at the end of every clip but the longest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from data_synth.audio.samples import Samples, Waveform
from data_synth.engines.base import BatchEngine, Failure, Outcome, Utterance, number
from data_synth.engines.support.pace import at_speed
from data_synth.engines.support.pretrained import Hardware, WeightsSource, find_source, whole_number
from data_synth.engines.support.reference import Speakers
from data_synth.engines.support.voice_facts import VoiceFacts
from data_synth.engines.support.voice_names import selected, unknown_voice
from data_synth.engines.support.x_vectors import X_VECTOR_SIZE
from speech_analogy.errors import SynthesisError, one_line
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.packages import require

if TYPE_CHECKING:
    import torch

SPEECHT5_MODEL = ("DATA_SYNTH_SPEECHT5", "microsoft/speecht5_tts")
SPEECHT5_VOCODER = ("DATA_SYNTH_SPEECHT5_VOCODER", "microsoft/speecht5_hifigan")
SPEECHT5_BATCH_VARIABLE = "DATA_SYNTH_SPEECHT5_BATCH"
SPEECHT5_BATCH_SIZE = 8  # clips
RANDOM = "random"
BUCKET_TOKENS = 64
STOP_THRESHOLD = 0.5  # probability of the end
MAX_FRAMES_PER_TOKEN = 20.0  # 0.32 s a character: who is not at the end then will not come to it
SPEECHT5_INSTALL = "pip install sentencepiece"


class SpeechT5Engine(BatchEngine):
    """Voices: `random` (for every clip one x-vector, chosen by its seed; the setting of 2406.02925, there with CMU
    Arctic's) or the name of an x-vector: see `read_x_vectors` and `ReferenceSpeech`.

    `$DATA_SYNTH_XVECTORS` names a folder of x-vectors, `$DATA_SYNTH_REFERENCE` a folder of speech to compute them
    from, by `$DATA_SYNTH_XVECTOR_MODEL` (microsoft/wavlm-base-plus-sv); one or both are needed.
    Digits are spelt out in English for the model, which knows none; other characters that it does not know are left
    out, letters that it does not know are a failure, and so is a text of more than 600 characters. Parameters:
    `speed` (by resampling: SpeechT5 has none) and `threshold` (probability at which a clip ends, 0.5).
    The environment may set `DATA_SYNTH_SPEECHT5` and `DATA_SYNTH_SPEECHT5_VOCODER` (folders),
    `DATA_SYNTH_DEVICE`, `DATA_SYNTH_DTYPE` (auto: float32) and `DATA_SYNTH_SPEECHT5_BATCH` (8). Another batch size
    may round differently: by less than 1e-4 of full scale.
    """

    name = "speecht5"
    patience_s = 600.0  # the download of the weights comes before the first clip
    batch_size = SPEECHT5_BATCH_SIZE
    on_gpu = True
    languages: ClassVar = ("en",)
    install: ClassVar = SPEECHT5_INSTALL
    parameter_ranges: ClassVar = {"speed": (0.5, 2.0), "threshold": (0.05, 0.95)}

    def __init__(self) -> None:
        require("sentencepiece", self.name, SPEECHT5_INSTALL)
        self.hardware = Hardware.from_environment()
        self.batch_size = whole_number(SPEECHT5_BATCH_VARIABLE, SPEECHT5_BATCH_SIZE)
        self.revision = f"transformers {version('transformers')} {self.hardware.dtype}"
        self._speakers: Speakers | None = None
        self._sources: tuple[WeightsSource, WeightsSource] | None = None
        self._model: LoadedSpeechT5 | SynthesisError | None = None

    def voices(self) -> tuple[str, ...]:
        """`random`."""
        return (RANDOM,)

    def known_voices(self) -> tuple[str, ...]:
        """`random` and every x-vector."""
        return (RANDOM, *self._known().names)

    def about(self, voice: str) -> VoiceFacts:
        """English; `random` is another speaker for every clip."""
        return VoiceFacts(self.languages, licence="MIT", one_speaker=voice != RANDOM)

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`. Weights that are neither here nor to be had are reported at once."""
        self._find()
        names = selected(selection, self.voices())
        known = set(self.known_voices())
        for name in names:
            if name not in known:
                raise unknown_voice(self.name, name, self.known_voices())
        return names

    def voice_revision(self, voice: str) -> str:
        """The version of transformers, the precision, the weights' commits or sha256, and the x-vectors' sha256."""
        weights = ", ".join(source.revision for source in self._find())
        return f"{self.revision}, {weights}, {self._known().revision}"

    def _find(self) -> tuple[WeightsSource, WeightsSource]:
        if self._sources is None:
            self._sources = find_source(self.name, *SPEECHT5_MODEL), find_source(self.name, *SPEECHT5_VOCODER)
        return self._sources

    def _known(self) -> Speakers:
        if self._speakers is None:
            self._speakers = Speakers.from_environment(self.name, self.hardware)
        return self._speakers

    def speaker(self, utterance: Utterance) -> Samples:
        names = self._known().names
        if utterance.voice != RANDOM:
            return self._known().vector(utterance.voice)
        return self._known().vector(names[derive(utterance.seed, "x-vector") % len(names)])

    def synthesize(self, batch: Sequence[Utterance]) -> list[Outcome]:
        """See `Engine.synthesize`; texts of about the same length are spoken together."""
        outcomes: dict[int, Outcome] = {}
        groups: dict[tuple[int, float], list[tuple[int, list[int]]]] = {}
        for index, utterance in enumerate(batch):
            try:
                ids = self.loaded().tokens(utterance.text)
            except Exception as error:  # an engine's fault is this clip's reason, whatever it is
                outcomes[index] = Failure(str(error) if isinstance(error, SynthesisError) else one_line(error))
                continue
            threshold = number(utterance.parameters, "threshold", STOP_THRESHOLD)
            groups.setdefault((-(-len(ids) // BUCKET_TOKENS), threshold), []).append((index, ids))
        for (_, threshold), rows in groups.items():
            for start in range(0, len(rows), self.batch_size):
                chunk = rows[start : start + self.batch_size]
                spoken = self._attempt([(batch[index], ids) for index, ids in chunk], threshold)
                outcomes.update(zip((index for index, _ in chunk), spoken, strict=True))
        return [outcomes[index] for index in range(len(batch))]

    def _attempt(self, chunk: Sequence[tuple[Utterance, list[int]]], threshold: float) -> list[Outcome]:
        """Outcomes of texts of one bucket; where they fail together, each is asked alone."""
        try:
            full = [*chunk, *[chunk[0]] * (self.batch_size - len(chunk))]
            speakers = np.stack([self.speaker(utterance) for utterance, _ in full])  # (batch, 512)
            seeds = [utterance.seed for utterance, _ in full]
            clips = self.loaded().speak([ids for _, ids in full], speakers, seeds, threshold)[: len(chunk)]
        except Exception as error:  # as above
            if len(chunk) == 1:
                return [Failure(one_line(error))]
            return [outcome for row in chunk for outcome in self._attempt([row], threshold)]
        return [
            clip if isinstance(clip, Failure) else _at_speed(clip, utterance)
            for clip, (utterance, _) in zip(clips, chunk, strict=True)
        ]

    def loaded(self) -> LoadedSpeechT5:
        if self._model is None:
            try:
                self._model = load_speecht5(*self._find(), self.hardware)
            except SynthesisError as error:  # not tried again for every clip
                self._model = error
        if isinstance(self._model, SynthesisError):
            raise self._model
        return self._model


def _at_speed(clip: Waveform, utterance: Utterance) -> Waveform:
    return Waveform(at_speed(clip.samples, clip.rate, number(utterance.parameters, "speed", 1.0)), clip.rate)


def load_speecht5(source: WeightsSource, vocoder_source: WeightsSource, hardware: Hardware) -> LoadedSpeechT5:
    """Model, vocoder and tokenizer ready to speak.

    Raises:
        SynthesisError: they are missing or broken, or the hardware is not there.
    """
    from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5Tokenizer

    device, dtype = hardware.torch_device(), hardware.torch_dtype(on_gpu="float32")
    tokenizer = source.load(SpeechT5Tokenizer.from_pretrained)
    model = source.load(SpeechT5ForTextToSpeech.from_pretrained, dtype=dtype).eval().to(device)
    vocoder = vocoder_source.load(SpeechT5HifiGan.from_pretrained, dtype=dtype).eval().to(device)
    if model.config.speaker_embedding_dim != X_VECTOR_SIZE:
        found = model.config.speaker_embedding_dim
        raise SynthesisError(f"must take x-vectors of {X_VECTOR_SIZE} numbers", file=source.name, value=found)
    return LoadedSpeechT5(model, vocoder, tokenizer)


class LoadedSpeechT5:
    """The loaded model."""

    def __init__(self, model: Any, vocoder: Any, tokenizer: Any) -> None:
        self.model, self.vocoder, self.tokenizer = model, vocoder, tokenizer
        self.rate = int(vocoder.config.sampling_rate)
        self.dropout = SeededDropout()
        prenet = model.speecht5.decoder.prenet
        if not hasattr(prenet, "_consistent_dropout"):
            raise SynthesisError(
                "this version of transformers draws SpeechT5's dropout in another way",
                field="speecht5",
                value=version("transformers"),
                do="install transformers 5.23",
            )
        prenet._consistent_dropout = self.dropout

    def tokens(self, text: str) -> list[int]:
        """A text's tokens: its characters and the end.

        Raises:
            SynthesisError: a letter is unknown to the model, or the text is too long for it.
        """
        if re.search(r"\d", text):
            text = self.tokenizer.normalizer(text)
        pieces = self.tokenizer.tokenize(text)
        ids = self.tokenizer.convert_tokens_to_ids(pieces)
        unknown = self.tokenizer.unk_token_id
        strange = [piece for piece, token in zip(pieces, ids, strict=True) if token == unknown]
        if any(character.isalnum() for piece in strange for character in piece):
            raise SynthesisError("SpeechT5 has no such letter", field="text", value="".join(strange))
        known = [*(token for token in ids if token != unknown), self.tokenizer.eos_token_id]
        limit = int(self.model.config.max_text_positions)
        if len(known) > limit:
            raise SynthesisError(f"SpeechT5 takes at most {limit - 1} characters", field="text", value=len(known) - 1)
        return known

    def speak(
        self, texts: Sequence[list[int]], speakers: Samples, seeds: Sequence[int], threshold: float
    ) -> list[Outcome]:
        """Speak a full batch of one bucket. `speakers`: float32 (batch, 512)."""
        import torch

        ids, mask = self._padded(texts)
        config = self.model.config
        positions = int(config.max_speech_positions)
        steps = min(_max_steps(max(map(len, texts)), config), positions)  # no clip may take more
        self.dropout.begin(seeds)
        with torch.inference_mode():
            frames, lengths = self.model.generate_speech(
                ids,
                speaker_embeddings=torch.from_numpy(speakers).to(self.model.device, self.model.dtype),
                attention_mask=mask,
                threshold=threshold,
                maxlenratio=(steps + 0.5) * config.reduction_factor / ids.shape[1],  # floors to `steps`
                return_output_lengths=True,
            )  # (batch, frames, mel bins)
            outcomes: list[Outcome] = []
            for clip, length, text in zip(frames, lengths, texts, strict=True):
                limit = min(_max_steps(len(text), config), positions) * config.reduction_factor
                if length >= limit:
                    outcomes.append(Failure(f"not at its end after {limit} frames"))
                    continue
                samples = self.vocoder(clip[:length]).float().cpu().numpy()  # (samples,)
                outcomes.append(Waveform(samples, self.rate))
        return outcomes

    def _padded(self, texts: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, (batch, tokens), padded to the bucket."""
        import torch

        longest = max(len(text) for text in texts)
        width = min(-(-longest // BUCKET_TOKENS) * BUCKET_TOKENS, int(self.model.config.max_text_positions))
        ids = torch.full((len(texts), width), self.tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros((len(texts), width), dtype=torch.long)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        return ids.to(self.model.device), mask.to(self.model.device)


class SeededDropout:
    """The pre-net's dropout, each row's mask drawn from the row's own seed; for `_consistent_dropout`.

    `generate_speech` runs the pre-net over all frames so far and reads its last one alone, so one mask a row and a
    step is drawn and laid over all of them.
    """

    def begin(self, seeds: Sequence[int]) -> None:
        """Begin a batch."""
        self._dice = [np.random.default_rng(derive(seed, "speecht5")) for seed in seeds]

    def __call__(self, inputs_embeds: torch.Tensor, p: float) -> torch.Tensor:
        """(batch, frames, units) -> the same; a unit is kept with probability p and scaled by 1/(1 − p), as there."""
        import torch

        kept = np.stack([dice.random(inputs_embeds.shape[-1]) < p for dice in self._dice])[:, None]
        mask = torch.from_numpy(kept).to(inputs_embeds.device)  # (batch, 1, units)
        return torch.where(mask, inputs_embeds, 0) / (1 - p)


def _max_steps(tokens: int, config: Any) -> int:
    """Steps of the decoder, `reduction_factor` frames each, that a text may take."""
    return int(tokens * MAX_FRAMES_PER_TOKEN / config.reduction_factor)
