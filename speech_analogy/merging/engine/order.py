"""An order of inputs, and random numbers for each, that depend on their parameters and contents alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cmp_to_key, partial
from typing import Any

import torch

from speech_analogy.merging.methods.declaration import InputTensor
from speech_analogy.merging.methods.randomness import content_key, generator
from speech_analogy.merging.tensors import pieces


def in_order(inputs: Sequence[InputTensor]) -> list[InputTensor]:
    """The inputs by parameters, then by contents: the same whatever order they were given in."""
    return sorted(inputs, key=cmp_to_key(_compare))


def with_draws(inputs: Sequence[InputTensor], name: str, seed: int) -> list[InputTensor]:
    """The inputs with random numbers of their own for tensor `name`; equal inputs get different ones."""
    found: list[InputTensor] = []
    for position, item in enumerate(inputs):
        occurrence = sum(1 for other in inputs[:position] if torch.equal(other.values, item.values))
        key = content_key(item.values, occurrence)
        found.append(replace(item, draw=partial(generator, seed, name, key)))
    return found


def as_text(parameters: Mapping[str, Any]) -> str:
    """Parameters as something that can be compared."""
    return json.dumps(dict(parameters), sort_keys=True)


def _compare(one: InputTensor, two: InputTensor) -> int:
    left, right = as_text(one.parameters), as_text(two.parameters)
    if left != right:
        return -1 if left < right else 1
    a, b = one.values.reshape(-1), two.values.reshape(-1)
    for start, stop in pieces(len(a)):
        differ = torch.nonzero(a[start:stop] != b[start:stop])
        if len(differ):
            at = start + int(differ[0])
            return -1 if float(a[at]) < float(b[at]) else 1
    return 0
