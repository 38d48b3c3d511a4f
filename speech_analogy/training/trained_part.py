"""What of a model is trained: all of it, all but some parts, or low-rank adapters (PEFT's LoRA) on frozen weights."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.suggest import closest
from speech_analogy.training.options import LoraOptions

ADAPTER = "default"  # PEFT's own name for the only adapter
PEFT_PREFIX = "base_model.model."  # of every tensor in a PEFT folder


def freeze(model: torch.nn.Module, parts: Iterable[str]) -> None:
    """Leave parts of a model untrained.

    Args:
        model: any; its parameters' `requires_grad` is changed.
        parts: names of modules such as `encoder` or `decoder.layers`, found anywhere in a parameter's path, or
            patterns of whole parameter names such as `model.decoder.embed_*`.

    Raises:
        ConfigError: a part is nowhere in the model, or nothing is left to be trained.
    """
    parameters = dict(model.named_parameters())
    for name in lies_in(parameters, parts, field="freeze"):
        parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ConfigError("something must be left to be trained", field="freeze", value=", ".join(parts))


def lies_in(parameters: Iterable[str], parts: Iterable[str], *, field: str) -> list[str]:
    """The names of parameters that lie in one of `parts` (see `freeze`).

    Raises:
        ConfigError: of `field`, if nothing lies in a part.
    """
    names, found = list(parameters), set()
    for part in parts:
        inside = [name for name in names if f".{part}." in f".{name}." or fnmatchcase(name, part)]
        if not inside:
            known = sorted({word for name in names for word in name.split(".") if not word.isdigit()})
            near = closest(part, known)
            do = f"did you mean {near!r}?" if near else "name a module, or a pattern of parameter names"
            raise ConfigError("matches no parameter of the model", field=field, value=part, do=do)
        found.update(inside)
    return [name for name in names if name in found]


def checkpoint_activations(model: Any, on: bool) -> None:
    """Have transformers keep the activations between layers alone and compute the rest again, or stop that."""
    if hasattr(model, "activation_checkpointing_enable"):  # the name from transformers 5 on
        model.activation_checkpointing_enable() if on else model.activation_checkpointing_disable()
    else:
        model.gradient_checkpointing_enable() if on else model.gradient_checkpointing_disable()


def compile_layers(model: torch.nn.Module, on: bool) -> None:
    """Have torch.compile fuse what lies between the products in each encoder layer, or stop that.

    One kernel for all lengths: batches differ in their windows. Weights and their names stay as they are.

    Raises:
        ConfigError: the model has no encoder layers, or torch finds no C++ compiler.
    """
    layers = [module for module in model.modules() if type(module).__name__.endswith("EncoderLayer")]
    if not layers:
        raise ConfigError("the model has no encoder layers", field="compile", value=type(model).__name__)
    if on:
        _require_compiler(model)
    for layer in layers:
        if on:
            layer.compile(dynamic=True)
        else:
            layer._compiled_call_impl = None


def _require_compiler(model: torch.nn.Module) -> None:
    if next(model.parameters()).device.type != "cpu":
        return
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise ConfigError(
            "torch finds no C++ compiler", field="compile", value=True, do="install g++, or leave it off"
        ) from None


class Adapters:
    """LoRA adapters (Hu et al., arXiv 2106.09685) put into a model in place: W x becomes W x + α/r · B A x.

    Args:
        model: its own weights are frozen; the adapters are the only parameters that are trained.
        options: rank, α and the modules that get one.
        seed: of A's random values (B begins at zero, so the model begins as it was).

    Raises:
        ConfigError: PEFT is not installed, or no module has such a name.
    """

    def __init__(self, model: torch.nn.Module, options: LoraOptions, seed: int) -> None:
        try:
            from peft import LoraConfig, LoraModel
        except ImportError as error:
            raise ConfigError(
                f"LoRA needs peft ({error})", field="lora", do="install it: pip install 'speech-analogy[lora]'"
            ) from None
        self.config = LoraConfig(
            r=options.rank, lora_alpha=options.alpha, lora_dropout=0.0, target_modules=list(options.modules)
        )
        torch.manual_seed(seed)
        try:
            self._tuner: Any = LoraModel(model, {ADAPTER: self.config}, ADAPTER)
        except ValueError:
            raise ConfigError(
                "no module of the model has such a name", field="lora.modules", value=", ".join(options.modules)
            ) from None

    def save(self, folder: Path) -> None:
        """Write the adapters as a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`."""
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self._tuner.model, adapter_name=ADAPTER)
        folder.mkdir(parents=True)
        tensors = {PEFT_PREFIX + name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        self.config.save_pretrained(str(folder))

    def merge(self) -> None:
        """Add the adapters to the weights and take them out of the model: W + α/r · B A, in the weights' dtype."""
        self._tuner.merge_and_unload()
