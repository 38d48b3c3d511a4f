"""A new merge method is one file and one line of a package's pyproject.toml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

FILE = '''"""The median of the differences, entry by entry."""

import torch
from torch import Tensor

from speech_analogy.merging.methods.common import LAMBDA
from speech_analogy.merging.methods.declaration import MergeMethod, TensorGroup


def _median(group: TensorGroup) -> Tensor:
    return torch.stack(group.values).median(dim=0).values


MEDIAN = MergeMethod("median", _median, on="deltas", reference="Yin 2018", parameters=(LAMBDA,), elementwise=True)
'''
LINE = "median = medians:MEDIAN"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages, as pip would leave it, that holds the new method's."""
    folder = tmp_path_factory.mktemp("site-packages")
    (folder / "medians.py").write_text(FILE)
    record = folder / "medians-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: medians\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[speech_analogy.merge_methods]\n{LINE}\n")
    return folder


PROGRAM = """
import json, sys
from speech_analogy.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def test_it_is_listed_and_merges(installed: Path, corners: dict[str, Path], tmp_path: Path) -> None:
    file, out = tmp_path / "merge.yaml", tmp_path / "merged"
    models = [{"model": corner} for corner in "abc"]
    content = {"merge_method": "median", "base_model": "base", "models": models, "parameters": {"lambda": 0.5}}
    file.write_text(yaml.safe_dump(content))
    verbs = json.dumps([["merge", "--methods"], ["merge", str(file), "--out", str(out)]])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, verbs],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "median            Yin 2018\n  takes differences from the base; scales\n  lambda" in done.stdout
    base, *tuned = (load_file(corners[corner] / "model.safetensors") for corner in ("base", "a", "b", "c"))
    for name, values in load_file(out / "model.safetensors").items():
        median = torch.stack([state[name] - base[name] for state in tuned]).median(dim=0).values
        assert torch.allclose(values, base[name] + 0.5 * median, atol=1e-6)
