"""BARK: speech sampled from text by three transformers and a codec (24 kHz), with a speaker preset or with none.

A batch is spoken so that a clip's samples depend on its own seed and not on its neighbours:

- The semantic and the coarse model draw every token from the clip's own random numbers. `BarkModel.generate`
  draws a whole batch from one generator, so there a clip changes with its place and its neighbours.
- The fine model and the codec are run clip by clip, on the clip's own length. In `BarkModel.generate` the fine
  model, which looks both ways, also sees what the coarse model went on to say after a shorter clip's end; its
  lengths (`return_output_lengths`) are used here for the cut.
- A batch that is not full is filled up with copies of its first clip, so that matrix products have the same
  shape, and with it the same rounding, for one clip as for eight.

What it costs: the fine model (6 forwards of 1024 frames, about a hundredth of the forwards) and the codec are not
batched, and a single clip costs as much as a full batch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from data_synth.audio.samples import Waveform
from data_synth.engines.base import BatchEngine, Failure, Outcome, Parameters, Utterance, number
from data_synth.engines.support.pace import at_speed
from data_synth.engines.support.pretrained import Hardware, WeightsSource, find_source, whole_number
from data_synth.engines.support.sampling import SeededDraw
from data_synth.engines.support.voice_facts import VoiceFacts
from data_synth.engines.support.voice_names import selected, unknown_voice
from speech_analogy.errors import SynthesisError, one_line
from speech_analogy.foundation.digests import derive
from speech_analogy.foundation.user_files.json_text import read_object

if TYPE_CHECKING:
    import torch

CHECKPOINTS = {  # voice -> (environment variable for a folder or another hub id, published weights)
    "small": ("DATA_SYNTH_BARK_SMALL", "suno/bark-small"),
    "large": ("DATA_SYNTH_BARK_LARGE", "suno/bark"),
}
BARK_BATCH_VARIABLE = "DATA_SYNTH_BARK_BATCH"
BARK_BATCH_SIZE = 8  # clips
PRESETS_FILE = "speaker_embeddings_path.json"
PRESETS_HOME = "repo_or_path"  # the key of that file that is no preset
BARK_LANGUAGES = ("de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh")
PRESET_LANGUAGE = re.compile(r"([a-z]{2})_speaker_\d+$")
TEMPERATURE_RANGE = (0.05, 2.0)


class BarkEngine(BatchEngine):
    """Voices: `small` or `large`, alone (BARK makes up a speaker for every clip, from its seed; the setting of
    2406.02925) or with a published preset: `small/v2/en_speaker_6`, for short `v2/en_speaker_6`.

    Parameters: `semantic_temperature`, `coarse_temperature`, `fine_temperature` (the checkpoint's own unless
    given; at exactly 1 the fine model takes the likeliest code), `min_eos_p` (end where the end is at least as
    likely as this), `speed` (by resampling: BARK has none), `keep_unfinished` (1: keep clips that were cut off
    at BARK's limit of about 15 s; else they are failures).
    The environment may set `DATA_SYNTH_BARK_SMALL` and `DATA_SYNTH_BARK_LARGE` (folders), `DATA_SYNTH_DEVICE`,
    `DATA_SYNTH_DTYPE` (auto: float16 on a GPU), `DATA_SYNTH_OFFLOAD` (1: one sub-model at a time on the GPU) and
    `DATA_SYNTH_BARK_BATCH` (8). Another batch size may round differently, and a token may then fall differently.
    """

    name = "bark"
    patience_s = 900.0  # a clip of 13 s on a slow processor, the download of the weights before the first
    batch_size = BARK_BATCH_SIZE
    on_gpu = True
    languages: ClassVar = BARK_LANGUAGES
    parameter_ranges: ClassVar = {
        "speed": (0.5, 2.0),
        "semantic_temperature": TEMPERATURE_RANGE,
        "coarse_temperature": TEMPERATURE_RANGE,
        "fine_temperature": TEMPERATURE_RANGE,
        "min_eos_p": (1e-6, 1.0),
        "keep_unfinished": (0, 1),
    }

    def __init__(self) -> None:
        self.hardware = Hardware.from_environment()
        self.batch_size = whole_number(BARK_BATCH_VARIABLE, BARK_BATCH_SIZE)
        self.revision = f"transformers {version('transformers')} {self.hardware.dtype}"
        self._sources: dict[str, WeightsSource] = {}
        self._presets: dict[str, tuple[str, ...]] = {}
        self._models: dict[str, LoadedBark | SynthesisError] = {}

    def voices(self) -> tuple[str, ...]:
        """`small`, without a preset."""
        return ("small",)

    def about(self, voice: str) -> VoiceFacts:
        """A preset is one speaker of one language; without one each clip has another, of the text's language."""
        found = PRESET_LANGUAGE.search(voice)
        return VoiceFacts((found[1],) if found else BARK_LANGUAGES, licence="MIT", one_speaker="/" in voice)

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`. Weights that are neither here nor to be had are reported at once."""
        return tuple(self._canonical(name) for name in selected(selection, self.voices()))

    def _canonical(self, name: str) -> str:
        checkpoint, _, preset = name.partition("/")
        if checkpoint not in CHECKPOINTS:
            checkpoint, preset = self.voices()[0], name
        known = self._preset_names(checkpoint)
        if not preset and name == checkpoint:
            return name
        if preset not in known:
            raise unknown_voice(self.name, name, (*CHECKPOINTS, *known))
        return f"{checkpoint}/{preset}"

    def voice_revision(self, voice: str) -> str:
        """The version of transformers, the precision, and the commit or the sha256 of the weights."""
        return f"{self.revision}, {self._source(voice.partition('/')[0]).revision}"

    def _source(self, checkpoint: str) -> WeightsSource:
        if checkpoint not in self._sources:
            self._sources[checkpoint] = find_source(self.name, *CHECKPOINTS[checkpoint])
        return self._sources[checkpoint]

    def _preset_names(self, checkpoint: str) -> tuple[str, ...]:
        if checkpoint not in self._presets:
            path = self._source(checkpoint).file(PRESETS_FILE)
            listed = read_object(path, SynthesisError) if path else {}
            for name, files in listed.items():
                for file in files.values() if isinstance(files, dict) else ():
                    if Path(str(file)).is_absolute() or ".." in Path(str(file)).parts:
                        raise SynthesisError("a preset must lie in its folder", file=path, field=name, value=file)
            self._presets[checkpoint] = tuple(name for name in listed if name != PRESETS_HOME)
        return self._presets[checkpoint]

    def synthesize(self, batch: Sequence[Utterance]) -> list[Outcome]:
        """See `Engine.synthesize`; utterances of one voice and one setting are spoken together."""
        groups: dict[tuple[str, str], list[int]] = {}
        for index, utterance in enumerate(batch):
            settings = {name: value for name, value in utterance.parameters.items() if name != "speed"}
            groups.setdefault((utterance.voice, json.dumps(settings, sort_keys=True)), []).append(index)
        outcomes: dict[int, Outcome] = {}
        for indices in groups.values():
            for start in range(0, len(indices), self.batch_size):
                chunk = indices[start : start + self.batch_size]
                outcomes.update(zip(chunk, self._attempt([batch[index] for index in chunk]), strict=True))
        return [outcomes[index] for index in range(len(batch))]

    def _attempt(self, chunk: Sequence[Utterance]) -> list[Outcome]:
        """Outcomes of utterances of one voice and setting; where they fail together, each is asked alone."""
        try:
            return self.loaded(chunk[0].voice.partition("/")[0]).speak(chunk, self.batch_size)
        except SynthesisError as error:
            return [Failure(str(error))] * len(chunk)
        except Exception as error:  # an engine's fault is this clip's reason, whatever it is
            if len(chunk) == 1:
                return [Failure(one_line(error))]
            return [outcome for utterance in chunk for outcome in self._attempt([utterance])]

    def loaded(self, checkpoint: str) -> LoadedBark:
        if checkpoint not in CHECKPOINTS:
            raise unknown_voice(self.name, checkpoint, tuple(CHECKPOINTS))
        if checkpoint not in self._models:
            try:
                self._models[checkpoint] = load_bark(self._source(checkpoint), self.hardware)
            except SynthesisError as error:  # not tried again for every clip
                self._models[checkpoint] = error
        model = self._models[checkpoint]
        if isinstance(model, SynthesisError):
            raise model
        return model


def load_bark(source: WeightsSource, hardware: Hardware) -> LoadedBark:
    """A checkpoint ready to speak.

    Raises:
        SynthesisError: it is missing or broken, or the hardware is not there.
    """
    from transformers import BarkModel, BarkProcessor

    device, dtype = hardware.torch_device(), hardware.torch_dtype(on_gpu="float16")
    processor = source.load(BarkProcessor.from_pretrained)
    if processor.speaker_embeddings is not None:
        processor.speaker_embeddings[PRESETS_HOME] = source.name
    model = source.load(BarkModel.from_pretrained, dtype=dtype).eval()
    if not hardware.offload:
        model = model.to(device)
    elif device.type == "cuda":
        model.enable_cpu_offload(accelerator_id=device.index or 0)
    else:
        rule = "offloading needs a GPU to bring the parts to"
        raise SynthesisError(rule, field="DATA_SYNTH_OFFLOAD", value=device.type, do="unset it")
    return LoadedBark(model, processor)


class LoadedBark:
    """One loaded checkpoint."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor
        published = model.generation_config
        self.rate, self.codebook_size = int(published.sample_rate), int(published.codebook_size)
        self._histories: dict[str, Any] = {}

    def _configs(self, settings: Parameters) -> dict[str, Any]:
        """The three generation configs, by their names as arguments: the checkpoint's own but for what is given."""
        from transformers.models.bark import generation_configuration_bark as bark

        published = self.model.generation_config
        semantic = _given(settings, temperature="semantic_temperature", min_eos_p="min_eos_p")
        coarse = _given(settings, temperature="coarse_temperature")
        fine = _given(settings, temperature="fine_temperature")
        return {
            "semantic_generation_config": bark.BarkSemanticGenerationConfig(
                **{**_as_dict(published.semantic_config), "do_sample": True, **semantic}
            ),
            "coarse_generation_config": bark.BarkCoarseGenerationConfig(
                **{**_as_dict(published.coarse_acoustics_config), "do_sample": True, **coarse}
            ),
            "fine_generation_config": bark.BarkFineGenerationConfig(
                **{**_as_dict(published.fine_acoustics_config), **fine}
            ),
        }

    def speak(self, chunk: Sequence[Utterance], batch_size: int) -> list[Outcome]:
        """Speak utterances of one voice and one setting, at most `batch_size` of them."""
        import torch

        configs = self._configs(chunk[0].parameters)
        outcomes: dict[int, Outcome] = {}
        rows: list[tuple[int, Any]] = []
        for index, utterance in enumerate(chunk):
            tokens = self.processor(utterance.text)
            length = int(tokens["attention_mask"].sum())
            limit = int(configs["semantic_generation_config"].max_input_semantic_length)
            if length > limit:
                outcomes[index] = Failure(f"the text is too long: {length} tokens, BARK takes {limit}")
            else:
                rows.append((index, tokens))
        if rows:
            with torch.inference_mode():
                spoken = self._generate([(chunk[index], tokens) for index, tokens in rows], configs, batch_size)
            outcomes.update(zip((index for index, _ in rows), spoken, strict=True))
        return [outcomes[index] for index in range(len(chunk))]

    def _generate(
        self, rows: Sequence[tuple[Utterance, Any]], configs: dict[str, Any], batch_size: int
    ) -> list[Outcome]:
        history, settings = self._history(rows[0][0].voice), rows[0][0].parameters
        full = [*rows, *[rows[0]] * (batch_size - len(rows))]
        draws = [
            SeededDraw([derive(utterance.seed, "bark", stage) for utterance, _ in full])
            for stage in ("semantic", "coarse")
        ]
        ended, coarse, lengths = self._coarse([tokens for _, tokens in full], history, configs, *draws)
        verdicts = [
            self._verdict(ended[row], lengths[row], any(draw.not_finite(row) for draw in draws), settings, configs)
            for row in range(len(rows))
        ]
        spoken = [row for row, verdict in enumerate(verdicts) if verdict is None]
        codes = [
            self._codes(coarse[row : row + 1, : lengths[row]], history, configs, rows[row][0].seed) for row in spoken
        ]
        waves = dict(zip(spoken, self._decode(codes), strict=True))
        return [verdict or self._waveform(waves[row], rows[row][0].parameters) for row, verdict in enumerate(verdicts)]

    def _coarse(
        self, texts: Sequence[Any], history: Any, configs: dict[str, Any], draw: SeededDraw, draw_coarse: SeededDraw
    ) -> tuple[list[bool], torch.Tensor, list[int]]:
        """A full batch through the semantic and the coarse model.

        Returns:
            Whether each clip came to its end; coarse tokens (batch, tokens); how many of them are each clip's.
        """
        import torch

        ids, mask = (
            torch.cat([tokens[key] for tokens in texts]).to(self.model.device)
            for key in ("input_ids", "attention_mask")
        )
        semantic_config = configs["semantic_generation_config"]
        semantic = self.model.semantic.generate(
            ids,  # (batch, text tokens)
            attention_mask=mask,
            history_prompt=history,
            semantic_generation_config=semantic_config,
            custom_generate=draw.decode,
        )  # (batch, semantic tokens)
        ended = (semantic == semantic_config.eos_token_id).any(dim=1).tolist()
        coarse, lengths = self.model.coarse_acoustics.generate(
            semantic,
            history_prompt=history,
            semantic_generation_config=semantic_config,
            coarse_generation_config=configs["coarse_generation_config"],
            codebook_size=self.codebook_size,
            return_output_lengths=True,
            custom_generate=draw_coarse.decode,
        )  # (batch, coarse tokens)
        return ended, coarse, lengths.tolist()

    def _verdict(
        self, ended: bool, length: int, broken: bool, settings: Parameters, configs: dict[str, Any]
    ) -> Failure | None:
        if broken:
            return Failure("the weights gave probabilities that are not finite: use float32 or bfloat16")
        if length < configs["coarse_generation_config"].n_coarse_codebooks:
            return Failure("BARK ended before it had said anything")
        if not ended and not settings.get("keep_unfinished"):
            semantic = configs["semantic_generation_config"]
            seconds = semantic.max_new_tokens / semantic.semantic_rate_hz
            return Failure(f"not at its end after {seconds:.1f} s, BARK's limit: the text is too long, or it wandered")
        return None

    def _codes(self, coarse: torch.Tensor, history: Any, configs: dict[str, Any], seed: int) -> torch.Tensor:
        """The fine model on one clip. (1, coarse tokens) -> (1, codebooks, frames)"""
        import torch

        gpus = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=gpus):
            torch.manual_seed(derive(seed, "bark", "fine"))
            codes: torch.Tensor = self.model.fine_acoustics.generate(
                coarse, history_prompt=history, codebook_size=self.codebook_size, **configs
            )
        return codes

    def _decode(self, codes: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The codec on every clip, between the hooks that offloading needs, as in `BarkModel.generate`."""
        offloaded = getattr(self.model, "codec_model_hook", None)
        if offloaded is not None:
            self.model.fine_acoustics_hook.offload()
            self.model.codec_model = self.model.codec_model.to(self.model.device)
        waves = [self.model.codec_decode(clip)[0] for clip in codes]  # each (samples,)
        if offloaded is not None:
            offloaded.offload()
        return waves

    def _waveform(self, wave: torch.Tensor, parameters: Parameters) -> Waveform:
        samples = wave.float().cpu().numpy()
        return Waveform(at_speed(samples, self.rate, number(parameters, "speed", 1.0)), self.rate)

    def _history(self, voice: str) -> Any:
        """The preset's three prompts on the device; None without a preset."""
        preset = voice.partition("/")[2]
        if not preset:
            return None
        if voice not in self._histories:
            history = self.processor("", voice_preset=preset)["history_prompt"]
            self._histories[voice] = history.to(self.model.device)
        return self._histories[voice]


def _given(parameters: Parameters, **names: str) -> dict[str, float]:
    """What of `names` (argument -> parameter) is given; the rest is the checkpoint's own."""
    return {argument: number(parameters, name, 0.0) for argument, name in names.items() if name in parameters}


def _as_dict(config: Any) -> dict[str, Any]:
    values: dict[str, Any] = config if isinstance(config, dict) else config.to_dict()
    return values
