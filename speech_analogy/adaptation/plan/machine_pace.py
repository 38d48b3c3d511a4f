"""How fast this machine is beside the one whose rates the estimates use: measured once in some 2 s, then remembered.

Every core works at once, as in a run, so that two cores which share their arithmetic are not taken for two whole ones.
The processor's time is taken, not the clock's: other programs that happen to run at the time do not count.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from speech_analogy.errors import DataError
from speech_analogy.foundation.digests import digest
from speech_analogy.foundation.disk.cache_folder import cache_folder
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.machine import cores, processor, visible_gpus
from speech_analogy.foundation.progress import say

PROBE_VERSION = 1
# Processor seconds of each probe on the reference: AMD EPYC (Zen 4, 2.6 GHz), 2 cores, torch 2.14.1.
TRAINING_S, DECODING_S = 0.136, 0.345
MOST_THREADS = 8  # a larger machine is measured with as many: each holds 200 MB
TRIES = 2  # the fastest counts
WIDTH, HEADS, LAYERS, VOCABULARY = 384, 6, 2, 13_000  # as whisper-tiny, with half the layers and a smaller vocabulary
BATCH, FRAMES, TOKENS = 8, 75, 8  # trimmed windows of 1.5 s and their texts
FULL_FRAMES, STEPS = 1500, 8  # one 30 s window, and tokens decoded from it
KEY_DIGITS = 12


@dataclass(frozen=True)
class MachinePace:
    """How many times as long as on the reference machine a stage takes here."""

    training: float = 1.0
    decoding: float = 1.0
    measured: bool = True


REFERENCE = MachinePace(measured=False)
"""Nothing was measured: the rates are taken as they are."""


def machine_pace(*, show: bool = False) -> MachinePace:
    """This machine's pace; `REFERENCE` where GPUs do the work, which is not modelled.

    Args:
        show: say on stderr that it is being measured.
    """
    if visible_gpus():
        return REFERENCE
    named = [PROBE_VERSION, TRAINING_S, DECODING_S, processor(), cores(), version("torch")]
    file = cache_folder() / f"pace-{digest(named)[:KEY_DIGITS]}.json"
    remembered = _remembered(file)
    if remembered is None and show:
        say("measuring how fast this machine is, once")
    return remembered or _measured(file)


def _remembered(file: Path) -> MachinePace | None:
    try:
        return MachinePace(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _measured(file: Path) -> MachinePace:
    training_s, decoding_s = probe_seconds()
    pace = MachinePace(round(training_s / TRAINING_S, 2), round(decoding_s / DECODING_S, 2))
    try:
        with whole_file(file, one_of_many=True) as temporary:  # several runs may share a cache
            temporary.write_text(json.dumps(asdict(pace)), encoding="utf-8")
    except DataError:
        pass  # it is measured again next time
    return pace


def probe_seconds() -> tuple[float, float]:
    """Processor seconds of a step of fine-tuning, and of decoding one 30 s window, with every core at work."""
    import torch

    threads_before, random_before = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    try:
        return _at_once(_training_step), _at_once(_decoding)
    finally:
        torch.set_num_threads(threads_before)
        torch.set_rng_state(random_before)


def _at_once(prepare: Callable[[], Callable[[], None]]) -> float:
    """The median over the cores of the fastest try, all of them working together."""
    count = min(cores(), MOST_THREADS)
    ready, found = threading.Barrier(count), list[float]()

    def work() -> None:
        step = prepare()
        step()  # makes kernels and moments
        ready.wait()
        tries = []
        for _ in range(TRIES):
            begin = time.thread_time()
            step()
            tries.append(time.thread_time() - begin)
        found.append(min(tries))

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return statistics.median(found)


def _training_step() -> Callable[[], None]:
    """A step of fine-tuning an encoder and an output layer, in the precision that this machine trains in."""
    import torch
    from torch import nn

    from speech_analogy.training.precision import fastest_precision

    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True)
    encoder, output = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False), nn.Linear(WIDTH, VOCABULARY)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *output.parameters()], lr=1e-5, fused=True)
    speech = torch.randn(BATCH, FRAMES, WIDTH)
    labels = torch.randint(VOCABULARY, (BATCH * TOKENS,))
    bf16 = fastest_precision() == "bf16"

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            scores = output(encoder(speech)[:, :TOKENS]).flatten(0, 1)  # (batch × tokens, vocabulary)
        nn.functional.cross_entropy(scores.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()

    return step


def _decoding() -> Callable[[], None]:
    """One 30 s window through an encoder, and a few tokens one by one, in float32."""
    import torch
    from torch import nn

    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True)
    encoder, output = (
        nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).eval(),
        nn.Linear(WIDTH, VOCABULARY),
    )
    window, token = torch.randn(1, FULL_FRAMES, WIDTH), torch.randn(1, 1, WIDTH)

    def step() -> None:
        with torch.inference_mode():
            encoder(window)
            for _ in range(STEPS):
                output(encoder(token))

    return step
