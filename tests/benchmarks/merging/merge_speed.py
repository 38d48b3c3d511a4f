"""How fast a merge is: our analogy and task arithmetic against the floor (the same bytes, no arithmetic) and
mergekit.

    python tests/benchmarks/merging/merge_speed.py --shape large-v3 --out SPEED.md

Four models (θ_0, A, B, C) of one Whisper shape with random float16 values are made once in `--folder`. "Analogy
of 3" is C + λ(B − A) (in mergekit: base C, B at λ, A at −λ); "task arithmetic of 4" is θ_0 + τ_C + λτ_B − λτ_A. Every
measurement is a process of its own, on warm files, best of `--repeats`; memory is the peak of anonymous pages
(what is resident without the file cache). `--shape small` takes seconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.engine.merge_file import merge
from speech_analogy.merging.io.header import TensorSpec, read_header
from speech_analogy.merging.io.model_folder import write_weights
from speech_analogy.merging.io.stream import StreamOptions

SCALE = 0.75
SPREAD = 0.02  # standard deviation of the weights
CHUNK_BYTES = 1 << 20
MIB, GB = 1 << 20, 1e9


@dataclass(frozen=True)
class Shape:
    """The sizes of a Whisper model."""

    width: int
    layers: int
    inner: int
    vocabulary: int
    mels: int
    heads: int


SHAPES = {
    "small": Shape(256, 2, 1024, 5000, 80, 4),
    "base": Shape(512, 6, 2048, 51865, 80, 8),
    "whisper-small": Shape(768, 12, 3072, 51865, 80, 12),
    "large-v3": Shape(1280, 32, 5120, 51866, 128, 20),
}
POSITIONS, TARGETS = 1500, 448


def whisper_specs(shape: Shape) -> list[TensorSpec]:
    """Names and shapes as Hugging Face writes them."""
    w, inner = shape.width, shape.inner
    shapes: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (w, shape.mels, 3),
        "model.encoder.conv1.bias": (w,),
        "model.encoder.conv2.weight": (w, w, 3),
        "model.encoder.conv2.bias": (w,),
        "model.encoder.embed_positions.weight": (POSITIONS, w),
        "model.decoder.embed_positions.weight": (TARGETS, w),
        "model.decoder.embed_tokens.weight": (shape.vocabulary, w),
    }
    for part, attentions in (("encoder", ["self_attn"]), ("decoder", ["self_attn", "encoder_attn"])):
        norms = [f"model.{part}.layer_norm"]
        for layer in range(shape.layers):
            prefix = f"model.{part}.layers.{layer}."
            norms += [f"{prefix}{name}_layer_norm" for name in (*attentions, "final")]
            for attention in attentions:
                for letter in ("q", "k", "v", "out"):
                    shapes[f"{prefix}{attention}.{letter}_proj.weight"] = (w, w)
                    if letter != "k":
                        shapes[f"{prefix}{attention}.{letter}_proj.bias"] = (w,)
            shapes |= {f"{prefix}fc1.weight": (inner, w), f"{prefix}fc1.bias": (inner,)}
            shapes |= {f"{prefix}fc2.weight": (w, inner), f"{prefix}fc2.bias": (w,)}
        shapes |= {f"{norm}.{leaf}": (w,) for norm in norms for leaf in ("weight", "bias")}
    return [TensorSpec(name, sides, torch.float16) for name, sides in sorted(shapes.items())]


def make_inputs(folder: Path, shape: Shape) -> None:
    """Write the four models, unless they are there."""
    config = {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "dtype": "float16",
        "d_model": shape.width,
        "encoder_layers": shape.layers,
        "decoder_layers": shape.layers,
        "encoder_attention_heads": shape.heads,
        "decoder_attention_heads": shape.heads,
        "encoder_ffn_dim": shape.inner,
        "decoder_ffn_dim": shape.inner,
        "vocab_size": shape.vocabulary,
        "num_mel_bins": shape.mels,
    }
    for seed, name in enumerate(("base", "a", "b", "c")):
        model = folder / name
        if (model / "config.json").exists():
            continue
        shutil.rmtree(model, ignore_errors=True)
        model.mkdir(parents=True)

        def make(spec: TensorSpec, seed: int = seed) -> list[torch.Tensor]:
            draw = torch.Generator().manual_seed(zlib.crc32(f"{seed} {spec.name}".encode()))
            return [(torch.randn(spec.shape, generator=draw) * SPREAD).half()]

        write_weights(model, whisper_specs(shape), make, StreamOptions(threads=2))
        (model / "config.json").write_text(json.dumps(config))
    (folder / "analogy.yaml").write_text(
        f"merge_method: task_arithmetic\nbase_model: {folder / 'c'}\ndtype: float16\nmodels:\n"
        f"  - {{model: {folder / 'b'}, parameters: {{weight: {SCALE}}}}}\n"
        f"  - {{model: {folder / 'a'}, parameters: {{weight: {-SCALE}}}}}\n"
    )
    (folder / "merge.yaml").write_text(
        f"merge_method: task_arithmetic\nbase_model: {folder / 'base'}\ndtype: float16\nmodels:\n"
        f"  - {{model: {folder / 'c'}, parameters: {{weight: 1.0}}}}\n"
        f"  - {{model: {folder / 'b'}, parameters: {{weight: {SCALE}}}}}\n"
        f"  - {{model: {folder / 'a'}, parameters: {{weight: {-SCALE}}}}}\n"
    )


def floor(folder: Path, names: list[str], out: Path, threads: int) -> None:
    """Read every byte of the inputs and write as many as the result has; no arithmetic."""
    out.mkdir()
    files = [folder / name / "model.safetensors" for name in names]
    size = files[0].stat().st_size
    sources = [os.open(file, os.O_RDONLY) for file in files]
    target = os.open(out / "model.safetensors", os.O_WRONLY | os.O_CREAT)

    def work(part: int) -> None:
        buffer = bytearray(CHUNK_BYTES)
        for start in range(part * CHUNK_BYTES, size, threads * CHUNK_BYTES):
            for source in sources:
                read = os.preadv(source, [buffer], start)
            os.pwrite(target, memoryview(buffer)[:read], start)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    for descriptor in (*sources, target):
        os.close(descriptor)


def run_one(what: str, folder: Path, out: Path, threads: int) -> None:
    """One measurement; prints seconds (imports not counted) and peak anonymous memory."""
    jobs: dict[str, Callable[[], object]] = {
        "floor of 3": lambda: floor(folder, ["a", "b", "c"], out, threads),
        "floor of 4": lambda: floor(folder, ["base", "a", "b", "c"], out, threads),
        "analogy of 3": lambda: analogy(folder / "c", folder / "b", folder / "a", SCALE, out, threads=threads),
        "task arithmetic of 4": lambda: merge(folder / "merge.yaml", out, options=StreamOptions(threads=threads)),
    }
    with Memory() as memory:
        begin = time.perf_counter()
        jobs[what]()
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "anonymous_bytes": memory.most}))


class Memory:
    """Watches the peak of anonymous resident memory of this process, or of another."""

    INTERVAL_S = 0.005

    def __init__(self, process: int | str = "self") -> None:
        self.most, self._process, self._done = 0, process, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._done.wait(self.INTERVAL_S):
            try:
                status = Path(f"/proc/{self._process}/status").read_text()
            except OSError:
                return
            found = next((line for line in status.splitlines() if line.startswith("RssAnon")), "RssAnon: 0")
            self.most = max(self.most, int(found.split()[1]) * 1024)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


MERGEKIT = """
import sys, time
import mergekit.architecture.base as architecture, torch, yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
prefix = architecture._prefix_weight  # mergekit's Whisper file lacks a dot
architecture._prefix_weight = lambda weight, name=None: prefix(
    weight, "model.decoder." if name == "model.decoder" else name)
