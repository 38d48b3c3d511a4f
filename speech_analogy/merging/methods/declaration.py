"""What a merge method is: a function on one tensor of every input, and what the merger must know to call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from speech_analogy.errors import ConfigError
from speech_analogy.merging.methods.parameters import GLOBAL, MethodParameter, Role

Operand = Literal["deltas", "weights"]
"""What a method takes and gives: differences from the base (which is then needed), or weights."""

Statistics = Literal["", "entries", "inputs"]
"""What an input must bring beside its weights: nothing, a value for each entry (Fisher information), or the Gram
matrix of a layer's inputs."""


def no_draw() -> np.random.Generator:
    """In place of random numbers, for methods that declare no seed."""
    raise AssertionError("a method that draws random numbers must declare a parameter of the role seed")


@dataclass(frozen=True)
class InputTensor:
    """One input's tensor, or a flat piece of it.

    Args:
        values: its difference from the base, or its weights, as the method takes them.
        parameters: the method's `per_model` parameters for this tensor.
        weight: the parameter of the role weight; 1.0 where none is declared.
        draw: a generator that depends on the seed, the tensor's name and its values alone.
        threshold: the magnitude from which entries stay, where a density is of the whole vector.
        statistics: as the method declares (`MergeMethod.statistics`); None: the input has none for this tensor.
    """

    values: Tensor
    parameters: Mapping[str, Any]
    weight: float = 1.0
    draw: Callable[[], np.random.Generator] = no_draw
    threshold: float | None = None
    statistics: Tensor | None = None


@dataclass(frozen=True)
class TensorGroup:
    """One tensor of all inputs, in the dtype of the arithmetic.

    Args:
        parameters: the method's parameters that are not `per_model`, for this tensor.
    """

    name: str
    inputs: tuple[InputTensor, ...]
    base: Tensor | None
    parameters: Mapping[str, Any]

    @property
    def values(self) -> list[Tensor]:
        """The inputs' tensors."""
        return [item.values for item in self.inputs]

    @property
    def weights(self) -> list[float]:
        """The inputs' weights."""
        return [item.weight for item in self.inputs]


@dataclass(frozen=True)
class MergeMethod:
    """A merge method. The merger acts on this declaration alone, whatever the names of method and parameters.

    Args:
        name: as merge files and the entry point have it.
        merge: one tensor of all inputs -> one tensor: the difference to add to the base, or the weights.
        on: what it takes and gives.
        reference: the paper.
        parameters: with their roles: a method draws at random, trims or scales if it declares a parameter that says so.
        elementwise: entries do not depend on each other, so large tensors can be merged piece by piece.
        symmetric: the order of the inputs means nothing, so they are brought into one that the contents decide.
        base_is_input: the base is the first input, and the others are exactly as many as `others`.
        min_inputs: inputs beside the base.
        sums: `merge` is Σ w_i x_i, divided by Σ w_i where the parameter of the role normalize says so; such methods
            have a faster path (`engine/sums.py`).
        statistics: what each input must bring beside its weights.
    """

    name: str
    merge: Callable[[TensorGroup], Tensor]
    on: Operand
    reference: str
    parameters: tuple[MethodParameter, ...] = ()
    elementwise: bool = False
    symmetric: bool = True
    base_is_input: bool = False
    others: int = 1
    min_inputs: int = 1
    sums: bool = False
    statistics: Statistics = ""

    def __post_init__(self) -> None:
        roles = [parameter.role for parameter in self.parameters if parameter.role is not None]
        for attribute, values in (("parameter", self.known()), ("role", [role.value for role in roles])):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ConfigError(f"a merge method must declare each {attribute} once", field=self.name, value=twice)

    def known(self, per_model: bool | None = None) -> list[str]:
        """The names of its parameters: all, those of each input, or those of the merge."""
        return [item.name for item in self.parameters if per_model is None or item.per_model == per_model]

    def named(self, role: Role) -> MethodParameter | None:
        """The parameter of this role; None where none is declared."""
        return next((parameter for parameter in self.parameters if parameter.role is role), None)

    def plays(self, role: Role) -> bool:
        """Whether a parameter has this role."""
        return self.named(role) is not None

    def value(self, role: Role, values: Mapping[str, Any], otherwise: Any) -> Any:
        """The value of the parameter of this role.

        Args:
            values: parameters by name.
            otherwise: if none is declared.
        """
        parameter = self.named(role)
        return otherwise if parameter is None else values[parameter.name]

    def weight(self, own: Mapping[str, Any]) -> float:
        """What an input is multiplied by."""
        return float(self.value(Role.WEIGHT, own, 1.0))

    def scale(self, shared: Mapping[str, Any], depth: float) -> float:
        """What the merged difference is multiplied by, `depth` (0 to 1) deep in the model."""
        scale = self.value(Role.SCALE, shared, 1.0)
        return float(scale + self.value(Role.GROWTH, shared, 0.0) * depth) if self.plays(Role.GROWTH) else float(scale)

    def normalizes(self, shared: Mapping[str, Any]) -> bool:
        """Whether a sum is divided by the sum of the weights."""
        return bool(self.value(Role.NORMALIZE, shared, False))

    def density_of_the_vector(self, own: Mapping[str, Any], shared: Mapping[str, Any]) -> float | None:
        """The share of an input's entries that stay, over all its tensors; None: tensors are trimmed one by one."""
        together = self.value(Role.TRIM, shared, None) == GLOBAL
        return float(self.value(Role.DENSITY, own, 1.0)) if together else None
