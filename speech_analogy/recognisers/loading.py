"""How a model is loaded, and which library computes a transcription: torch, or another on the same weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal, cast

import torch

from speech_analogy.errors import ConfigError, WeightsUnavailableError
from speech_analogy.recognisers.biasing.building import TextKnowledge
from speech_analogy.recognisers.biasing.options import TextBias
from speech_analogy.recognisers.decoding import DEFAULT_DECODING, DecodingOptions
from speech_analogy.recognisers.devices import find_device
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.protocol import Backend, BiasableTranscriber, Recogniser, Transcriber
from speech_analogy.recognisers.weights import resolve_weights

CONVERSION_REPAID_S = 240.0  # of encoder window; see `choose_backend`


def load_recogniser(model: str | Path, *, language: str = "en", device: str | torch.device = "cpu") -> Recogniser:
    """Load a model by the name of its weights (see `resolve_weights`).

    Args:
        device: where it shall compute; see `find_device`.

    Raises:
        CheckpointError: it is broken, or of a family that is not supported.
        ConfigError: no such device.
    """
    folder = resolve_weights(str(model))
    return family_of(folder).open(folder, language, find_device(device))


def choose_backend(
    window_s: float, *, on_cpu: bool, installed: bool, converted: bool
) -> Literal["torch", "ctranslate2"]:
    """What `auto` stands for.

    CTranslate2 where the processor computes, its package is installed, and either the model is in the cache already
    or there is enough speech to repay its conversion; torch everywhere else.

    Measured with whisper-tiny.en tuned on trimmed windows, on one thread of an AMD EPYC (Zen 4), in processor time:
    torch takes 21 ms a second of encoder window, CTranslate2 16 ms in float32 and 8 ms in int8; converting and
    opening takes 1.5 s more than opening in torch. 1.5 s / 13 ms = 115 s of window repay it on one thread, and twice
    as much on two, of which a conversion uses one: about 50 short utterances. Both costs grow with the size of the
    model. Nothing was measured on other devices, so they stay with torch.

    Args:
        window_s: seconds of encoder window, all utterances together.
        on_cpu: whether the model is to run on the processor.
        installed: whether the package ctranslate2 is there.
        converted: whether the cache holds the converted model.
    """
    if not (on_cpu and installed):
        return "torch"
    return "ctranslate2" if converted or window_s >= CONVERSION_REPAID_S else "torch"


def load_transcriber(
    model: str | Path | Transcriber, decoding: DecodingOptions = DEFAULT_DECODING, *, window_s: float = 0.0
) -> Transcriber:
    """What transcribes with these weights, and text that biases it. A loaded model that is given stays as it is.

    Args:
        model: weights by name or folder; or a loaded recogniser, of which CTranslate2 gets the weights it holds now;
            or what another backend has opened already, which is taken as it is.
        decoding: backend, compute type, language and device.
        window_s: seconds of encoder window that are to be transcribed; for the backend `auto`.

    Raises:
        CheckpointError: the model cannot be loaded.
        ConfigError: CTranslate2 is asked for and not installed, or for another device than the processor, or in bf16;
            or the model's family takes no such text bias.
    """
    found = _opened(model, decoding, window_s)
    if decoding.text_bias is None:
        return found
    family, method = family_of(found), decoding.text_bias.options.method
    if method not in family.text_bias:
        known = f"use {' or '.join(family.text_bias)}" if family.text_bias else "leave it out"
        rule = f"{family.name} models take no such text bias"
        raise ConfigError(rule, field="text bias", value=method, do=known)
    return cast("BiasableTranscriber", found).biased(decoding.text_bias)


def _opened(model: str | Path | Transcriber, decoding: DecodingOptions, window_s: float) -> Transcriber:
    if isinstance(model, str | Path):
        loaded, folder = None, resolve_weights(str(model))
    elif model.backend != "torch":
        return model
    else:
        loaded, folder = cast("Recogniser", model), model.folder
    backend, compute = decoding.backend, decoding.compute
    place = find_device(decoding.device, backend) if loaded is None else loaded.device
    family = family_of(folder if loaded is None else loaded)
    fast = family.backends.get("ctranslate2")
    if backend == "auto" and (fast is None or compute not in fast.computes):
        backend = "torch"
    if backend == "auto" and fast is not None:
        installed = ctranslate2_installed()
        ready = installed and loaded is None and fast.converted(folder)
        backend = choose_backend(window_s, on_cpu=place.type == "cpu", installed=installed, converted=ready)
    if backend == "torch":
        found = loaded or load_recogniser(folder, language=decoding.language, device=place)
        return found.computing_in("bf16" if compute == "bf16" else "float32")
    if fast is None:
        raise ConfigError(
            f"the backend {backend} takes no {family.name} models", field="backend", value=backend, do="use torch"
        )
    if compute not in fast.computes:
        raise ConfigError(f"{backend} computes in {' or '.join(fast.computes)} here", field="compute", value=compute)
    if not ctranslate2_installed():
        raise ConfigError(
            "its package is not installed", field="backend", value="ctranslate2", do="pip install ctranslate2"
        )
    if place.type != "cpu":
        raise ConfigError("the backend ctranslate2 runs on the processor here", field="device", value=str(place))
    if loaded is None:
        return fast.open_folder(folder, decoding.language, compute)
    return fast.open_loaded(loaded, compute)


def may_decode(model: str | Path, backend: Backend) -> bool:
    """Whether the family of these weights takes a backend; True where they are not here yet, since nobody knows.

    Raises:
        CheckpointError: the weights are broken, or of a family that is not supported.
    """
    try:
        return backend == "torch" or backend in family_of(resolve_weights(str(model))).backends
    except WeightsUnavailableError:
        return True


def features_kind(model: str | Path) -> str | None:
    """What the features of these weights' family are, see `FeatureTraits`; None where the weights are not here yet.

    Raises:
        CheckpointError: the weights are broken, or of a family that is not supported.
    """
    try:
        return family_of(resolve_weights(str(model))).features.kind
    except WeightsUnavailableError:
        return None


def ctranslate2_installed() -> bool:
    """Whether the package ctranslate2 is there."""
    return importlib.util.find_spec("ctranslate2") is not None


def text_knowledge(model: str | Path, bias: TextBias, *, language: str = "en") -> TextKnowledge:
    """What a model's tokens say of a domain's texts; its weights are not read.

    Raises:
        CheckpointError: the model's folder is broken.
        ConfigError: its family takes no text bias.
    """
    folder = resolve_weights(str(model))
    family = family_of(folder)
    if family.text_knowledge is None:
        raise ConfigError(f"{family.name} models take no text bias", field="model", value=str(model))
    return family.text_knowledge(folder, language, bias)


def backend_name(transcriber: Transcriber, bias: TextBias | None = None) -> str:
    """As named in results: torch, torch-bf16, ctranslate2-int8, ctranslate2-float32; torch with lm."""
    with_text = "" if bias is None else f" with {bias.options.method}"
    if transcriber.backend == "torch":
        return f"{'torch-bf16' if transcriber.compute == 'bf16' else 'torch'}{with_text}"
    return f"{transcriber.backend}-{transcriber.compute}{with_text}"
