"""Order statistics against sorting."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_analogy.merging.methods.selection import (
    kept,
    largest_magnitudes,
    magnitudes_of,
    source_stream,
    tensor_stream,
)
from speech_analogy.merging.tensors import PIECE_LENGTH, StateDict


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45]),
        min_size=1,
        max_size=60,
    ),
    data=st.data(),
)
def test_it_is_what_sorting_gives(values: list[float], data: st.DataObject) -> None:
    tensor = torch.tensor(values)
    ranks = data.draw(st.lists(st.integers(1, len(values)), min_size=1, max_size=4))
    ordered = tensor.abs().sort(descending=True).values
    expected = [ordered[rank - 1].item() for rank in ranks]
    assert largest_magnitudes(tensor_stream(tensor), ranks) == expected
    assert magnitudes_of(tensor, ranks) == expected


def test_it_goes_over_pieces_and_tensors() -> None:
    draw = torch.Generator().manual_seed(0)
    state = {"a": torch.randn(PIECE_LENGTH + 17, generator=draw), "b": torch.randn(3, 5, generator=draw)}
    everything = torch.cat([values.reshape(-1) for values in state.values()]).abs().sort(descending=True).values
    found = largest_magnitudes(source_stream(StateDict(state)), [1, 1000, PIECE_LENGTH + 32])
    assert found == [everything[0].item(), everything[999].item(), everything[-1].item()]


def test_how_many_a_density_keeps() -> None:
    assert [kept(density, 10) for density in (0.0, 0.01, 0.19, 0.5, 1.0)] == [0, 1, 1, 5, 10]
    assert kept(0.5, 0) == 0
