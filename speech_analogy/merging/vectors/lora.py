"""LoRA adapters (PEFT folders) as task vectors: ΔW = scaling · B A, exactly as PEFT merges them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import regex
import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.checkpoints import Checkpoint, open_checkpoint, read_json
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.io.provenance import BaseModelIdentity, make_provenance
from speech_analogy.merging.tensors import StateDict, WholeTensors
from speech_analogy.merging.vectors.task_vector import TaskVector, linear_combination

ADAPTER_PREFIX = "base_model.model."
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
REFUSED = {
    "use_dora": "DoRA", "use_qalora": "QALoRA", "alora_invocation_tokens": "activated LoRA", "use_bdlora": "BD-LoRA",
    "arrow_config": "Arrow", "layer_replication": "a model with repeated layers", "megatron_config": "Megatron",
    "target_parameters": "LoRA on bare parameters", "kasa_config": "KaSA", "monteclora_config": "MonteCLoRA",
}  # fmt: skip
"""Settings whose change of the weights is not scaling · B A."""
PLAIN_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")
"""Values of `init_lora_weights` that leave the base as it is; PiSSA, OLoRA, CorDA, LoftQ take a part out of it."""
SWITCHES = ("use_rslora", "fan_in_fan_out")
MOST_ALPHA = 1e6
MOST_PATTERNS, LONGEST_PATTERN, PATTERN_S = 5_000, 500, 0.2
MOST_ELEMENTS_PER_BYTE, FEW_ELEMENTS = 1 << 14, 1 << 24  # of a difference, by the bytes of its factors


@dataclass(frozen=True)
class Factors:
    """One adapted weight: `scaling · B A` in the shape of the weight.

    Args:
        down: A, (r, in) or (r, in, *kernel); of an embedding (r, number of embeddings).
        up: B, (out, r) or (out, r, 1, ...); of an embedding (dim, r).
        transposed: the weight is stored as (in, out): `fan_in_fan_out`, and embeddings.
    """

    down: Tensor
    up: Tensor
    scaling: float
    transposed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight."""
        if self.transposed:
            return (self.down.shape[1], self.up.shape[0])
        return (self.up.shape[0], *self.down.shape[1:])

    def delta(self) -> Tensor:
        """ΔW in float32. (A convolution after a 1×1 convolution is the product of their flattened kernels.)"""
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        delta = product * self.scaling
        return delta.T.contiguous() if self.transposed else delta.reshape(self.shape)


@dataclass(frozen=True)
class Adapter:
    """A PEFT folder: factors by the name of the weight they change, and its configuration."""

    folder: Path
    config: Mapping[str, Any]
    factors: Mapping[str, Factors]


def read_adapter(folder: str | Path) -> Adapter:
    """Read a PEFT folder of a LoRA adapter.

    Raises:
        CheckpointError: no adapter, another kind of adapter, trained biases or whole modules (not low-rank
            differences), a factor without its counterpart.
    """
    folder = Path(folder)
    config = read_json(folder / "adapter_config.json")
    file = next((folder / name for name in ADAPTER_FILES if (folder / name).is_file()), None)
    if not config or file is None:
        raise CheckpointError(
            f"an adapter folder must hold adapter_config.json and one of {', '.join(ADAPTER_FILES)}", file=folder
        )
    if config.get("peft_type") != "LORA":
        raise CheckpointError(
            "only LoRA adapters are read", file=folder, field="peft_type", value=config.get("peft_type")
        )
    for key, name in REFUSED.items():
        if config.get(key):
            raise CheckpointError(
                f"{name} is not a low-rank difference of weights",
                file=folder,
                field=key,
                value=config[key],
                do="merge it into its base with PEFT and extract the vector",
            )
    for key in SWITCHES:
        if not isinstance(config.get(key, False), bool):
            raise CheckpointError("must be true or false", file=folder, field=key, value=config[key])
    start = config.get("init_lora_weights")
    if isinstance(start, dict | list) or start not in PLAIN_STARTS:
        rule = "this start of training takes a part out of the base, so its factors are not the difference"
        do = "convert the adapter with PEFT (`path_initial_model_for_weight_conversion`)"
        raise CheckpointError(rule, file=folder, field="init_lora_weights", value=start, do=do)
    return Adapter(folder, config, _factors(folder, config, open_checkpoint(file)))


