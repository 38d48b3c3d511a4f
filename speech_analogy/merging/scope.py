"""Which value applies to which tensor: by encoder, decoder, layers, kind of module, name pattern or depth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.suggest import closest

LAYER_LISTS = frozenset({"layers", "layer", "blocks", "block", "h"})
"""The name of the list of layers in Whisper, Conformer, OpenAI's Whisper, T5, BERT and GPT."""

Q = frozenset({"q_proj", "query", "linear_q", "q"})
K = frozenset({"k_proj", "key", "linear_k", "k"})
V = frozenset({"v_proj", "value", "linear_v", "v"})
ATTENTION_OUT = frozenset({"out_proj", "out", "o_proj", "linear_out", "o"})
MLP = frozenset({"fc1", "fc2", "mlp", "up_proj", "gate_proj", "down_proj", "intermediate_dense", "output_dense"})
MODULE_KINDS = ("q", "k", "v", "attention-out", "mlp", "norm", "embedding", "conv", "other")


@dataclass(frozen=True)
class Place:
    """Where in a network a tensor sits, as far as its name shows."""

    name: str
    part: str | None
    layer: int | None
    kind: str
    cross: bool
    leaf: str


def place_of(name: str) -> Place:
    """Read a tensor's name, e.g. `model.decoder.layers.3.encoder_attn.q_proj.weight`."""
    words = name.split(".")
    part = next((word for word in words if word in ("encoder", "decoder")), None)
    layer = next(
        (int(after) for word, after in pairwise(words) if word in LAYER_LISTS and after.isdigit()),
        None,
    )
    cross = any(word.startswith(("encoder_attn", "cross_attn")) for word in words)
    return Place(name, part, layer, _kind(words), cross, words[-1])


def _kind(words: Sequence[str]) -> str:
    if any("norm" in word or word.endswith("_ln") or word.startswith("ln_") or word == "ln" for word in words):
        return "norm"
    if any("embed" in word or word in ("wte", "wpe", "shared") for word in words):
        return "embedding"
    if any(word.startswith("conv") for word in words):
        return "conv"
    for kind, names in (("q", Q), ("k", K), ("v", V), ("attention-out", ATTENTION_OUT), ("mlp", MLP)):
        if any(word in names for word in words):
            return kind
    return "other"


_WORDS: dict[str, Callable[[Place], bool]] = {
    "all": lambda place: True,
    "encoder": lambda place: place.part == "encoder",
    "decoder": lambda place: place.part == "decoder",
    "qkv": lambda place: place.kind in ("q", "k", "v"),
    "attention": lambda place: place.kind in ("q", "k", "v", "attention-out"),
    "cross-attention": lambda place: place.cross and place.kind in ("q", "k", "v", "attention-out"),
    "bias": lambda place: place.leaf == "bias",
    "weight": lambda place: place.leaf == "weight",
    **{kind: (lambda place, kind=kind: place.kind == kind) for kind in MODULE_KINDS},  # type: ignore[misc]
}

