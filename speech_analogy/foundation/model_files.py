"""Model folders of any origin: what their files claim is bounded before anything is built or reserved for it.

Libraries build what `config.json` says and fill in what the weights lack, whatever that takes. Nothing here imports
torch before a model is measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from speech_analogy.errors import CheckpointError, SpeechAnalogyError, shortened
from speech_analogy.foundation.user_files.json_text import read_json

MOST_JSON_BYTES = 32_000_000  # tokenizer.json of Whisper's has 4 MB
MOST_RECORD_BYTES = 1_000_000_000  # of what was trained on: 24 bytes a cut
MODEL_RECORD_FILE = "provenance.json"
MOST_SIDE = 1 << 60  # of an array
MOST_LAYERS = 512  # the largest published models have some 130
MOST_LISTED = 100_000  # entries of a list in config.json
TENSORS_A_LAYER = 4  # at the least
ELEMENTS_A_BYTE = 2  # of the weights' files; weights of half a byte are the smallest there are
BUFFER_ELEMENTS = 50_000_000  # that a model makes itself, such as positions
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_LAYERS = re.compile(r"(?:^|_)(?:n_)?layers?$|^num_.*layers$|^depths?$")
_PER_LAYER = re.compile(r"^conv_|^tdnn_|_dilation|_kernel|_rates$")


def model_json(file: Path, error: type[SpeechAnalogyError] = CheckpointError) -> dict[str, Any]:
    """The JSON object in a file of a model folder; {} where there is none.

    Raises:
        SpeechAnalogyError: of the type `error`: it is no JSON object, or larger than `MOST_JSON_BYTES`, a record than
            `MOST_RECORD_BYTES`.
    """
    if not file.exists():
        return {}
    most = MOST_RECORD_BYTES if file.name == MODEL_RECORD_FILE else MOST_JSON_BYTES
    content = read_json(file, error, broken="the file must be JSON", most_bytes=most)
    if not isinstance(content, dict):
        raise error("the file must hold a JSON object", file=file, value=type(content).__name__)
    return content


def read_array(file: Path) -> Any:
    """The array of a `.npy` file, for which no more memory is taken than the file has bytes.

    Raises:
        OSError, ValueError, EOFError: it is not there, broken, larger than the file, or pickled.
    """
    import numpy as np

    with file.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    claimed = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and (claimed > file.stat().st_size or not all(0 <= side <= MOST_SIDE for side in shape)):
        raise ValueError(f"an array of shape {shape} does not fit the file")
    return np.load(file, allow_pickle=False)


def require_modest_config(
    folder: Path, tensors: int | None = None, error: type[SpeechAnalogyError] = CheckpointError
) -> dict[str, Any]:
    """Refuse a `config.json` with more layers than any model, or than the weights have tensors for; returns it.

    An adapter beside it is refused too: transformers would load the model that it names in place of this one.

    Args:
        tensors: in the weights, where they were counted.

    Raises:
        SpeechAnalogyError: of the type `error`, with the key.
    """
    if (folder / "adapter_config.json").is_file():
        raise error("a folder of an adapter is no whole model", file=folder, do="merge the adapter into its base")
    file = folder / "config.json"
    config = model_json(file, error)
    most = MOST_LAYERS if tensors is None else min(MOST_LAYERS, max(tensors // TENSORS_A_LAYER, TENSORS_A_LAYER))
    for key, value in _leaves(config):
        name = key.rpartition(".")[2]
        length = len(value) if isinstance(value, list) else None
        layers = value if isinstance(value, int) and _LAYERS.search(name) else length
        limit = most if length is None or _PER_LAYER.search(name) else MOST_LISTED
        if layers is not None and layers > limit:
            rule = f"the weights are of at most {limit} layers" if tensors else f"must be at most {limit}"
            raise error(rule, file=file, field=shortened(key), value=layers, do="copy the model again")
    return config


def require_measured(
    folder: Path, build: Callable[[], Any], nbytes: int | None = None, error: type[SpeechAnalogyError] = CheckpointError
) -> None:
    """Refuse a model that is larger than its weights: built without memory, on torch's device `meta`, and counted.

    Args:
        build: makes the model as `config.json` says, for instance `lambda: architecture(config)`.
        nbytes: of the weights; None: of all files of weights in the folder.

    Raises:
        SpeechAnalogyError: of the type `error`.
    """
    import torch

    if nbytes is None:
        nbytes = sum(file.stat().st_size for file in folder.iterdir() if file.suffix in WEIGHTS)
    with torch.device("meta"):
        model = build()
    found = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    most = nbytes * ELEMENTS_A_BYTE + BUFFER_ELEMENTS
    if found > most:
        raise error(
            f"a model of {found} numbers does not fit its weights of {nbytes} bytes",
            file=folder / "config.json",
            do="check that weights and config.json belong together",
        )


def _leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested objects by dotted key; lists whole."""
    waiting = [(key, content)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{key}.{name}" if key else str(name), inner) for name, inner in value.items()]
        else:
            yield key, value
