"""OpenAI `.pt` files and `pytorch_model.bin`, read without running any code they may carry."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError

CONTAINERS = ("model_state_dict", "state_dict", "model")
"""Keys under which training programs put the weights; `model_state_dict` is OpenAI Whisper's."""


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a PyTorch file, memory-mapped where its format allows it (zip, since PyTorch 1.6).

    Raises:
        CheckpointError: code in the file, a broken file, no tensors in it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise CheckpointError(
            "a checkpoint must hold only tensors, no code",
            file=path,
            value=found[1] if found else str(error).splitlines()[0][:120],
            do="ask its author for safetensors; this file is not loaded",
        ) from None
    except OSError as error:
        raise CheckpointError(f"the file must be readable: {error.strerror}", file=path) from None
    except Exception as error:  # torch raises RuntimeError, ValueError, EOFError, KeyError, ... on broken files
        raise CheckpointError(
            f"not a readable PyTorch file: {type(error).__name__}: {str(error)[:120]}",
            file=path,
            do="copy the file again",
        ) from None
    return _tensors(path, content)


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for key in CONTAINERS:
            if isinstance(content.get(key), Mapping):
                content = content[key]
                break
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError("a checkpoint must map names to tensors", file=path, value=type(content).__name__)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                "a checkpoint must map names to tensors",
                file=path,
                field=str(name),
                value=type(value).__name__,
            )
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise CheckpointError("tensors must be dense and not quantised", file=path, field=name)
    return {name: value.detach().contiguous() for name, value in content.items()}
