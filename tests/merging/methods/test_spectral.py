"""Singular-value methods: closed forms and an independent restatement in numpy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speech_analogy.merging.methods.spectral import iso_c, low_rank, tsv_merge


def matrices(count: int, shape: tuple[int, int] = (9, 6)) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draw) for _ in range(count)]


def test_iso_c_makes_all_singular_values_their_mean() -> None:
    deltas = matrices(3)
    total = torch.stack(deltas).sum(0)
    made = iso_c(deltas, [1.0, 1.0, 1.0])
    values = torch.linalg.svdvals(total)
    assert torch.allclose(torch.linalg.svdvals(made), values.mean().expand(6), atol=1e-5)
    left, _, right = np.linalg.svd(total.numpy(), full_matrices=False)
    assert np.allclose(made.numpy(), values.mean().item() * left @ right, atol=1e-5)
    orthogonal = torch.linalg.qr(deltas[0]).Q
    assert torch.allclose(iso_c([orthogonal], [1.0]), orthogonal, atol=1e-5)


def test_tsv_merge_against_numpy() -> None:
    deltas = matrices(3)
    lefts, values, rights = [], [], []
    for delta in deltas:
        left, sigma, right = np.linalg.svd(delta.double().numpy(), full_matrices=False)
        lefts.append(left[:, :2])
        values.append(sigma[:2])
        rights.append(right[:2])

    def whitened(matrix: np.ndarray) -> np.ndarray:
        """M (MᵀM)^(−½): the nearest orthonormal matrix, by another road than the SVD."""
        eigenvalues, eigenvectors = np.linalg.eigh(matrix.T @ matrix)
        return matrix @ (eigenvectors / np.sqrt(eigenvalues)) @ eigenvectors.T

    left = whitened(np.concatenate(lefts, axis=1))
    right = whitened(np.concatenate(rights, axis=0).T).T
    expected = left @ np.diag(np.concatenate(values)) @ right
    assert np.allclose(tsv_merge(deltas, [1.0] * 3).numpy(), expected, atol=1e-4)


def test_tsv_of_tasks_in_orthogonal_subspaces_is_their_sum() -> None:
    one, two = torch.zeros(6, 6), torch.zeros(6, 6)
    one[:3, :3], two[3:, 3:] = matrices(2, (3, 3))
    assert torch.allclose(tsv_merge([one, two], [1.0, 1.0]), one + two, atol=1e-5)


def test_one_task_gives_itself() -> None:
    delta = matrices(1)[0]
    assert torch.equal(tsv_merge([delta], [1.0]), delta)


def test_what_is_no_matrix_is_averaged() -> None:
    deltas = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, -2.0])]
    for method in (iso_c, tsv_merge):
        assert method(deltas, [1.0, 1.0]).tolist() == [2.0, 0.0]


def test_low_rank_is_the_nearest() -> None:
    matrix = matrices(1)[0]
    left, right = low_rank(matrix, 2)
    error = torch.linalg.norm(matrix - left @ right).item()
    tail = torch.linalg.svdvals(matrix)[2:].square().sum().sqrt().item()
    assert abs(error - tail) < 1e-5
    exact = low_rank(left @ right, 2)
    assert torch.allclose(exact[0] @ exact[1], left @ right, atol=1e-5)
