"""What an exporter is, how it is found, and the one way to run it: the output is whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.export.card import write_export_card
from speech_analogy.foundation.files import whole_file, whole_folder
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.foundation.suggest import nearest
from speech_analogy.recognisers.model_record import model_type_of
from speech_analogy.recognisers.weights import resolve_weights


@dataclass(frozen=True)
class Exporter:
    """A format, registered under its name in the entry-point group `speech_analogy.exporters`.

    Args:
        write: (a complete Hugging Face folder, where to write); a folder to write into is there and empty.
        makes_folder: the output is a folder; else one file.
        families: that can be written, as `config.json` calls them; empty: any.
        quantizations: the types that weights may have there, the one that `write` gives first; empty: no choice.
        quantized: (folder, where to write, one of `quantizations`).
        use: how a folder of this format is loaded, as Markdown, for its README.md.
        library: what Hugging Face calls the library that loads it.
    """

    write: Callable[[Path, Path], None]
    makes_folder: bool = True
    families: tuple[str, ...] = ()
    quantizations: tuple[str, ...] = ()
    quantized: Callable[[Path, Path, str], None] | None = None
    use: str = ""
    library: str = ""


EXPORTERS: Plugins[Exporter] = Plugins("speech_analogy.exporters", "export format", field="to")


def export(
    model: str | Path, to: str, out: str | Path, *, quantization: str | None = None, overwrite: bool = False
) -> Path:
    """Write a model in another format, whole or not at all; a folder has a README.md.

    Args:
        model: weights by name or folder; see `resolve_weights`.
        to: one of `EXPORTERS.names()`.
        quantization: one of the format's own types; None: as its exporter does without.
        overwrite: replace an earlier export.

    Returns:
        `out`.

    Raises:
        ConfigError: no such format, it has no such type, or it cannot hold this family of models.
        CheckpointError: the model is broken, or `out` exists and is not to be overwritten.
        WeightsUnavailableError: there is no such model.
    """
    out = Path(out)
    exporter = EXPORTERS.load(to)
    write = _writer(exporter, to, quantization)
    folder = resolve_weights(str(model))
    family = model_type_of(folder)
    if exporter.families and family not in exporter.families:
        raise ConfigError(f"{to} holds models of {' or '.join(exporter.families)}", field="model", value=family)
    whole = whole_folder if exporter.makes_folder else whole_file
    with whole(out, overwrite=overwrite, error=CheckpointError) as temporary:
        write(folder, temporary)
        if exporter.makes_folder:
            write_export_card(folder, temporary, exporter.use, exporter.library)
    return out


def _writer(exporter: Exporter, to: str, quantization: str | None) -> Callable[[Path, Path], None]:
    """What writes with this quantization."""
    quantized = exporter.quantized
    if quantization is None:
        return exporter.write
    if quantized is None:
        having = ", ".join(name for name in EXPORTERS.names() if EXPORTERS.load(name).quantized)
        raise ConfigError(f"{to} has one type of weights", field="quantization", value=quantization, do=f"use {having}")
    if quantization not in exporter.quantizations:
        do = nearest(quantization, exporter.quantizations)
        raise ConfigError(f"{to} has no such type", field="quantization", value=quantization, do=do)
    return lambda folder, out: quantized(folder, out, quantization)
