"""A checked merge plan that can make any tensor of its result, whole or piece by piece, in any thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.foundation.page.wording import plural
from speech_analogy.foundation.suggest import nearest
from speech_analogy.merging.arithmetic import cast_piece, shifted
from speech_analogy.merging.engine.order import as_text, in_order, with_draws
from speech_analogy.merging.engine.sums import WeightedSum
from speech_analogy.merging.io.header import TensorSpec
from speech_analogy.merging.methods.declaration import InputTensor, MergeMethod, TensorGroup
from speech_analogy.merging.methods.parameters import Definitions, Role
from speech_analogy.merging.methods.selection import kept, largest_magnitudes, source_stream
from speech_analogy.merging.scope import Depth, Setting
from speech_analogy.merging.tensors import (
    PIECE_LENGTH,
    Computed,
    TensorSource,
    Union,
    WholeTensors,
    accumulator,
    is_finite,
    one_torch_thread,
    pieces,
    require_finite,
    require_same_layout,
)

WORKING_COPIES = 4  # tensors of the result's size that a method may need beside its inputs
FLOAT32_BYTES = 4


@dataclass(frozen=True)
class MergeInput:
    """A model or a vector that is merged.

    Args:
        source: weights, or differences from the base.
        is_delta: whether they are differences; a tensor they lack is then zero.
        settings: its own parameters, by name.
        statistics: by tensor name, where the method declares them (`MergeMethod.statistics`).
    """

    source: TensorSource
    is_delta: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)
    statistics: TensorSource | None = None


@dataclass(frozen=True)
class MergePlan:
    """What is merged, how, and into what.

    Args:
        base: needed by methods on differences, unless all inputs are differences (then the result is one
            too).
        settings: parameters of the merge; those of an input take precedence.
        definitions: whose defaults hold for parameters that are not set.
        dtype: of the result's weights; None: the base's, or the first input's.
        precision: of the arithmetic, float32 or float64.
    """

    method: MergeMethod
    inputs: Sequence[MergeInput]
    base: TensorSource | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    definitions: Definitions = "paper"
    dtype: torch.dtype | None = None
    precision: torch.dtype = torch.float32


class Merger:
    """A checked plan that can make any tensor of its result."""

    def __init__(self, plan: MergePlan) -> None:
        self.plan, self.method, self.base = plan, plan.method, plan.base
        self._dtypes: dict[str, torch.dtype] = {}
        self._parameters: dict[tuple[str, int], dict[str, Any]] = {}
        self._references: dict[str, TensorSource | None] = {}
        self._shifts = plan.method.sums and plan.method.on == "deltas" and plan.base is not None
        self._require_sound()
        self.gives_delta = self.base is None and all(item.is_delta for item in plan.inputs)
        models = [item.source for item in plan.inputs if not item.is_delta]
        require_same_layout(
            [source for source in (self.base, *models) if source is not None] or [plan.inputs[0].source]
        )
        self.layout = self._layout()
        self.depth = Depth(self.layout)
        self._thresholds = self._global_thresholds()

    def _require_sound(self) -> None:
        method, inputs = self.method, self.plan.inputs
        _require_known(method.name, "parameters", self.plan.settings, method.known())
        for item in inputs:
            _require_known(method.name, item.source.label, item.settings, method.known(per_model=True))
        if len(inputs) < method.min_inputs:
            raise ConfigError(
                f"{method.name} needs at least {plural(method.min_inputs, 'input')} beside the base",
                field="models",
                value=len(inputs),
            )
        if method.base_is_input and len(inputs) + (self.base is not None) != 1 + method.others:
            raise ConfigError(
                f"{method.name} takes the base and {plural(method.others, 'other input')}",
                field="models",
                value=len(inputs),
            )
        if self.base is None and method.on == "deltas" and not all(item.is_delta for item in inputs):
            raise ConfigError(
                f"{method.name} needs a base", field="base_model", do="name the model the others were tuned from"
            )
        if self.base is None and len({item.is_delta for item in inputs}) > 1:
            raise ConfigError("models and vectors can only be merged together with a base", field="base_model")

    def _layout(self) -> TensorSource:
        """What has the names, shapes and dtypes of the result."""
        if self.base is not None:
            layout = self.base
            for item in self.plan.inputs:
                for name in item.source if item.is_delta else ():
                    found = layout.shape(name) if name in layout else None
                    if found != item.source.shape(name):
                        raise CheckpointError(
                            f"the base must have the vector's tensor of shape {item.source.shape(name)}",
                            file=item.source.label,
                            field=name,
                            value=found,
                        )
            return layout
        if not self.gives_delta:
            return self.plan.inputs[0].source
        owners = {name: item.source for item in reversed(self.plan.inputs) for name in item.source}
        return Union(owners)

    def parameters(self, name: str, item: MergeInput | None = None) -> dict[str, Any]:
        """The parameters of the merge, or of one input, for one tensor."""
        key = (name, id(item))
        if key not in self._parameters:
            self._parameters[key] = self._resolved(name, item)
        return self._parameters[key]

    def _resolved(self, name: str, item: MergeInput | None) -> dict[str, Any]:
        t = self.depth.in_part(name)
        found: dict[str, Any] = {}
        for parameter in self.method.parameters:
            if parameter.per_model != (item is not None):
                continue
            value: Any = None
            for settings in ((item.settings if item else {}), self.plan.settings):
                if value is None and parameter.name in settings:
                    value = settings[parameter.name].at(name, t)
            if value is None:
                value = parameter.default_for(self.plan.definitions)
            if value is None:
                raise ConfigError(
                    f"{self.method.name} requires this parameter", field=f"parameters.{parameter.name}", value=None
                )
            where = item.source.label if item else "parameters"
            found[parameter.name] = parameter.checked(value, where, self.plan.definitions)
        return found

    def compute_dtype(self, name: str) -> torch.dtype:
        """The dtype of the arithmetic for one tensor."""
        if name not in self._dtypes:
            dtype = self.plan.precision
            for source in self.inputs():
                if name in source:
                    dtype = accumulator(source.dtype(name), dtype)
            self._dtypes[name] = dtype
        return self._dtypes[name]

    def reference(self, name: str) -> TensorSource | None:
        """What differences are taken from and added to: the base, or a model that may stand in for it.

        Where the scaled weights of a sum of differences are 1 together, θ_0 + Σ w_i (θ_i − θ_0) is θ_k + Σ w_i
        (θ_i − θ_k) for any k: θ_0 cancels out. The model of the largest weight takes its place, and θ_0 is only
        checked for NaN. Where two models share the largest weight the base stays: the order of inputs must not matter.
        """
        if name not in self._references:
            self._references[name] = self._reference(name)
        return self._references[name]

    def _reference(self, name: str) -> TensorSource | None:
        models = [item for item in self.plan.inputs if not item.is_delta]
        if not self._shifts or len(models) < max(2, len(self.plan.inputs)):
            return self.base
        if self.method.normalizes(self.parameters(name)):
            return self.base
        weights = [self.method.weight(self.parameters(name, item)) for item in models]
        first, second = sorted(weights, reverse=True)[:2]
        if math.fsum(weights) * self._scale(name) != 1 or first == second:
            return self.base
        return models[weights.index(first)].source

    def _scale(self, name: str) -> float:
        """What the merged difference is multiplied by."""
        return self.method.scale(self.parameters(name), self.depth.in_model(name))

    def _base(self, name: str, start: int, stop: int) -> Tensor | None:
        """The reference's piece in the dtype of the arithmetic."""
        source = self.reference(name)
        return None if source is None else _read(source, name, start, stop).to(self.compute_dtype(name))

    def _values(self, item: MergeInput, name: str, start: int, stop: int, base: Tensor | None) -> Tensor:
        """An input's piece as the method wants it: difference or weights.

        A method that drops entries would drop a NaN too, so its input is checked here.
        """
        dtype, on_deltas = self.compute_dtype(name), self.method.on == "deltas"
        if name not in item.source:
            values = torch.zeros(stop - start, dtype=dtype)
        elif base is None or item.is_delta == on_deltas:
            values = _read(item.source, name, start, stop).to(dtype)
        else:
            values = _read(item.source, name, start, stop).to(dtype, copy=True)
            values = values.sub_(base) if on_deltas else values.add_(base)
        if not self.method.elementwise and not is_finite(values):
            for source in (item.source, *([] if self.base is None else [self.base])):
                require_finite(source, name)
        return values

    def _global_thresholds(self) -> list[dict[float, float]]:
        """For each input, the magnitude from which a density keeps its entries, over all tensors together."""
        if not self.method.plays(Role.TRIM):
            return [{} for _ in self.plan.inputs]
        names = [name for name in self.layout if self.layout.is_float(name)]
        total = sum(self.layout.numel(name) for name in names)
        found: list[dict[float, float]] = []
        for item in self.plan.inputs:
            densities = sorted({density for name in names if (density := self._vector_density(name, item)) is not None})
            partly = [density for density in densities if 0 < density < 1 and total]
            delta = Computed(self.layout, names, torch.float32, partial(self._delta, item), item.source.label)
            with one_torch_thread():
                ranks = [kept(density, total) for density in partly]
                limits = largest_magnitudes(source_stream(delta), ranks) if ranks else []
            found.append(dict(zip(partly, limits, strict=True)))
        return found

    def _vector_density(self, name: str, item: MergeInput) -> float | None:
        return self.method.density_of_the_vector(self.parameters(name, item), self.parameters(name))

    def _delta(self, item: MergeInput, name: str, start: int, stop: int) -> Tensor:
        return self._values(item, name, start, stop, self._base(name, start, stop))

    def group(self, name: str, start: int, stop: int, shape: tuple[int, ...]) -> TensorGroup:
        """What the method sees of one tensor, or of a flat piece of it."""
        shared = self.parameters(name)
        base = self._base(name, start, stop)
        inputs = [
            self._input(name, item, thresholds, start, stop, shape, base)
            for item, thresholds in zip(self.plan.inputs, self._thresholds, strict=True)
            if self._counts(name, item, start, stop)
        ]
        if self.method.base_is_input and base is not None:
            inputs.insert(0, InputTensor(base.reshape(shape), {}))
        if self.method.symmetric:
            inputs = in_order(inputs)
        if self.method.plays(Role.SEED):
            inputs = with_draws(inputs, name, int(self.method.value(Role.SEED, shared, 0)))
        return TensorGroup(name, tuple(inputs), None if base is None else base.reshape(shape), shared)

    def _counts(self, name: str, item: MergeInput, start: int, stop: int) -> bool:
        """Whether an input adds anything; one of weight 0 is still checked for NaN."""
        if item.source is self.reference(name):
            return False  # its difference from itself
        if self.method.weight(self.parameters(name, item)) == 0.0:
            require_finite(item.source, name, start, stop)
            return False
        return True

    def _input(
        self,
        name: str,
        item: MergeInput,
        thresholds: Mapping[float, float],
        start: int,
        stop: int,
        shape: tuple[int, ...],
        base: Tensor | None,
    ) -> InputTensor:
        own, density = self.parameters(name, item), self._vector_density(name, item)
        statistic = item.statistics[name] if item.statistics is not None and name in item.statistics else None
        if statistic is not None and self.method.statistics == "entries":
            statistic = statistic.reshape(-1)[start:stop].reshape(shape)
        return InputTensor(
            self._values(item, name, start, stop, base).reshape(shape),
            own,
            self.method.weight(own),
            threshold=None if density is None else thresholds.get(density),
            statistics=statistic,
        )

    def result(self, name: str, start: int, stop: int, shape: tuple[int, ...]) -> Tensor:
        """The merged tensor (or flat piece) in the dtype of the arithmetic."""
        group, scale = self.group(name, start, stop, shape), self._scale(name)
        if not group.inputs:  # every weight is zero
            if self.method.on == "weights":
                raise ConfigError(f"{self.method.name} needs an input whose weight is not zero", field="models")
            return torch.zeros(shape, dtype=self.compute_dtype(name)) if group.base is None else group.base
        merged = self.method.merge(group)
        if self.method.on == "weights":
            return merged
        return merged * scale if group.base is None else shifted(group.base, merged, scale, consume=True)

    def inputs(self) -> list[TensorSource]:
        """Every source that is read."""
        return [source for source in (self.base, *(i.source for i in self.plan.inputs)) if source is not None]

    def make(self, spec: TensorSpec) -> Iterator[Tensor]:
        """One tensor of the result, whole or in pieces, cast and checked."""
        name, like = spec.name, self.layout
        if not like.is_float(name):
            yield like[name]
            return
        present = [source for source in self.inputs() if name in source]
        if self.base is not None and self.reference(name) is not self.base:
            require_finite(self.base, name)  # it cancels out, but a broken input is refused all the same
        if sum_of_models := self._sum(name):
            yield from sum_of_models.make(name, spec.numel, spec.dtype, present)
            return
        if not self.method.elementwise:
            yield cast_piece(self.result(name, 0, spec.numel, spec.shape), spec.dtype, name, present)
            return
        for start, stop in pieces(spec.numel):
            yield cast_piece(self.result(name, start, stop, (stop - start,)), spec.dtype, name, present)

    def _sum(self, name: str) -> WeightedSum | None:
        """The tensor as a plain sum; None where the general path is needed."""
        if not self.method.sums or any(item.is_delta for item in self.plan.inputs):
            return None
        reference = self.reference(name) if self.method.on == "deltas" else None
        terms: list[tuple[str, TensorSource, float]] = []
        for item in self.plan.inputs:
            own = self.parameters(name, item)
            weight = self.method.weight(own)
            if weight == 0.0:
                require_finite(item.source, name)
            elif item.source is not reference:
                terms.append((as_text(own), item.source, weight))
        terms.sort(key=lambda term: term[0])
        if not terms or any(one[0] == two[0] for one, two in pairwise(terms[1:])):
            return None  # the contents of equals decide who is added first, but a + b is b + a
        shared, addends = self.parameters(name), [(source, weight) for _, source, weight in terms]
        divided = self.method.normalizes(shared)
        return WeightedSum(reference, addends, divided, self._scale(name), self.compute_dtype(name))

    def cost(self, spec: TensorSpec) -> int:
        """Bytes in memory while one tensor is made."""
        if self.method.elementwise:
            return 0
        return spec.numel * FLOAT32_BYTES * (len(self.plan.inputs) + WORKING_COPIES)

    def as_source(self, label: str) -> TensorSource:
        """The result as tensors that are made when asked for."""
        names = [name for name in self.layout if self.layout.is_float(name)]
        wide = any(self.compute_dtype(name) == torch.float64 for name in names)
        dtype = torch.float64 if wide else torch.float32
        make: Callable[[str], Tensor] = lambda name: self.result(  # noqa: E731
            name, 0, self.layout.numel(name), self.layout.shape(name)
        ).to(dtype)
        return WholeTensors(self.layout, names, dtype, make, label)


def _read(source: TensorSource, name: str, start: int, stop: int) -> Tensor:
    """A piece that goes through a small buffer; more than a piece stays a view of the file."""
    if stop - start > PIECE_LENGTH:
        return source.piece(name, start, stop)
    return source.read(name, start, stop, torch.empty(stop - start, dtype=source.dtype(name)))


def _require_known(method: str, where: str, settings: Mapping[str, Setting], known: Sequence[str]) -> None:
    for name in settings:
        if name not in known:
            raise ConfigError(
                f"{method} has no such parameter here",
                field=f"{where}.{name}",
                do=nearest(name, sorted(known)) if known else "it takes no parameters",
            )
