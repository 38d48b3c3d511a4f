"""The executor: what it writes, in how much memory, and what is left when something goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.header import DTYPES, TensorSpec
from speech_analogy.merging.io.model_folder import new_folder
from speech_analogy.merging.io.stream import StreamOptions, byte_bar, plan_shards, run, write_files, write_model
from tests.merging.conftest import make_state, write_folder

SPECS = [TensorSpec(f"t{number}", (100 + number,), torch.float32) for number in range(30)]


def make(spec: TensorSpec) -> Iterator[Tensor]:
    values = torch.arange(spec.numel, dtype=torch.float32) + int(spec.name[1:])
    yield values[:7]
    yield values[7:]


@settings(max_examples=40, deadline=None)
@given(
    tensors=st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.tuples(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 4), max_size=3)),
        min_size=1,
        max_size=6,
    ),
    metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3),
)
def test_the_safetensors_library_reads_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any], metadata: dict[str, str]
) -> None:
    tensors.pop("__metadata__", None)
    if not tensors:
        return
    file = tmp_path_factory.mktemp("w") / "x.safetensors"
    specs = [TensorSpec(name, tuple(shape), DTYPES[dtype]) for name, (dtype, shape) in tensors.items()]
    draw = torch.Generator().manual_seed(0)
    made = {spec.name: torch.randint(0, 2, spec.shape, generator=draw).to(spec.dtype) for spec in specs}
    write_files({file: specs}, lambda spec: [made[spec.name]], metadata={file: metadata})
    with safe_open(file, "pt") as reader:
        assert sorted(reader.keys()) == sorted(made)
        assert (reader.metadata() or {}) == metadata
        for name, values in made.items():
            found = reader.get_tensor(name)
            assert found.dtype == values.dtype
            assert found.shape == values.shape
            assert found.reshape(-1).view(torch.uint8).equal(values.reshape(-1).view(torch.uint8))
    ours = open_checkpoint(file)
    assert all(
        ours[name].reshape(-1).view(torch.uint8).equal(made[name].reshape(-1).view(torch.uint8)) for name in made
    )


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=20), limit=st.integers(1, 400))
def test_shards_hold_everything_once_and_within_the_limit(sizes: list[int], limit: int) -> None:
    specs = [TensorSpec(f"{number:02d}", (size,), torch.float32) for number, size in enumerate(sizes)]
    shards = plan_shards(specs, limit)
    assert [spec for shard in shards for spec in shard] == specs
    assert all(sum(spec.nbytes for spec in shard) <= limit or len(shard) == 1 for shard in shards)


def test_shards_are_named_and_indexed_as_transformers_wants(tmp_path: Path) -> None:
    write_model(tmp_path, SPECS, make, StreamOptions(threads=3, shard_bytes=2000))
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    count = len({*index["weight_map"].values()})
    assert index["weight_map"]["t0"] == f"model-00001-of-{count:05d}.safetensors"
    opened = open_checkpoint(tmp_path)
    assert all(torch.equal(opened[spec.name], torch.cat(list(make(spec)))) for spec in SPECS)


def test_progress_adds_up(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_model(
        tmp_path, SPECS, make, StreamOptions(threads=3, progress=lambda done, total: seen.append((done, total)))
    )
    total = sum(spec.nbytes for spec in SPECS)
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    with byte_bar("x", disable=True) as progress:
        progress(1, 2)


def test_workers_use_one_torch_thread_each(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    found: list[int] = []
    try:
        run(SPECS, lambda spec: found.append(torch.get_num_threads()), StreamOptions(threads=2))
        assert set(found) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_memory_budget_holds() -> None:
    lock, state = threading.Lock(), {"now": 0, "most": 0, "together": 0}

    def work(spec: TensorSpec) -> None:
        with lock:
            state["now"] += spec.nbytes
            state["together"] += 1
            state["most"] = max(state["most"], state["now"])
            alone = state["together"] == 1
        time.sleep(0.002)
        with lock:
            assert spec.nbytes <= 900 or alone
            state["now"] -= spec.nbytes
            state["together"] -= 1

    specs = [*SPECS, TensorSpec("huge", (1000,), torch.float32)]
    run(specs, work, StreamOptions(threads=4, memory_bytes=900), cost=lambda spec: spec.nbytes)
    assert state["most"] <= 4000
    assert state["now"] == 0


def test_the_first_error_stops_the_rest() -> None:
    started: list[str] = []

    def work(spec: TensorSpec) -> None:
        started.append(spec.name)
        if len(started) == 3:
            raise CheckpointError("no", field=spec.name)
        time.sleep(0.005)

    with pytest.raises(CheckpointError, match="no"):
        run(SPECS, work, StreamOptions(threads=2))
    assert len(started) < 8


@pytest.mark.parametrize("count", [99, 101])
def test_a_tensor_of_another_size_than_announced_is_an_error(tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match="elements were made"):
        write_model(tmp_path, [TensorSpec("t", (100,), torch.float32)], lambda spec: [torch.zeros(count)])


def test_a_disk_without_room_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    folders = [write_folder(tmp_path / corner, make_state(seed)) for seed, corner in enumerate("abc")]
    with pytest.raises(CheckpointError, match="the disk must hold the output"):
        analogy(folders[2], folders[1], folders[0], 1.0, tmp_path / "d")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b", "c"]


FULL = """
import resource, sys
from speech_analogy.errors import CheckpointError
from speech_analogy.merging.analogy import analogy
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
try:
    analogy(*sys.argv[1:4], 1.0, sys.argv[4])
except CheckpointError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    """The system refuses to write beyond 6,000 bytes a file, as a full disk or a quota would."""
    folders = [write_folder(tmp_path / corner, make_state(seed)) for seed, corner in enumerate("abc")]
    arguments = [str(path) for path in (*reversed(folders), tmp_path / "d")]
    done = subprocess.run([sys.executable, "-c", FULL, *arguments], capture_output=True, text=True, check=True)
    assert "/d: the output must be writable" in done.stdout
    assert "make room on the disk" in done.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b", "c"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "d") as folder:
            (folder / "x").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


BOUNDED = """
import sys, threading
from speech_analogy.merging.analogy import analogy

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

before, most, done = anonymous(), 0, threading.Event()
def watch():
    global most
    while not done.wait(0.002):
        most = max(most, anonymous())
watcher = threading.Thread(target=watch)
watcher.start()
analogy(*sys.argv[1:4], 0.5, sys.argv[4], threads=2)
done.set()
watcher.join()
print(most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="RssAnon is read from Linux's /proc")
def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """Three inputs of 96 MB each and an output of 96 MB pass through less than 24 MB of memory of our own."""
    state = {f"w{number}": torch.ones(1 << 20) for number in range(24)}
    folders = [write_folder(tmp_path / corner, state) for corner in "abc"]
    arguments = [str(path) for path in (*folders, tmp_path / "d")]
    done = subprocess.run([sys.executable, "-c", BOUNDED, *arguments], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 24 * 1024  # KiB


def test_threads_where_the_system_tells_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no `sched_getaffinity`."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for cores, expected in ((3, 3), (64, 8), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert StreamOptions().worker_count() == expected