def _factors(folder: Path, config: Mapping[str, Any], tensors: Checkpoint) -> dict[str, Factors]:
    downs: dict[str, str] = {}
    ups: dict[str, str] = {}
    for name in tensors:
        stem = name.removeprefix(ADAPTER_PREFIX)
        for marker, where in ((".lora_A.", downs), (".lora_B.", ups)):
            if marker in stem and stem.endswith("weight"):
                _note(folder, where, stem.split(marker)[0], name)
                break
        else:
            if ".lora_embedding_A" in stem:
                _note(folder, downs, stem.split(".lora_embedding_A")[0], name)
            elif ".lora_embedding_B" in stem:
                _note(folder, ups, stem.split(".lora_embedding_B")[0], name)
            else:
                raise CheckpointError(
                    "this trained tensor is not a LoRA factor (bias, modules_to_save or another method)",
                    file=folder,
                    field=name,
                    do="merge the adapter into its base with PEFT and extract the vector",
                )
    alone = sorted(set(downs) ^ set(ups))
    if alone or not downs:
        raise CheckpointError("each LoRA A needs its B", file=folder, field=alone[0] if alone else None)
    alphas, ranks = (_patterns(folder, config, key) for key in ("alpha_pattern", "rank_pattern"))
    found: dict[str, Factors] = {}
    for module in sorted(downs):
        embedding = "lora_embedding_A" in downs[module]
        down, up = tensors[downs[module]], tensors[ups[module]]
        _require_factors(folder, module, down, up)
        alpha = _by_pattern(folder, alphas, module, config.get("lora_alpha"))
        declared = _by_pattern(folder, ranks, module, config.get("r"))
        scaling = _scaling(folder, config, module, down.shape[0], alpha, declared)
        transposed = embedding or (bool(config.get("fan_in_fan_out")) and down.ndim == 2)
        found[f"{module}.weight"] = Factors(down, up, scaling, transposed)
    return found


def _note(folder: Path, where: dict[str, str], module: str, name: str) -> None:
    if module in where:
        raise CheckpointError("a module has two factors of one kind", file=folder, field=name, value=where[module])
    where[module] = name


def _require_factors(folder: Path, module: str, down: Tensor, up: Tensor) -> None:
    """A of (r, in, *kernel) and B of (out, r, 1, ...), in floating point, and no difference out of nearly nothing."""
    nbytes = down.numel() * down.itemsize + up.numel() * up.itemsize
    if (
        min(down.ndim, up.ndim) < 2
        or not down.is_floating_point()
        or not up.is_floating_point()
        or not down.shape[0] == up.shape[1] > 0
        or any(side != 1 for side in up.shape[2:])
        or 0 in (*down.shape, *up.shape)
        or up.shape[0] * down[0].numel() > max(MOST_ELEMENTS_PER_BYTE * nbytes, FEW_ELEMENTS)
    ):
        raise CheckpointError(
            "its factors must be A (rank, in, ...) and B (out, rank), in floating point and of a rank above 0",
            file=folder,
            field=module,
            value=(tuple(down.shape), tuple(up.shape)),
        )


def _scaling(folder: Path, config: Mapping[str, Any], module: str, rank: int, alpha: object, declared: object) -> float:
    """α/r (arXiv 2106.09685, section 4.1), or α/√r with rsLoRA (2312.03732)."""
    usable = isinstance(alpha, int | float) and not isinstance(alpha, bool) and 0 < alpha <= MOST_ALPHA
    if not usable or isinstance(declared, bool) or declared != rank:
        raise CheckpointError(
            f"adapter_config.json must give lora_alpha and the rank of the factors, {rank}, both above 0",
            file=folder,
            field=module,
            value={"lora_alpha": alpha, "r": declared},
        )
    assert isinstance(alpha, int | float)
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _patterns(folder: Path, config: Mapping[str, Any], key: str) -> list[tuple[Any, object]]:
    """The compiled patterns of `alpha_pattern` or `rank_pattern`, each the end of a module's name, and their values."""
    patterns = config.get(key) or {}
    if not isinstance(patterns, Mapping) or len(patterns) > MOST_PATTERNS:
        rule = f"must map at most {MOST_PATTERNS} patterns to numbers"
        raise CheckpointError(rule, file=folder, field=key, value=type(patterns).__name__)
    found = []
    for pattern, value in patterns.items():
        try:
            if len(pattern) > LONGEST_PATTERN:
                raise ValueError(f"more than {LONGEST_PATTERN} characters")
            found.append((regex.compile(rf"(.*\.)?({pattern})"), value))
        except (regex.error, ValueError, OverflowError, RecursionError, MemoryError) as error:
            rule = f"must be a regular expression: {error}"
            raise CheckpointError(rule, file=folder, field=key, value=pattern) from None
    return found


