"""The fingerprint is of the weights, not of their storage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from tests.merging.conftest import make_state, write_folder, write_shards


def test_storage_does_not_matter(tmp_path: Path) -> None:
    state = make_state(0)
    torch.save(state, tmp_path / "m.pt")
    prints = {
        fingerprint(state),
        fingerprint(dict(reversed(state.items()))),
        fingerprint(open_checkpoint(write_folder(tmp_path / "one", state))),
        fingerprint(open_checkpoint(write_shards(tmp_path / "two", state, 4))),
        fingerprint(open_checkpoint(tmp_path / "m.pt")),
        fingerprint(state, threads=5),
    }
    assert len(prints) == 1


def test_it_is_the_documented_digest() -> None:
    values = torch.tensor([[1.0, -2.0]], dtype=torch.float16)
    inner = hashlib.sha256(json.dumps(["w", [1, 2], "torch.float32"]).encode())
    inner.update(values.float().numpy().tobytes())
    expected = hashlib.sha256(b"speech-analogy fingerprint 1" + inner.digest()).hexdigest()
    assert fingerprint({"w": values}) == f"sha256:{expected}"


def test_exact_widening_keeps_it_and_rounding_changes_it() -> None:
    half = make_state(1, torch.float16)
    wide = {name: values.float() for name, values in half.items()}
    single = make_state(1)
    assert fingerprint(half) == fingerprint(wide)
    assert fingerprint(single) != fingerprint({name: values.bfloat16() for name, values in single.items()})


def test_any_change_changes_it() -> None:
    state = make_state(2)
    name = "model.encoder.conv1.weight"
    nudged = {**state, name: state[name].clone()}
    nudged[name].view(-1)[-1] = torch.nextafter(nudged[name].view(-1)[-1], torch.tensor(9.0))
    reshaped = {**state, name: state[name].reshape(8, 15)}
    renamed = {f"{key}x" if key == name else key: values for key, values in state.items()}
    without = {key: values for key, values in state.items() if key != name}
    assert len({fingerprint(other) for other in (state, nudged, reshaped, renamed, without)}) == 5
