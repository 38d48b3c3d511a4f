"""Methods on singular values: TSV-merge, Iso-C, and the best approximation of low rank."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from speech_analogy.merging.methods.common import LAMBDA, WEIGHT
from speech_analogy.merging.methods.consensus import weighted_sum
from speech_analogy.merging.methods.declaration import MergeMethod, TensorGroup


def svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thin singular value decomposition: (m, k), (k,), (k, n) with k = min(m, n)."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return left, values, right


def low_rank(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Factors (m, rank) and (rank, n) of the nearest matrix of that rank (Eckart and Young); √σ goes to each
    side."""
    left, values, right = svd(matrix)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root.unsqueeze(1) * right[:rank]


def tsv_merge(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Task Singular Vectors merging (arXiv 2412.00081, algorithm 1) of one tensor.

    Matrices: of each of T tasks the top 1/T singular directions are kept (at least one); the directions of all
    tasks, side by side, are replaced by the nearest orthonormal ones (Procrustes, U⊥ = P Qᵀ for U = P D Qᵀ), so
    that tasks do not interfere; the result is U⊥ Σ V⊥ᵀ. Everything that is not a matrix is averaged, as in the
    authors' code. A task's weight multiplies its singular values. One task gives back its own matrix.
    """
    if deltas[0].ndim != 2 or not deltas[0].numel():
        return weighted_sum(deltas, weights) / len(deltas)
    if len(deltas) == 1:
        return deltas[0] * weights[0]
    rank = max(1, min(deltas[0].shape) // len(deltas))
    lefts, values, rights = [], [], []
    for delta, weight in zip(deltas, weights, strict=True):
        left, sigma, right = svd(delta)
        lefts.append(left[:, :rank])
        values.append(sigma[:rank] * weight)
        rights.append(right[:rank])
    left, right = _nearest_orthonormal(torch.cat(lefts, dim=1)), _nearest_orthonormal(torch.cat(rights, dim=0))
    return (left * torch.cat(values)) @ right


def _nearest_orthonormal(matrix: Tensor) -> Tensor:
    left, _, right = svd(matrix)
    return left @ right


def iso_c(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Iso-C (arXiv 2502.04959, section 4.1): the singular values of Σ τ are all replaced by their mean.

    Matrices only; everything else is averaged, as in the authors' code.
    """
    total = weighted_sum(deltas, weights)
    if total.ndim != 2 or not total.numel():
        return total / len(deltas)
    left, values, right = svd(total)
    return values.mean() * (left @ right)


def _tsv(group: TensorGroup) -> Tensor:
    return tsv_merge(group.values, group.weights)


def _iso_c(group: TensorGroup) -> Tensor:
    return iso_c(group.values, group.weights)


TSV_MERGE = MergeMethod("tsv_merge", _tsv, "deltas", "arXiv 2412.00081", (WEIGHT, LAMBDA))
ISO_C = MergeMethod("iso_c", _iso_c, "deltas", "arXiv 2502.04959", (WEIGHT, LAMBDA))
