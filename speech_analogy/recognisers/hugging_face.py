"""Loading from a Hugging Face folder: no bars of transformers, and one error for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from speech_analogy.errors import CheckpointError, SpeechAnalogyError
from speech_analogy.foundation.model_files import require_measured, require_modest_config
from speech_analogy.merging.io.checkpoints import WEIGHT_FILES, open_checkpoint

NAMED = 3  # tensors in a message


@contextmanager
def loading(folder: Path, model: str) -> Iterator[None]:
    """Without transformers' progress bars; what goes wrong is one CheckpointError.

    Args:
        folder: that is loaded from, for the error.
        model: what it is loaded as, e.g. "a Whisper model".
    """
    try:
        with no_bars():
            yield
    except SpeechAnalogyError:
        raise
    except Exception as error:  # on strange files, each library raises what it stumbles upon
        if type(error).__name__ == "SafetensorError":
            raise CheckpointError(f"is corrupt: {error}", file=folder / "model.safetensors") from None
        message = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"cannot be loaded as {model}: {message}", file=folder) from None


def whole_model(architecture: Any, folder: Path, **options: Any) -> Any:
    """`architecture.from_pretrained(folder)`, which succeeds on half a model and draws the rest at random.

    Raises:
        CheckpointError: tensors are missing, left over or of another shape, or hold NaN or infinity; or the model is
            larger than its weights.
    """
    require_whole(architecture, folder)
    model, found = architecture.from_pretrained(folder, output_loading_info=True, **options)
    for what, key in (("are missing", "missing_keys"), ("are not the model's", "unexpected_keys"),
                      ("have other shapes than config.json says", "mismatched_keys")):  # fmt: skip
        names = sorted(name if isinstance(name, str) else str(name[0]) for name in found[key])
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            rule = f"{len(names)} tensors {what}: {', '.join(names[:NAMED])}{more}"
            do = "check that weights and config.json belong together"
            raise CheckpointError(rule, file=folder, do=do)
    broken = [name for name, tensor in model.state_dict().items() if not _finite(tensor)]
    if broken:
        rule = f"{len(broken)} tensors hold NaN or infinity: {', '.join(broken[:NAMED])}"
        raise CheckpointError(rule, file=folder, do="use the weights from before that")
    return model


def require_whole(architecture: Any, folder: Path) -> None:
    """Refuse a folder whose files claim what they do not hold, before transformers reserves memory for it.

    Raises:
        CheckpointError: broken or misleading files, an adapter beside them, a model that is larger than its weights.
    """
    if not any((folder / name).is_file() for name in WEIGHT_FILES):
        return  # transformers says what it misses
    checkpoint = open_checkpoint(folder)
    require_modest_config(folder, len(checkpoint))
    config = architecture.config_class.from_pretrained(folder)
    nbytes = sum(checkpoint.numel(name) * checkpoint.dtype(name).itemsize for name in checkpoint)
    require_measured(folder, lambda: architecture(config), nbytes)


def _finite(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor.sum(dtype=torch.float64)))


@contextmanager
def no_bars() -> Iterator[None]:
    """Temporarily hide transformers' progress bars."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
