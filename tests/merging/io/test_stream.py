"""Streaming: what is written, in how much memory, and what is left when something goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.header import DTYPES, TensorSpec
from speech_analogy.merging.io.model_folder import write_weights
from speech_analogy.merging.io.stream import StreamOptions, byte_bar, run_in_threads, write_files
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import SPECS, make_spec, make_state, write_folder


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


def test_progress_adds_up(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_weights(
        tmp_path, SPECS, make_spec, StreamOptions(threads=3, progress=lambda done, total: seen.append((done, total)))
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
        run_in_threads(SPECS, lambda spec: found.append(torch.get_num_threads()), StreamOptions(threads=2))
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
    run_in_threads(specs, work, StreamOptions(threads=4, memory_bytes=900), cost=lambda spec: spec.nbytes)
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
        run_in_threads(SPECS, work, StreamOptions(threads=2))
    assert len(started) < 8


@pytest.mark.parametrize("count", [99, 101])
def test_a_tensor_of_another_size_than_announced_is_an_error(tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match="elements were made"):
        write_weights(tmp_path, [TensorSpec("t", (100,), torch.float32)], lambda spec: [torch.zeros(count)])


def test_a_disk_without_room_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the output, not the name it is built under."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    folders = [write_folder(tmp_path / corner, make_state(seed)) for seed, corner in enumerate("abc")]
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/d: the disk must hold the output") as caught:
        analogy(folders[2], folders[1], folders[0], 1.0, tmp_path / "d")
    assert str(caught.value).endswith("(found 100); make room on the disk")
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/v\.safetensors: the disk must hold the output"):
        TaskVector.between(folders[0], folders[1]).save(tmp_path / "v.safetensors")
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


def test_threads_where_the_system_has_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no `sched_getaffinity`."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for cores, expected in ((3, 3), (64, 8), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert StreamOptions().worker_count() == expected
