"""What an exporter is, how it is found, and the one way to run it: the output is whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.foundation.files import whole_file, whole_folder
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.recognisers.model_record import model_type_of
from speech_analogy.recognisers.weights import resolve_weights


@dataclass(frozen=True)
class Exporter:
    """A format, registered under its name in the entry-point group `speech_analogy.exporters`.

    Args:
        write: (a complete Hugging Face folder, where to write); a folder to write into is there and empty.
        makes_folder: the output is a folder; else one file.
        families: that can be written, as `config.json` calls them; empty: any.
    """

    write: Callable[[Path, Path], None]
    makes_folder: bool = True
    families: tuple[str, ...] = ()


EXPORTERS: Plugins[Exporter] = Plugins("speech_analogy.exporters", "export format", field="to")


def export(model: str | Path, to: str, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write a model in another format, whole or not at all.

    Args:
        model: weights by name or folder; see `resolve_weights`.
        to: one of `EXPORTERS.names()`.
        overwrite: replace an earlier export.

    Returns:
        `out`.

    Raises:
        ConfigError: no such format, or it cannot hold this family of models.
        CheckpointError: the model is broken, or `out` exists and is not to be overwritten.
        WeightsUnavailableError: there is no such model.
    """
    out = Path(out)
    exporter = EXPORTERS.load(to)
    folder = resolve_weights(str(model))
    family = model_type_of(folder)
    if exporter.families and family not in exporter.families:
        raise ConfigError(f"{to} holds models of {' or '.join(exporter.families)}", field="model", value=family)
    whole = whole_folder if exporter.makes_folder else whole_file
    with whole(out, overwrite=overwrite, error=CheckpointError) as temporary:
        exporter.write(folder, temporary)
    return out
