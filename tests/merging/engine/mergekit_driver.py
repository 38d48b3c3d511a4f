"""Lets mergekit merge and sparsify as jobs say, in a process of its own. Usage: mergekit_driver.py JOBS.json

Not a test.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import mergekit.architecture.base as architecture
import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from mergekit.sparsify import RescaleNorm, SparsificationMethod, sparsify
from safetensors.torch import load_file, save_file


def mend_whisper() -> None:
    """mergekit's Whisper file lacks a dot after `model.decoder`."""
    prefix = architecture._prefix_weight
    architecture._prefix_weight = lambda weight, name=None: prefix(
        weight, "model.decoder." if name == "model.decoder" else name
    )


def run(job: dict[str, Any]) -> None:
    if job["kind"] == "merge":
        config = MergeConfiguration.model_validate(yaml.safe_load(job["config"]))
        run_merge(config, job["out"], MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True))
        return
    torch.manual_seed(job["seed"])
    tau = load_file(job["tensors"])["tau"]
    options = {key: job[key] for key in ("gamma", "epsilon") if key in job}
    made = [
        sparsify(
            tau,
            job["density"],
            SparsificationMethod(job["method"]),
            rescale_norm=RescaleNorm(job["rescale"]) if job["rescale"] else None,
            **options,
        )
        for _ in range(job["repeats"])
    ]
    save_file({"made": torch.stack(made)}, job["out"])


if __name__ == "__main__":
    mend_whisper()
    torch.set_num_threads(1)
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        for item in json.load(file):
            run(item)
