"""Which precision `auto` is: by what the machine has and by how fast it is with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from speech_analogy.errors import ConfigError
from speech_analogy.training import precision
from speech_analogy.training.precision import FASTER, autocast_precision, bf16_speed, measured_bf16_speed


@pytest.mark.parametrize(
    ("has", "speed", "expected"),
    [
        (True, 2.0, "bf16"),
        (True, FASTER, "bf16"),
        (True, 1.1, "no"),  # not worth half of the precision
        (True, 0.5, "no"),  # the instructions are there, and slow
        (False, 2.0, "no"),  # emulated
    ],
)
def test_auto_on_a_processor_is_bf16_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, has: bool, speed: float, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "has_bf16", lambda: has)
    monkeypatch.setattr(precision, "bf16_speed", lambda: speed)
    assert autocast_precision("auto") == expected


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_on_a_gpu_is_bf16_or_else_fp16(monkeypatch: pytest.MonkeyPatch, has: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(precision, "has_bf16", lambda: has)
    assert autocast_precision("auto") == expected


def test_what_is_said_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "fastest_precision", lambda: pytest.fail("measured"))
    assert autocast_precision("bf16") == "bf16"
    assert autocast_precision("fp32") == "no"


def test_fp16_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"precision.*needs a GPU"):
        autocast_precision("fp16")


@pytest.mark.parametrize("slow", [torch.float32, torch.bfloat16])
def test_the_speed_is_that_of_the_products(monkeypatch: pytest.MonkeyPatch, slow: torch.dtype) -> None:
    """A clock on which a product takes 1 s in one precision and 2 s in the other."""
    now, product = [0.0], torch.Tensor.__matmul__

    def multiply(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        now[0] += 2.0 if one.dtype == slow else 1.0
        return product(one, other)

    monkeypatch.setattr(torch.Tensor, "__matmul__", multiply)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert measured_bf16_speed() == (2.0 if slow == torch.float32 else 0.5)


def test_it_is_measured_once_a_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A second process takes what the first one found, whatever it would measure itself."""
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    measured = iter([1.4, 0.7, 2.5])
    monkeypatch.setattr(precision, "measured_bf16_speed", lambda: next(measured))
    before = torch.get_rng_state()
    for _ in range(3):
        bf16_speed.cache_clear()  # as in another process
        assert bf16_speed() == 1.4
    (file,) = tmp_path.glob("bf16-*.json")
    file.write_text("{")
    bf16_speed.cache_clear()
    assert bf16_speed() == 0.7
    assert torch.equal(torch.get_rng_state(), before)
    bf16_speed.cache_clear()