config = MergeConfiguration.model_validate(yaml.safe_load(open(sys.argv[1])))
begin = time.perf_counter()
run_merge(config, sys.argv[2], MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True))
print("SECONDS", time.perf_counter() - begin)
"""


def measure(command: list[str], out: Path, environment: dict[str, str]) -> tuple[float, int]:
    """Seconds and peak anonymous bytes of one process."""
    shutil.rmtree(out, ignore_errors=True)
    os.sync()  # let the last output reach the disk, so that it does not slow this one
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    with Memory(process.pid) as memory:
        printed, _ = process.communicate()
    shutil.rmtree(out, ignore_errors=True)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    last = printed.strip().splitlines()[-1]
    if last.startswith("SECONDS"):
        return float(last.split()[1]), memory.most
    found = json.loads(last)
    return found["seconds"], found["anonymous_bytes"]


def table(rows: dict[str, tuple[float, int]], written: int, arguments: argparse.Namespace) -> str:
    """The result as Markdown."""
    lines = [
        f"Shape {arguments.shape}, {written / GB:.2f} GB a model (float16), best of {arguments.repeats}, "
        f"{arguments.threads} threads; {machine()}.",
        "",
        "| merge | seconds | GB/s written | against its floor | anonymous memory, MiB |",
        "|---|---|---|---|---|",
    ]
    for name, (seconds, memory) in rows.items():
        base = rows["floor of 3" if name.endswith("3") else "floor of 4"][0]
        lines.append(
            f"| {name} | {seconds:.2f} | {written / seconds / GB:.2f} | {seconds / base:.2f}x | {memory / MIB:.0f} |"
        )
    for name in ("analogy of 3", "task arithmetic of 4"):
        theirs = rows.get(f"mergekit, {name}")
        if theirs:
            lines.append(f"\n{name}: mergekit takes {theirs[0] / rows[name][0]:.1f} times as long.")
    four = rows.get("mergekit, task arithmetic of 4")
    if four:  # θ_0 cancels out of the analogy; who has four models and wants θ_D need not read it
        lines.append(
            f"\nθ_D from θ_0, A, B and C: {four[0] / rows['analogy of 3'][0]:.1f} times as long in mergekit's "
            "four-input form as here, where θ_0 cancels out and is not read."
        )
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Processor, cores, memory and versions."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    model = next((line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB
    return (
        f"{model or platform.processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def main() -> None:
    """Make the inputs, warm them, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="large-v3")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "speech-analogy-merge-speed")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--mergekit-python",
        default=sys.executable if importlib.util.find_spec("mergekit") else None,
        help="an interpreter that has mergekit; default: this one, if it has",
    )
    parser.add_argument("--out", type=Path, help="write the table here too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder / arguments.shape
    out = arguments.folder / "out"
    if arguments.one:
        run_one(arguments.one, folder, out, arguments.threads)
        return
    make_inputs(folder, SHAPES[arguments.shape])
    files = [folder / name / "model.safetensors" for name in ("base", "a", "b", "c")]
    written = files[0].stat().st_size
    assert len(read_header(files[0]).entries) == len(whisper_specs(SHAPES[arguments.shape]))
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "HF_HUB_OFFLINE": "1"}
    rows: dict[str, tuple[float, int]] = {}
    ours = ["floor of 3", "analogy of 3", "floor of 4", "task arithmetic of 4"]
    for _ in range(arguments.repeats):
        for file in files:
            with file.open("rb") as handle:  # warm the file cache
                while handle.read(CHUNK_BYTES):
                    pass
        for name in ours:
            given = ["--shape", arguments.shape, "--folder", str(arguments.folder), "--threads", str(arguments.threads)]
            command = [sys.executable, __file__, "--one", name, *given]
            rows[name] = min(rows.get(name, (float("inf"), 0)), measure(command, out, environment))
        if arguments.mergekit_python:
            for name, file in (("mergekit, analogy of 3", "analogy"), ("mergekit, task arithmetic of 4", "merge")):
                command = [arguments.mergekit_python, "-c", MERGEKIT, str(folder / f"{file}.yaml"), str(out)]
                rows[name] = min(rows.get(name, (float("inf"), 0)), measure(command, out, environment))
    text = table(rows, written, arguments)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