def _by_pattern(folder: Path, patterns: Sequence[tuple[Any, object]], module: str, default: object) -> object:
    """PEFT's lookup: the first pattern that fits, else what holds for all."""
    for pattern, value in patterns:
        try:
            if pattern.fullmatch(module, timeout=PATTERN_S):
                return value
        except (TimeoutError, MemoryError):
            rule = f"a pattern must be matched within {PATTERN_S:g} s"
            raise CheckpointError(rule, file=folder, field=module, value=pattern.pattern, do="simplify it") from None
    return default


def read_lora(folder: str | Path, base: str | Path | Checkpoint | None = None) -> TaskVector:
    """A LoRA adapter as a task vector: for every adapted weight, scaling · B A in float32.

    Args:
        base: the model it was trained on: checks names and shapes, and gives the vector its base's
            fingerprint. Without it the fingerprint is empty, and the vector is applied with
            `allow_other_base`.

    Raises:
        CheckpointError: as `read_adapter`; a weight that the base lacks, or has in another shape.
    """
    adapter = read_adapter(folder)
    return _vector(adapter, dict(adapter.factors), base)


def _vector(adapter: Adapter, factors: Mapping[str, Factors], base: str | Path | Checkpoint | None) -> TaskVector:
    checkpoint = open_checkpoint(base) if isinstance(base, str | Path) else base
    for name, pair in factors.items() if checkpoint is not None else ():
        assert checkpoint is not None
        found = checkpoint.shape(name) if name in checkpoint else None
        if found != pair.shape:
            raise CheckpointError(
                f"the base must have this adapted weight as {pair.shape}",
                file=checkpoint.label,
                field=name,
                value=found,
                do="give the model the adapter was trained on",
            )
    like = StateDict({name: torch.empty(pair.shape, device="meta") for name, pair in factors.items()})
    tensors = WholeTensors(like, list(factors), torch.float32, lambda name: factors[name].delta(), str(adapter.folder))
    identity = BaseModelIdentity(
        name=str(adapter.config.get("base_model_name_or_path") or ""),
        fingerprint=fingerprint(checkpoint) if checkpoint is not None else "",
    )
    options = {key: adapter.config[key] for key in ("r", "lora_alpha", "use_rslora") if key in adapter.config}
    return TaskVector(tensors, identity, make_provenance(operation="lora", hyper_parameters=options))


def combine_adapters(
    folders: Sequence[str | Path],
    weights: Sequence[float],
    base: str | Path | Checkpoint | None = None,
    how: Literal["factors", "deltas"] = "factors",
) -> TaskVector:
    """Several adapters as one vector.

    Args:
        how: `factors`: (Σ w_i B_i)(Σ w_i A_i), the composition of LoRAHub (arXiv 2307.13269, section 3.2), for
            adapters of one rank and the same modules; `deltas`: Σ w_i (B_i A_i), for any adapters.

    Raises:
        CheckpointError: adapters that do not fit each other.
    """
    adapters = [read_adapter(folder) for folder in folders]
    if how == "deltas":
        parts = [_vector(adapter, dict(adapter.factors), base) for adapter in adapters]
        return linear_combination(parts, list(weights), operation="lora combination")
    first = adapters[0]
    mixed: dict[str, Factors] = {}
    for name, pair in first.factors.items():
        ups, downs = torch.zeros_like(pair.up, dtype=torch.float32), torch.zeros_like(pair.down, dtype=torch.float32)
        for adapter, weight in zip(adapters, weights, strict=True):
            other = adapter.factors.get(name)
            if (
                other is None
                or other.down.shape != pair.down.shape
                or other.up.shape != pair.up.shape
                or len(adapter.factors) != len(first.factors)
            ):
                raise CheckpointError(
                    "adapters whose factors are mixed must have the same modules and rank",
                    file=adapter.folder,
                    field=name,
                    do="use how='deltas'",
                )
            root = math.sqrt(abs(other.scaling))
            ups.add_(other.up.float() * (weight * root))
            downs.add_(other.down.float() * (weight * math.copysign(root, other.scaling)))
        mixed[name] = Factors(downs, ups, 1.0, pair.transposed)
    return _vector(first, mixed, base)