_LAYERS = re.compile(r"(?:(encoder|decoder)\.)?layers?\.(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Scope:
    """A set of tensors, written as words that must all hold.

    Words: `encoder`, `decoder`, `layers.4`, `layers.0-5`, `decoder.layers.0-2`, a kind (`q`, `k`, `v`, `qkv`,
    `attention`, `cross-attention`, `mlp`, `norm`, `embedding`, `conv`, `bias`, `weight`), a pattern with `*`
    matched against the whole name, or any of these after `!` (must not hold). Example: `decoder.layers.0-5
    qkv !bias`.
    """

    text: str
    tests: tuple[Callable[[Place], bool], ...]

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read a scope.

        Raises:
            ConfigError: an unknown word, with the nearest valid one.
        """
        words = text.split()
        if not words:
            raise ConfigError("a scope must have at least one word", field="scope", do="write e.g. 'encoder'")
        return cls(text, tuple(_test(word) for word in words))

    def __contains__(self, name: object) -> bool:
        place = place_of(str(name))
        return all(test(place) for test in self.tests)


def _test(word: str) -> Callable[[Place], bool]:
    if word.startswith("!"):
        inner = _test(word[1:])
        return lambda place: not inner(place)
    if "*" in word:
        return lambda place: fnmatchcase(place.name, word)
    if word in _WORDS:
        return _WORDS[word]
    layers = _LAYERS.fullmatch(word)
    if layers:
        part, first, last = layers[1], int(layers[2]), int(layers[3] or layers[2])
        return lambda place: place.layer is not None and first <= place.layer <= last and part in (None, place.part)
    near = closest(word, _WORDS)
    raise ConfigError(
        "no such scope",
        field="scope",
        value=word,
        do=f"did you mean {near!r}?" if near else f"use {', '.join(_WORDS)}, layers.0-5, or a pattern with *",
    )


@dataclass(frozen=True)
class ScopedScale:
    """λ by scope: the first rule that contains a tensor gives its scale, else `default`. An `arithmetic.Scale`."""

    rules: tuple[tuple[Scope, float], ...]
    default: float = 0.0

    @classmethod
    def parse(cls, rules: Iterable[str], default: float = 0.0) -> ScopedScale:
        """Read rules such as `encoder=0.5` or `decoder.layers.0-2 qkv=1`."""
        parsed: list[tuple[Scope, float]] = []
        for rule in rules:
            scope, _, value = rule.rpartition("=")
            try:
                factor = float(value) if scope else None
            except ValueError:
                factor = None
            if factor is None:
                raise ConfigError(
                    "a scoped scale must be SCOPE=NUMBER", field="scale", value=rule, do="write e.g. encoder=0.5"
                )
            parsed.append((Scope.parse(scope), factor))
        return cls(tuple(parsed), default)

    def __call__(self, name: str) -> float:
        return next((value for scope, value in self.rules if name in scope), self.default)


class Depth:
    """How deep each tensor sits, from the names of a whole model.

    Attributes:
        layers: encoder, decoder or None -> number of layers.
    """

    def __init__(self, names: Iterable[str]) -> None:
        places = [place_of(name) for name in names]
        parts = {place.part for place in places if place.layer is not None}
        self.layers = {
            part: 1 + max(place.layer for place in places if place.part == part and place.layer is not None)
            for part in parts
        }

    def in_part(self, name: str) -> float:
        """0 at the first layer of the encoder or decoder, 1 at its last, and 0 outside layers (mergekit's
        `t`)."""
        place = place_of(name)
        if place.layer is None or place.part not in self.layers:
            return 0.0
        layers = self.layers[place.part]
        return place.layer / (layers - 1) if layers > 1 else 1.0

    def in_model(self, name: str) -> float:
        """0 at the first layer of the whole network, 1 at its last; the decoder's layers follow the
        encoder's.

        A tensor before the layers of its part counts as in the first of them, one after them (a final norm)
        as in the last.
        """
        place = place_of(name)
        before = self.layers.get("encoder", 0) if place.part == "decoder" else 0
        layers = self.layers.get(place.part, 0)
        total = sum(self.layers.values())
        if total < 2:
            return 1.0
        outside = layers - 1 if place.kind in ("norm", "other") else 0
        layer = place.layer if place.layer is not None else max(0, outside)
        return min(before + layer, total - 1) / (total - 1)


def lines(names: Iterable[str], first: float, last: float) -> Callable[[str], float]:
    """LiNeS (arXiv 2410.17146, eq. 2): the scale grows linearly with depth, `first` at layer 1 to `last` at
    layer L.

    The paper writes α + β·(l − 1)/(L − 1): first = α, last = α + β.
    """
    depth = Depth(names)
    return lambda name: first + (last - first) * depth.in_model(name)


Scalar = float | int | bool | str


@dataclass(frozen=True)
class Setting:
    """One parameter of a merge file, in mergekit's forms: a value, a gradient over layers, or a list by
    filter.

    A filter is a substring of the tensor's name (`*` or none: all); ours may instead be a `scope`.
    """

    cases: tuple[tuple[Callable[[str], bool], tuple[Scalar, ...]], ...]
    raw: Any

    @classmethod
    def parse(cls, raw: Any, field: str) -> Setting:
        """Read a setting.

        Raises:
            ConfigError: an empty list, a wrong key, a value that is none.
        """
        listed = isinstance(raw, list) and any(isinstance(item, Mapping) for item in raw)
        items = raw if listed else [raw]
        return cls(tuple(_case(item, field) for item in items), raw)

    def at(self, name: str, t: float) -> Scalar | None:
        """The value for one tensor at depth `t` in [0, 1]; None where no filter matches."""
        for matches, values in self.cases:
            if matches(name):
                return _interpolated(values, t)
        return None


def _case(item: Any, field: str) -> tuple[Callable[[str], bool], tuple[Scalar, ...]]:
    matches: Callable[[str], bool] = lambda name: True  # noqa: E731
    if isinstance(item, Mapping):
        unknown = sorted(set(item) - {"value", "filter", "scope"})
        if unknown or "value" not in item or {"filter", "scope"} <= set(item):
            raise ConfigError(
                "a conditional value must have `value` and one of `filter`, `scope`", field=field, value=dict(item)
            )
        if item.get("scope") is not None:
            scope = Scope.parse(str(item["scope"]))
            matches = scope.__contains__
        elif item.get("filter") not in (None, "*"):
            substring = str(item["filter"])
            matches = lambda name: substring in name  # noqa: E731
        item = item["value"]
    values = tuple(_scalar(value) for value in (item if isinstance(item, list) else [item]))
    if not values or not all(isinstance(value, float | int | bool | str) for value in values):
        raise ConfigError("a parameter must be a value or a list of values", field=field, value=item)
    return matches, values


def _scalar(value: Any) -> Any:
    """YAML reads 1e-3 as a string; a string that is a number is one."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _interpolated(values: tuple[Scalar, ...], t: float) -> Scalar:
    """A gradient at t: linear between numbers, the nearest lower one of anything else (as mergekit does)."""
    if len(values) == 1:
        return values[0]
    position = t * (len(values) - 1)
    low = min(int(position), len(values) - 1)
    high = min(low + 1, len(values) - 1)
    one, two = values[low], values[high]
    if any(isinstance(value, bool | str) for value in (one, two)):
        return one
    return (1 - (position - low)) * float(one) + (position - low) * float(two)
