"""Kokoro (24 kHz, Apache 2.0): a neural voice of 82 M parameters in nine languages, by the package `kokoro`.

At its worst on texts of one or two words, as its authors say; the duration gate catches what runs away.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_synth.audio.samples import Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.pretrained import Hardware, WeightsSource, find_source
from data_synth.engines.support.voice_facts import VoiceFacts
from data_synth.engines.support.voice_names import selected, unknown_voice
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.packages import require

KOKORO_MODEL = ("DATA_SYNTH_KOKORO", "hexgrad/Kokoro-82M")
RATE = 24_000  # Hz
FIRST_VOICE = "af_heart"
VOICE = re.compile(r"[abefhijpz][fm]_[a-z]+")  # language, sex, name, as Kokoro's voices are called
KOKORO_LANGUAGES = {  # by the first letter of a voice
    "a": "en-US", "b": "en-GB", "e": "es", "f": "fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-BR", "z": "zh",
}  # fmt: skip
KOKORO_VOICES = (  # of version 1.0
    "af_heart", "af_bella", "af_nicole", "am_michael", "am_fenrir", "am_puck", "bf_emma", "bm_george", "bm_fable",
    "af_alloy", "af_aoede", "af_kore", "af_nova", "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric", "am_liam",
    "am_onyx", "bf_alice", "bf_isabella", "bf_lily", "bm_daniel", "bm_lewis", "ef_dora", "em_alex", "ff_siwis",
    "hf_alpha", "hm_omega", "hf_beta", "hm_psi", "if_sara", "im_nicola", "jf_alpha", "jm_kumo", "jf_gongitsune",
    "jf_tebukuro", "jf_nezumi", "pf_dora", "pm_alex", "zf_xiaobei", "zm_yunjian", "zf_xiaoni", "zm_yunxi",
    "zf_xiaoxiao", "zm_yunxia", "zf_xiaoyi", "zm_yunyang",
)  # fmt: skip
WEIGHTS = "kokoro-v1_0.pth"
KOKORO_INSTALL = "pip install 'kokoro>=0.9.4'"


class KokoroEngine(BaseEngine):
    """Voices are those of the model's repository, such as `af_heart`: the first letter is the language.

    a, b: American and British English; e: Spanish; f: French; h: Hindi; i: Italian; j: Japanese; p: Brazilian
    Portuguese; z: Mandarin. The seed is that of the noise in the voice; `speed` runs from 0.5 to 2. The environment
    may set `DATA_SYNTH_KOKORO` (a folder with config.json, kokoro-v1_0.pth and voices/) and `DATA_SYNTH_DEVICE`.
    """

    name = "kokoro"
    batch_size = 8
    on_gpu = True
    patience_s = 600.0  # the download of the weights comes before the first clip
    parameter_ranges: ClassVar = {"speed": (0.5, 2.0)}
    languages: ClassVar = ("en", "es", "fr", "hi", "it", "ja", "pt", "zh")
    standing: ClassVar = 1
    install: ClassVar = KOKORO_INSTALL

    def __init__(self) -> None:
        self._package = require("kokoro", self.name, KOKORO_INSTALL)
        self._hardware = Hardware.from_environment()
        self._source: WeightsSource | None = None
        self._model: Any = None
        self._pipelines: dict[str, Any] = {}  # language -> what turns text into phonemes and these into sound
        self.revision = f"kokoro {version('kokoro')}"

    def voices(self) -> tuple[str, ...]:
        """The voice that its authors rate best."""
        return (FIRST_VOICE,)

    def known_voices(self) -> tuple[str, ...]:
        """The voices of the published model."""
        return KOKORO_VOICES

    def about(self, voice: str) -> VoiceFacts:
        """As its name says."""
        sex = "female" if voice[1] == "f" else "male"
        return VoiceFacts((KOKORO_LANGUAGES[voice[0]],), sex, "Apache-2.0")

    def voices_for(self, language: str) -> tuple[str, ...]:
        """One of the language."""
        return self._all_of(language)[:1]

    def more_voices(self, language: str) -> tuple[str, ...]:
        """The others of the language."""
        return self._all_of(language)[1:]

    def _all_of(self, language: str) -> tuple[str, ...]:
        return tuple(voice for voice in KOKORO_VOICES if self.about(voice).speaks(language))

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`; a voice is fetched here, once, or refused."""
        names = selected(selection, self.voices())
        for name in names:
            if not VOICE.fullmatch(name):
                raise unknown_voice(self.name, name, (FIRST_VOICE, "am_michael", "bf_emma", "ef_dora", "ff_siwis"))
            self._voice_file(name)
        return names

    def voice_revision(self, voice: str) -> str:
        """The package's version and the weights' commit or digest."""
        return f"{self.revision}, {self._weights().revision}"

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance; what Kokoro cuts a long text into is joined."""
        import torch

        pipeline = self._pipeline(utterance.voice[0])
        speed = number(utterance.parameters, "speed", 1.0)
        with torch.random.fork_rng():
            torch.manual_seed(utterance.seed)
            results = list(pipeline(utterance.text, voice=str(self._voice_file(utterance.voice)), speed=speed))
        parts = [result.audio.detach().cpu().numpy() for result in results if result.audio is not None]
        if not parts:
            raise RuntimeError("no phoneme was found for the text")
        return Waveform(np.concatenate(parts).astype(np.float32), RATE)

    def _pipeline(self, language: str) -> Any:
        if language not in self._pipelines:
            if self._model is None:
                source = self._weights()
                config, weights = (str(self._file(name)) for name in ("config.json", WEIGHTS))
                model = source.load(lambda name, **_: self._package.KModel(repo_id=name, config=config, model=weights))
                self._model = model.to(self._hardware.torch_device()).eval()
            self._pipelines[language] = self._package.KPipeline(
                lang_code=language, repo_id=self._weights().name, model=self._model
            )
        return self._pipelines[language]

    def _weights(self) -> WeightsSource:
        if self._source is None:
            self._source = find_source(self.name, *KOKORO_MODEL)
        return self._source

    def _voice_file(self, voice: str) -> Path:
        return self._file(f"voices/{voice}.pt")

    def _file(self, name: str) -> Path:
        path = self._weights().file(name)
        if path is None:
            raise SynthesisError(
                "the model has no such file", field=self.name, value=name, do=f"look into {KOKORO_MODEL[1]}"
            )
        return path
