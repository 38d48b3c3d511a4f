"""A GPU that is not there: tensors that say they are on `cuda:0`, computed on the processor.

What torch would refuse on a GPU is refused here too: an operation that mixes devices, and NumPy's view of a tensor.
So a tensor that was made on the wrong device is found on a machine without a GPU. Numbers are those of the processor;
autocast, kernels, memory and streams of a GPU are not pretended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import torch
from accelerate import PartialState
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten
INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)  # by tensors of the processor as well


class OnGpu(torch.Tensor):
    """A tensor that says it is on `cuda:0`; its numbers lie in `held`."""

    operations: ClassVar[int] = 0  # since the pretence began
    held: torch.Tensor
    device = property(lambda self: CUDA)  # type: ignore[assignment]
    is_cuda = property(lambda self: True)  # type: ignore[assignment]
    is_cpu = property(lambda self: False)  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: torch.Tensor, *_: Any) -> OnGpu:
        made: OnGpu = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype
        )
        made.held = held.detach()
        return made

    def __repr__(self, *_: Any, **__: Any) -> str:  # type: ignore[override]
        return f"OnGpu({self.held!r})"

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.held.tolist()

    def storage(self) -> Any:
        return self.held.storage()

    def untyped_storage(self) -> Any:
        return self.held.untyped_storage()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation on tensors of which one at least is on the GPU: refused where another is not, else done."""
        kwargs = kwargs or {}
        OnGpu.operations += 1
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        needed = [args[0]] if func in INDEXED else [] if func is aten.copy_.default else given
        if any(not isinstance(leaf, OnGpu) and leaf.dim() > 0 for leaf in needed):
            raise RuntimeError(f"Expected all tensors to be on the same device, but {func} was given cuda:0 and cpu")
        plain_args, plain_kwargs = tree_map(_held, (args, kwargs))
        found = func(*plain_args, **plain_kwargs)
        if func is aten.copy_.default:
            return args[0]
        same = {
            id(leaf.held): leaf for leaf in given if isinstance(leaf, OnGpu)
        }  # changed in place it stays what it is
        return tree_map(lambda leaf: same[id(leaf)] if id(leaf) in same else _put(leaf), found)


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, OnGpu) else leaf


def _put(leaf: Any) -> Any:
    return OnGpu(leaf) if isinstance(leaf, torch.Tensor) and not isinstance(leaf, OnGpu) else leaf


class _Moves(TorchFunctionMode):
    """What moves a tensor between the devices, or makes one on `cuda`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.device, torch._C._nn._parse_to):
            return func(*args, **kwargs)
        if func in (torch.Tensor.cpu, torch.Tensor.cuda):
            return _held(args[0]) if func is torch.Tensor.cpu else _put(args[0])
        if func is torch.Tensor.type_as:
            func, args = torch.Tensor.to, (args[0], args[1].device, args[1].dtype)
        wanted = {leaf.type for leaf in map(_device, tree_leaves((args, kwargs))) if leaf is not None}
        if func is torch.Tensor.to:
            wanted |= {leaf.device.type for leaf in args[1:] if isinstance(leaf, torch.Tensor)}
        if func in (torch.tensor, torch.as_tensor):
            wanted = wanted or ({"cuda"} if isinstance(args[0], OnGpu) else {"cpu"})
            args, kwargs = tree_map(_held, (args, kwargs))
        if not wanted:
            there = any(isinstance(leaf, OnGpu) for leaf in tree_leaves((args, kwargs)))
            if there and func in (torch.nn.functional.pad, torch._C._nn.pad):  # numbers among its arguments
                args = (args[0], *tree_map(lambda leaf: int(leaf) if isinstance(leaf, OnGpu) else leaf, args[1:]))
            found = func(*args, **kwargs)
            return tree_map(_put, found) if there else found  # what C++ makes beside a tensor lies where it lies
        args, kwargs = tree_map(lambda leaf: leaf if _device(leaf) is None else CPU, (args, kwargs))
        if func is torch.Tensor.to:
            args = tuple(_held(leaf) if at else leaf for at, leaf in enumerate(args))
        found = func(*args, **kwargs)
        return tree_map(_put if "cuda" in wanted else _held, found)


def _device(leaf: Any) -> torch.device | None:
    if isinstance(leaf, torch.device):
        return leaf if leaf.type in ("cpu", "cuda") else None
    return torch.device(leaf) if isinstance(leaf, str) and leaf.partition(":")[0] in ("cpu", "cuda") else None


@contextmanager
def pretended_gpu(monkeypatch: pytest.MonkeyPatch, count: int = 1) -> Iterator[None]:
    """torch sees so many GPUs, and computes on the first."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *_: None)
    monkeypatch.setattr(torch.__future__, "_swap_module_params_on_conversion", True)  # `Module.to` takes the class over
    monkeypatch.setattr(torch._C, "_InferenceMode", lambda mode: torch.no_grad())  # it refuses tensors like these
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):  # by torch's version
        monkeypatch.setattr(torch.optim.Optimizer, name, lambda self: None, raising=False)
    OnGpu.operations = 0
    PartialState._reset_state()  # Accelerate settles once a process where it computes
    try:
        with _Moves():
            yield
    finally:
        PartialState._reset_state()
