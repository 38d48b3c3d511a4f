"""Named tensors read one at a time: the one interface that checkpoints, vectors and expressions share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.naming import known_as

PIECE_LENGTH = 1 << 17
"""Elements worked on at once: 0.5 MiB in float32, so that the operands of one step stay in the processor's cache.

Fixed, because sums are taken piece by piece: the same tensor gives the same bits on every machine.
"""

SUM_PIECE = 1 << 18
"""Elements worked on at once where entries do not depend on each other: fewer, longer steps, so that threads do not
wait for the interpreter. Any other number gives the same bits."""


class TensorSource(ABC):
    """A mapping name -> tensor whose names, shapes and dtypes are known before anything is read."""

    label: str = "tensors"
    """What error messages call it: its file, or what it was made from."""

    _name: str | None = None

    @property
    def name(self) -> str:
        """What records call it, which other machines see: without paths."""
        return self._name or known_as(self.label)

    @abstractmethod
    def keys(self) -> list[str]:
        """The names, sorted."""

    @abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one tensor."""

    @abstractmethod
    def dtype(self, name: str) -> torch.dtype:
        """The dtype of one tensor."""

    @abstractmethod
    def __getitem__(self, name: str) -> Tensor:
        """The tensor itself. Do not write into it."""

    def piece(self, name: str, start: int, stop: int) -> Tensor:
        """Elements `start` to `stop` of the flattened tensor, shape (stop − start,)."""
        return self[name].reshape(-1)[start:stop]

    def read(self, name: str, start: int, stop: int, buffer: Tensor) -> Tensor:
        """`piece`, until the next call: it may lie in `buffer` (flat, of the tensor's dtype, long enough).

        Reading from a file into memory that stays in the processor's cache is faster than mapping its pages.
        """
        return self.piece(name, start, stop)

    def numel(self, name: str) -> int:
        """Number of elements of one tensor."""
        return count(self.shape(name))

    def is_float(self, name: str) -> bool:
        """Whether the tensor is a weight (floating point) and not a counter or a mask."""
        return self.dtype(name).is_floating_point

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors, one at a time."""
        for name in self:
            yield name, self[name]


Weights = TensorSource | Mapping[str, Tensor]
"""Named tensors as a source or as a plain state dict."""


class StateDict(TensorSource):
    """Tensors that are in memory already, e.g. `model.state_dict()`."""

    def __init__(
        self, tensors: Mapping[str, Tensor], label: str = "tensors in memory", name: str | None = None
    ) -> None:
        self._tensors = {key: tensors[key].detach() for key in sorted(tensors)}
        self.label, self._name = label, name

    def keys(self) -> list[str]:
        return list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        return self._tensors[name].dtype

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tensors


class Computed(TensorSource):
    """Tensors made when asked for, whole or piece by piece.

    Args:
        like: the source whose names and shapes these tensors have.
        names: those of its names that exist here.
        dtype: the dtype of what `make` returns.
        make: (name, start, stop) -> shape (stop − start,).
        name: what records call it, where the label is made of paths.
    """

    def __init__(
        self,
        like: TensorSource,
        names: Sequence[str],
        dtype: torch.dtype,
        make: Callable[[str, int, int], Tensor],
        label: str,
        name: str | None = None,
    ) -> None:
        self._shapes = {key: like.shape(key) for key in sorted(names)}
        self._dtype, self._make, self.label, self._name = dtype, make, label, name

    def keys(self) -> list[str]:
        return list(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def dtype(self, name: str) -> torch.dtype:
        if name not in self._shapes:
            raise KeyError(name)
        return self._dtype

    def piece(self, name: str, start: int, stop: int) -> Tensor:
        return self._make(name, start, stop)

    def __getitem__(self, name: str) -> Tensor:
        whole = torch.empty(self.numel(name), dtype=self._dtype)
        for start, stop in pieces(len(whole)):
            whole[start:stop] = self._make(name, start, stop)
        return whole.reshape(self._shapes[name])

    def __contains__(self, name: object) -> bool:
        return name in self._shapes


class WholeTensors(TensorSource):
    """Tensors that can only be made whole; each thread keeps the last one it made.

    Args:
        like, names, dtype: as for `Computed`.
        make: name -> tensor of that shape.
    """

    def __init__(
        self,
        like: TensorSource,
        names: Sequence[str],
        dtype: torch.dtype,
        make: Callable[[str], Tensor],
        label: str,
    ) -> None:
        self._shapes = {name: like.shape(name) for name in sorted(names)}
        self._dtype, self._make, self.label = dtype, make, label
        self._last = threading.local()

    def keys(self) -> list[str]:
        return list(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def dtype(self, name: str) -> torch.dtype:
        if name not in self._shapes:
            raise KeyError(name)
        return self._dtype

    def __getitem__(self, name: str) -> Tensor:
        if getattr(self._last, "name", None) != name:
            self._last.name = self._last.tensor = None  # let go of the old one before the new one is made
            self._last.tensor = self._make(name).reshape(self._shapes[name])
            self._last.name = name
        tensor: Tensor = self._last.tensor
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._shapes


class Union(TensorSource):
    """The names of several vectors, each with the shape of its first owner."""

    def __init__(self, owners: Mapping[str, TensorSource]) -> None:
        self._owners = {name: owners[name] for name in sorted(owners)}

    def keys(self) -> list[str]:
        return list(self._owners)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._owners[name].shape(name)

    def dtype(self, name: str) -> torch.dtype:
        return self._owners[name].dtype(name)

    def __getitem__(self, name: str) -> Tensor:
        return self._owners[name][name]


def as_source(tensors: Weights, label: str = "tensors in memory") -> TensorSource:
    """A source from a source or from a plain state dict."""
    return tensors if isinstance(tensors, TensorSource) else StateDict(tensors, label)


def count(shape: Sequence[int]) -> int:
    """Number of elements of a shape."""
    total = 1
    for side in shape:
        total *= side
    return total


def raw_bytes(values: Tensor) -> memoryview:
    """The bytes of a tensor as they are stored."""
    return values.contiguous().reshape(-1).view(torch.uint8).numpy().data


def pieces(numel: int, length: int = PIECE_LENGTH) -> Iterator[tuple[int, int]]:
    """The (start, stop) pairs into which every tensor of `numel` elements is cut."""
    for start in range(0, numel, length):
        yield start, min(start + length, numel)


def sums_to_finite(values: Tensor) -> bool:
    """Whether the sum is finite, which proves that every value is; fast. (float8 has no sums: False.)"""
    return not values.numel() or (values.itemsize > 1 and bool(torch.isfinite(values.sum())))


def is_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite."""
    if not values.is_floating_point() or sums_to_finite(values):
        return True
    return bool(torch.isfinite(values.float() if values.itemsize == 1 else values).all())


