"""Loading from a Hugging Face folder: no bars of transformers, and one error for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers.utils import logging

from speech_analogy.errors import CheckpointError


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
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        message = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"cannot be loaded as {model}: {message}", file=folder) from None
    except Exception as error:  # safetensors raises its own type for a corrupt file
        if type(error).__name__ != "SafetensorError":
            raise
        raise CheckpointError(f"is corrupt: {error}", file=folder / "model.safetensors") from None


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
