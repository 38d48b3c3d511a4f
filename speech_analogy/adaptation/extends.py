"""Recipes that extend others: `extends: ../phone_line/recipe.yaml`, and below it what differs."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_analogy.adaptation.data_options import corpus_of
from speech_analogy.errors import ConfigError
from speech_analogy.foundation.user_files.plain import is_file, is_folder
from speech_analogy.foundation.user_files.yaml_text import read_yaml

EXTENDS = "extends"
RECIPE_FILE = "recipe.yaml"
CHANNELS = (("channel", "options"), ("synthesis", "source", "channel"), ("synthesis", "target", "channel"))
CORPORA = (("source",), ("target", "test"))  # that may be written as a string, PATH or KIND:PATH
TEXTS = ("target", "texts")
PATHS = (
    ("corpus", "path"),
    ("source", "path"),
    ("target", "test", "path"),
    ("target", "unlabelled"),
    TEXTS,
    *((*at, "responses") for at in CHANNELS),
    *((*at, "noise", "files") for at in CHANNELS),
)
"""Keys whose values are paths relative to the folder of the recipe that states them."""


@dataclass(frozen=True)
class RecipeSource:
    """A recipe as it is written: its own keys over those of the recipes that it extends.

    Attributes:
        content: all keys, merged; paths are relative to the folder of the first of `files`.
        files: the recipe, the one it extends, the one that one extends, ...
        layers: what each of the files states itself.
    """

    content: dict[str, Any]
    files: tuple[Path, ...]
    layers: tuple[dict[str, Any], ...]

    @classmethod
    def unwritten(cls, content: dict[str, Any]) -> RecipeSource:
        """A recipe that stands in no file."""
        return cls(content, (), ())

    def file_of(self, field: Sequence[str]) -> Path | None:
        """The file that states a key, or the deepest section of it that any file states; the first of equals."""
        if not self.files:
            return None
        return max(zip(self.files, self.layers, strict=True), key=lambda pair: _depth(pair[1], field))[0]


def read_source(path: Path) -> RecipeSource:
    """Read a recipe and every recipe that it extends.

    Args:
        path: a YAML file, or the folder that holds a recipe.yaml.

    Raises:
        ConfigError: a file is missing or is no mapping in YAML; a recipe extends itself, directly or through others.
    """
    file = path / RECIPE_FILE if is_folder(path) else path
    files, layers = [file], [_mapping(file)]
    while (base := layers[-1].pop(EXTENDS, None)) is not None:
        if not isinstance(base, str):
            raise ConfigError("must be the path of a recipe", file=files[-1], field=EXTENDS, value=base)
        file = files[-1].parent / base
        file = file / RECIPE_FILE if is_folder(file) else file
        if not is_file(file):
            raise ConfigError("no such recipe", file=files[-1], field=EXTENDS, value=base)
        if any(file.samefile(earlier) for earlier in files):
            chain = " -> ".join(str(one) for one in (*files, file))
            raise ConfigError(f"a recipe must not extend itself: {chain}", file=files[0], field=EXTENDS)
        files.append(file)
        layers.append(_mapping(file))
    content: dict[str, Any] = {}
    for file, layer in zip(reversed(files), reversed(layers), strict=True):
        content = merged(content, _relative_to(layer, file.parent, files[0].parent))
    return RecipeSource(copy.deepcopy(content), tuple(files), tuple(layers))


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `base`: mappings are merged key by key, at every depth; lists and single values replace."""
    both = dict(base)
    for key, value in own.items():
        inherited = both.get(key)
        both[key] = merged(inherited, value) if isinstance(inherited, dict) and isinstance(value, dict) else value
    return both


def _mapping(file: Path) -> dict[str, Any]:
    do = "name a recipe.yaml or the folder that holds one"
    content = read_yaml(file, ConfigError, missing="no such recipe", do=do)
    if not isinstance(content, dict):
        raise ConfigError("must be a mapping of keys to values", file=file, value=type(content).__name__)
    return content


def _relative_to(layer: dict[str, Any], own: Path, run: Path) -> dict[str, Any]:
    """The layer with its paths, which are relative to `own`, made relative to `run`."""
    here, there = own.resolve(), run.resolve()
    if here == there:
        return layer

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(one) for one in value]
        if isinstance(value, dict):  # a source of texts
            return {key: moved(one) if key in ("path", "slots") else one for key, one in value.items()}
        if not isinstance(value, str) or Path(value).is_absolute():
            return value
        return os.path.relpath(here / value, there)

    for *sections, last in CORPORA:
        for section in _sections(layer, sections):
            if isinstance(section.get(last), str):
                layer = merged(layer, _nested((*sections, last), corpus_of(section[last])))
    for *sections, last in PATHS:
        for section in _sections(layer, sections):
            if last in section:
                layer = merged(layer, _nested((*sections, last), moved(section[last])))
    return layer


def _sections(layer: dict[str, Any], path: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The section that a path leads to, if there is one."""
    section: Any = layer
    for part in path:
        section = section.get(part) if isinstance(section, dict) else None
    if isinstance(section, dict):
        yield section


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    return dict(value)


def _depth(layer: Any, field: Sequence[str]) -> int:
    """How many parts of a dotted key lead to something that the layer states."""
    for depth, part in enumerate(field):
        if not isinstance(layer, dict) or part not in layer:
            return depth
        layer = layer[part]
    return len(field)