def accumulator(dtype: torch.dtype, precision: torch.dtype = torch.float32) -> torch.dtype:
    """The dtype arithmetic on `dtype` is done in: float32, or float64 for float64 and on request."""
    return torch.float64 if torch.float64 in (dtype, precision) else torch.float32


def require_finite(source: TensorSource, name: str, start: int = 0, stop: int | None = None) -> None:
    """Refuse a NaN or an infinity in one tensor, or in its elements from `start` to `stop`.

    Raises:
        CheckpointError: with the file, the tensor and the position of the first such value.
    """
    if name not in source:
        return
    end = source.numel(name) if stop is None else stop
    for offset, after in pieces(end - start):
        values = source.piece(name, start + offset, start + after)
        if not is_finite(values):
            bad = int(torch.nonzero(~torch.isfinite(values.float()))[0])
            raise CheckpointError(
                f"weights must be finite; element {start + offset + bad} is not",
                file=source.label,
                field=name,
                value=float(values[bad]),
                do="train again from the last good checkpoint",
            )


def require_same_layout(sources: Sequence[TensorSource]) -> None:
    """Refuse sources that differ in names or shapes.

    Raises:
        CheckpointError: naming both files, the first tensor that differs and both shapes.
    """
    first = sources[0]
    for other in sources[1:]:
        missing, extra = (
            sorted(set(first.keys()) - set(other.keys())),
            sorted(set(other.keys()) - set(first.keys())),
        )
        if missing or extra:
            name = (missing or extra)[0]
            has, lacks = (first, other) if missing else (other, first)
            raise CheckpointError(
                f"the checkpoints must have the same tensors; {has.label} has it, {lacks.label} lacks it "
                f"({len(missing) + len(extra)} names differ)",
                field=name,
                do="merge checkpoints of one architecture and size",
            )
        for name in first:
            if first.shape(name) != other.shape(name):
                raise CheckpointError(
                    f"the checkpoints must have the same shapes; {first.label} has {first.shape(name)}, "
                    f"{other.label} has {other.shape(name)}",
                    field=name,
                    do="merge checkpoints of one architecture and size",
                )


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let every torch operation run in its caller's thread: our threads are over tensors, and sums keep their bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
