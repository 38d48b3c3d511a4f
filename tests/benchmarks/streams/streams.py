"""Memory, time to the first step and time to resume of fine-tuning from Lhotse Shar, against the number of cuts.

    pip install -e '.[test]'
    python tests/benchmarks/streams/streams.py --whole 1000 10000 100000 1000000 --out TABLE.md
    python tests/benchmarks/streams/streams.py --hours 10000 --out HOURS.md

Shards of 1,000 cuts are written as `synthesize --storage shar` writes them, each clip 64 bytes that are no audio; a
cut says that it lasts 24 to 30 s. Fine-tuning is the ordinary code but for what is stubbed: the features (zeros) and
the loss (of a few weights, so that a step takes little). What is left is all that might grow with the number of cuts:
looking at the shards, dividing them into batches, reading cuts, labels, logs, states, digests and provenance.

`--whole`: one epoch, killed (SIGKILL) halfway and started again. `--hours`: so many hours, killed after the first
steps, then resumed from a state that says half of the epoch, and ended after some steps more. Every start is a process
of its own, its memory the peak of its resident set (with all of torch). The cache begins empty.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

REPOSITORY = Path(__file__).parents[3]
sys.path.insert(0, str(REPOSITORY))

WHOLE = (1_000, 10_000, 100_000, 1_000_000)
CUTS_PER_SHARD = 1_000
SHORTEST_S, LONGEST_S = 24.0, 30.0
MEAN_S = (SHORTEST_S + LONGEST_S) / 2
RATE_HZ = 16_000
CLIP_BYTES = 64
NAME = b"000000-999999"  # of the first shard
BUFFER = 5_000
SAVE_EVERY_S = 5.0
STEPS_AT_LEAST = 10_000  # of a run that is not saved after each step
STEPS_MORE = 1_000
MIB = 1 << 20
WORDS = ["please", "play", "turn", "off", "the", "light", "in", "my", "kitchen", "what", "will", "be", "on", "friday"]


def write_shards(folder: Path, cuts: int) -> None:
    """Shards of fake speech, in the layout that `tarfile` and Lhotse write.

    One shard is made and written with other names each time. A name has the shard's number and what it lacks to
    999999, so that the sum of its characters, which a tar's header holds, is always the same.
    """
    from data_synth.store.tars import cuts_name, recording_name

    folder.mkdir(parents=True)
    for shard in range(-(-cuts // CUTS_PER_SHARD)):
        count = min(CUTS_PER_SHARD, cuts - shard * CUTS_PER_SHARD)
        tar, lines = _shard(count)
        name = f"{shard:06d}-{999_999 - shard:06d}".encode()
        (folder / recording_name(shard)).write_bytes(tar.replace(NAME, name))
        (folder / cuts_name(shard)).write_bytes(gzip.compress(lines.replace(NAME, name), 1, mtime=0))


@cache
def _shard(cuts: int) -> tuple[bytes, bytes]:
    """Tar and manifest of a shard called NAME."""
    from data_synth.store.manifest import cut_line, recording_entry

    lines, content = [], io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for number in range(cuts):
            name = f"{NAME.decode()}-{number:03d}"
            seconds = SHORTEST_S + (LONGEST_S - SHORTEST_S) * number / CUTS_PER_SHARD
            recording = recording_entry(name, "shar", "", round(RATE_HZ * seconds), RATE_HZ)
            clip = name.encode().ljust(CLIP_BYTES)
            for suffix, said in (("flac", clip), ("json", json.dumps(recording).encode())):
                header = tarfile.TarInfo(f"{name}.{suffix}")
                header.size = len(said)
                tar.addfile(header, io.BytesIO(said))
            lines.append(cut_line(_cut(number, name, recording)))
    return content.getvalue(), b"".join(lines)


def _cut(number: int, name: str, recording: dict[str, Any]) -> dict[str, Any]:
    text = " ".join(WORDS[number // 7**place % len(WORDS)] for place in range(8)) + f" {name}"
    span = {"start": 0.0, "duration": recording["duration"], "channel": 0}
    custom = {"domain": f"domain {number % 100}", "kind": "synthetic", "engine": "fake", "voice": "low", "prompt": text}
    said = {"id": name, "recording_id": name, **span, "text": text, "language": "en", "speaker": "fake:low"}
    return {"id": name, **span, "supervisions": [said], "recording": recording, "custom": custom, "type": "MonoCut"}


def train(folder: Path, stop_at: int | None) -> None:
    """One start in this process, ended by SIGKILL once a state of `stop_at` steps is kept; prints JSON lines."""
    begin = time.perf_counter()
    import torch

    from speech_analogy.benching.machine import peak_bytes
    from speech_analogy.recognisers.whisper.model import WhisperRecogniser
    from speech_analogy.training import finetune as loop
    from speech_analogy.training.diverging import require_finite_loss
    from speech_analogy.training.features import FeatureStore
    from speech_analogy.training.options import FinetuneOptions

    def features(self: FeatureStore, cuts: Sequence[Any], window_s: float) -> torch.Tensor:
        return torch.zeros((len(cuts), 80, 100))

    def loss(self: WhisperRecogniser, features: Any, inputs: Any, targets: Any) -> torch.Tensor:
        return self.model.model.decoder.layer_norm.weight.square().mean()

    ready = time.perf_counter()
    first = 0

    def after_step(value: float, step: int, rate: float) -> None:
        nonlocal first
        require_finite_loss(value, step, rate)
        if not first:
            first = step
            say("first step", step=step)
        if stop_at is not None and step > stop_at and any(_states(folder, stop_at)):
            say("killed", step=step)
            os.kill(os.getpid(), signal.SIGKILL)

    def say(event: str, **more: Any) -> None:
        now = time.perf_counter()
        print(
            json.dumps(
                {"event": event, "seconds": now - ready, "import_s": ready - begin, "bytes": peak_bytes(), **more}
            )
        )
        sys.stdout.flush()

    save_every_s = SAVE_EVERY_S if stop_at is None or stop_at > STEPS_AT_LEAST else 0
    options = FinetuneOptions(epochs=1, save_every_s=save_every_s, seconds_at_once=None, precision="fp32")
    with (
        mock.patch.object(FeatureStore, "batch", features),
        mock.patch.object(WhisperRecogniser, "loss", loss),
        mock.patch.object(loop, "require_finite_loss", after_step),
    ):
        done = loop.finetune(folder / "shar", folder / "base", folder / "model", options, buffer=BUFFER, progress=False)
    say("finished", step=done.steps)


def _states(folder: Path, step: int) -> list[Path]:
    states = (folder / ".model.training").glob("step-*")
    return [state for state in states if int(state.name.split("-")[1]) >= step]


def started(folder: Path, stop_at: int | None) -> dict[str, dict[str, Any]]:
    """One start in a process of its own: what it printed, by event."""
    command = [
        sys.executable,
        __file__,
        "--child",
        str(folder),
        *([] if stop_at is None else ["--stop-at", str(stop_at)]),
    ]
    environment = {**os.environ, "SPEECH_ANALOGY_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != (0 if stop_at is None else -signal.SIGKILL):
        raise SystemExit(f"failed with status {done.returncode}")
    return {row["event"]: row for row in map(json.loads, done.stdout.splitlines())}


def prepared(folder: Path, cuts: int) -> None:
    """An empty cache, a small model of random weights and the shards."""
    from speech_analogy.recognisers.whisper.folder import write_folder
    from tests.conftest import small_whisper_tensors

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_folder(small_whisper_tensors(), folder / "base", {"base": "small"}, folder / "base")
    write_shards(folder / "shar", cuts)


def measured(cuts: int, folder: Path, whole: bool) -> str:
    """A row of the table; the folder is removed afterwards."""
    prepared(folder, cuts)
    half = cuts // 16 // 2
    cold = started(folder, half if whole else 1)
    if not whole:
        _say_half(folder, half)
    warm = started(folder, None if whole else half + STEPS_MORE)
    end = warm["finished" if whole else "killed"]
    cells = [
        f"{cuts:,}", f"{cuts * MEAN_S / 3600:,.0f}", f"{cold['first step']['seconds']:.1f}",
        f"{warm['first step']['seconds']:.1f}", f"{warm['first step']['step']:,}", f"{end['step']:,}",
        f"{end['seconds']:.0f}", f"{cold['killed']['bytes'] / MIB:.0f}", f"{end['bytes'] / MIB:.0f}",
    ]  # fmt: skip
    shutil.rmtree(folder)
    return "| " + " | ".join(cells) + " |"


def _say_half(folder: Path, half: int) -> None:
    """A state that says that half of the epoch is done."""
    (state,) = _states(folder, 1)[-1:]
    said = json.loads((state / "state.json").read_text()) | {"step": half}
    (state / "state.json").write_text(json.dumps(said))
    state.rename(state.with_name(f"step-{half:08d}"))


def main() -> None:
    """Measure and print; or, in a process of its own, one start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", type=int, nargs="*", default=[], help=f"numbers of cuts, e.g. {WHOLE}")
    parser.add_argument("--hours", type=float, nargs="*", default=[], help="of speech")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/streams"), help="made anew, and removed")
    parser.add_argument("--out", type=Path, help="write the table there too")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stop-at", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        train(given.child, given.stop_at)
        return
    lines = [
        "| cuts | hours | first look to first step, s | restart to first step, s | which is step | ended at step | "
        "after, s | peak MiB, first start | peak MiB, restart |",
        "|--:" * 9 + "|",
    ]
    for cuts, whole in [*((n, True) for n in given.whole), *((round(h * 3600 / MEAN_S), False) for h in given.hours)]:
        lines.append(measured(cuts, given.folder / str(cuts), whole))
        print(lines[-1], flush=True)
    text = "\n".join([*lines, "", f"Python {platform.python_version()}, {platform.machine()}", ""])
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
