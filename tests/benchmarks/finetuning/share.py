"""What share of the processor's matmul peak fine-tuning reaches.

    python tests/benchmarks/finetuning/share.py --base pip:whisper-tiny.en --windows-s 2 3 4 6
    python tests/benchmarks/finetuning/share.py --base pip:whisper-tiny.en --log MODEL/training/log.jsonl --cuts CUTS

The first takes steps on random batches of these windows in turn, the peak measured between them: a loop in which every
length has been seen before. The second reads what a fine-tuning on CUTS, with seed 0 and batches of `--batch`, wrote of
its own steps, such as speed.py leaves it in `models/steps-0`. FLOPs: `speech_analogy/recognisers/whisper/flops.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

TOKENS_PER_S = 3  # of the random batches
SIDE = 2048  # of the squares whose product is the peak
PRODUCTS = 6  # the fastest of so many counts
WORK = ("forward", "backward", "optimiser")
FRAMES_PER_S = 100  # of log-mel
GIGA = 1e9
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


def peak() -> tuple[float, str]:
    """GFLOP/s of a product of two squares, in the precision that this machine multiplies faster in."""
    import torch

    best = {}
    for name, dtype in PRECISIONS.items():
        one, other = (torch.randn(SIDE, SIDE).to(getattr(torch, dtype)) for _ in range(2))
        for _ in range(PRODUCTS):
            begin = time.perf_counter()
            one @ other
            best[name] = min(best.get(name, float("inf")), time.perf_counter() - begin)
    fastest = min(best, key=lambda name: best[name])
    return 2 * SIDE**3 / best[fastest] / GIGA, fastest


def in_turn(options: argparse.Namespace) -> None:
    """Steps on random batches, each length in turn; the first round warms up."""
    import torch

    from speech_analogy.recognisers.loading import load_recogniser
    from speech_analogy.recognisers.weights import resolve_weights
    from speech_analogy.recognisers.whisper.flops import training_flops
    from speech_analogy.training.memory import bound_kernel_caches, keep_freed_memory
    from speech_analogy.training.precision import autocast_precision

    keep_freed_memory()
    bound_kernel_caches()
    recogniser: Any = load_recogniser(resolve_weights(options.base))
    model = recogniser.model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-6, fused=True)
    took: dict[float, list[float]] = {window: [] for window in options.windows_s}
    counted: dict[float, int] = {}
    bf16 = autocast_precision("auto") == "bf16"
    peaks = []
    for repeat in range(options.repeats + 1):
        peaks.append(peak())
        for window in options.windows_s:
            features = torch.randn(options.batch, recogniser.config.num_mel_bins, round(FRAMES_PER_S * window))
            tokens = torch.randint(
                0, recogniser.config.vocab_size, (options.batch, max(1, round(TOKENS_PER_S * window)))
            )
            begin = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = recogniser.loss(features, tokens, tokens)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if repeat:
                took[window].append(time.perf_counter() - begin)
            counted[window] = training_flops(recogniser.config, options.batch, features.shape[-1], tokens.shape[1])
    for window, seconds in took.items():
        print(f"windows of {window:g} s: {counted[window] / statistics.median(seconds) / GIGA:.0f} GFLOP/s")
    rate = sum(counted.values()) / sum(map(statistics.median, took.values())) / GIGA
    told(rate, sorted(peaks)[len(peaks) // 2])


def of_log(options: argparse.Namespace) -> None:
    """The steps that a fine-tuning wrote down, but for the first."""
    from speech_analogy.corpora.cuts import text_of
    from speech_analogy.corpora.read import read_cuts
    from speech_analogy.recognisers.loading import load_recogniser
    from speech_analogy.recognisers.protocol import IGNORED_LABEL
    from speech_analogy.recognisers.weights import resolve_weights
    from speech_analogy.recognisers.whisper.flops import training_flops
    from speech_analogy.training.batching import batch_window_s, epoch_batches

    recogniser: Any = load_recogniser(resolve_weights(options.base))
    told_of = [json.loads(line) for line in options.log.read_text(encoding="utf-8").splitlines()]
    rows = [row["seconds"] for row in told_of]
    cuts = read_cuts(options.cuts)
    batches: list[Any] = []
    for epoch in range(told_of[-1]["epoch"]):
        batches += epoch_batches(cuts, batch_size=options.batch, seed=0, epoch=epoch)
    if len(rows) != len(batches):
        raise SystemExit(f"{options.log}: {len(rows)} steps, but {len(batches)} batches: --batch as it was?")
    operations, seconds, outside = 0, 0.0, 0.0
    for row, batch in list(zip(rows, batches, strict=True))[1:]:
        inputs, targets = recogniser.labels([text_of(cut) for cut in batch])
        frames = round(FRAMES_PER_S * batch_window_s(batch, "trimmed"))
        learned = int((targets != IGNORED_LABEL).sum())
        operations += training_flops(recogniser.config, len(batch), frames, inputs.shape[1], learned)
        seconds += sum(row.values())
        outside += sum(value for name, value in row.items() if name not in WORK)
    told(operations / seconds / GIGA, peak())
    print(f"outside forward, backward and optimiser: {outside / seconds:.2%}")


def told(rate: float, highest: tuple[float, str]) -> None:
    peak_rate, precision = highest
    print(f"{rate:.0f} GFLOP/s of a peak of {peak_rate:.0f} ({precision}, {SIDE}²): {rate / peak_rate:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="pip:whisper-tiny.en")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--windows-s", type=float, nargs="+", default=[2.0, 3.0, 4.0, 6.0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--cuts", type=Path)
    options = parser.parse_args()
    if (options.log is None) != (options.cuts is None):
        raise SystemExit("--log and --cuts go together")
    import torch

    torch.set_num_threads(options.threads)
    (in_turn if options.log is None else of_log)(options)


if __name__ == "__main__":
    main()
