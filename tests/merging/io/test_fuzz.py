"""Readers meet damaged files: they give tensors or a CheckpointError, and never anything else.

625 cases in an ordinary run, the same each time. The nightly run draws 20,000 new ones for each of the five tests:

    pytest -m fuzz --hypothesis-profile nightly
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.vectors.compress import Compression, compress
from speech_analogy.merging.vectors.task_vector import TaskVector
from tests.merging.conftest import make_state, near, write_folder, write_shards

pytestmark = pytest.mark.fuzz

ORDINARY_CASES = 125  # for each of five tests
NIGHTLY = settings.default is not None and settings.default.max_examples > ORDINARY_CASES
QUIET = settings(
    max_examples=settings.default.max_examples if NIGHTLY and settings.default else ORDINARY_CASES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not NIGHTLY,
)

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete", "truncate", "swap"]),
        st.floats(0, 1),  # where
        st.binary(min_size=1, max_size=9),
    ),
    min_size=1,
    max_size=4,
)
"""Damage to a file; the place is a share of its length, drawn near the header half of the time (see
`damaged`)."""

Edit = tuple[str, float, bytes]


def damaged(whole: bytes, edits: list[Edit], head: int) -> bytes:
    """`whole` after some edits, each in the first `head` bytes or anywhere."""
    content = bytearray(whole)
    for kind, where, data in edits:
        reach = head if data[0] % 2 else len(content)
        at = min(int(where * reach), len(content))
        if kind == "set":
            content[at : at + len(data)] = data
        elif kind == "insert":
            content[at:at] = data
        elif kind == "delete":
            del content[at : at + len(data)]
        elif kind == "truncate":
            del content[at:]
        else:
            other = data[-1] * len(content) // 256
            content[at : at + 8], content[other : other + 8] = content[other : other + 8], content[at : at + 8]
    return bytes(content)


def survives(read: Callable[[], object]) -> None:
    """Reading gives something or a CheckpointError of one line."""
    message = "fine"
    try:
        read()
    except CheckpointError as error:
        message = str(error)
    assert message
    assert "\n" not in message


def read_everything(path: Path) -> float:
    return sum(float(values.double().sum()) for _, values in open_checkpoint(path).items() if not values.is_complex())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def plain(place: Path) -> bytes:
    return (write_folder(place / "plain", make_state(0)) / "model.safetensors").read_bytes()


@QUIET
@given(edits=EDITS)
def test_safetensors(place: Path, plain: bytes, edits: list[Edit]) -> None:
    file = place / "damaged.safetensors"
    file.write_bytes(damaged(plain, edits, int.from_bytes(plain[:8], "little")))
    survives(lambda: read_everything(file))


@pytest.fixture(scope="module")
def compressed(place: Path) -> bytes:
    base = make_state(0)
    vector = TaskVector.between(base, near(base, 1))
    compress(vector, place / "vector.safetensors", Compression("topk", 0.3, "int8"))
    return (place / "vector.safetensors").read_bytes()


@QUIET
@given(edits=EDITS)
def test_compressed_vectors_even_unverified(place: Path, compressed: bytes, edits: list[Edit]) -> None:
    file = place / "damaged-vector.safetensors"
    file.write_bytes(damaged(compressed, edits, int.from_bytes(compressed[:8], "little")))
    survives(lambda: TaskVector.load(file, verify=False).norm())
    survives(lambda: TaskVector.load(file).norm())


@pytest.fixture(scope="module")
def pickled(place: Path) -> bytes:
    torch.save({"a": torch.ones(5, 3), "b": torch.zeros(2), "c": torch.arange(4.0)}, place / "whole.pt")
    return (place / "whole.pt").read_bytes()


@QUIET
@given(edits=EDITS)
def test_pickles(place: Path, pickled: bytes, edits: list[Edit]) -> None:
    file = place / "damaged.pt"
    file.write_bytes(damaged(pickled, edits, 400))
    survives(lambda: read_everything(file))


@pytest.fixture(scope="module")
def index(place: Path) -> bytes:
    return (write_shards(place / "shards", make_state(0), 2) / "model.safetensors.index.json").read_bytes()


@QUIET
@given(edits=EDITS)
def test_indexes(place: Path, index: bytes, edits: list[Edit]) -> None:
    file = place / "shards" / "model.safetensors.index.json"
    file.write_bytes(damaged(index, edits, len(index)))
    survives(lambda: read_everything(place / "shards"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "F16", "BOOL", "I64", "Q4"]) | JSON,
        "shape": st.lists(st.integers(-2, 5), max_size=3) | JSON,
        "data_offsets": st.lists(st.integers(-4, 70), max_size=3) | JSON,
    },
)


@QUIET
@given(header=st.dictionaries(st.text(max_size=4), ENTRY | JSON, max_size=3) | JSON, data=st.binary(max_size=64))
def test_headers_made_of_the_grammar(place: Path, header: object, data: bytes) -> None:
    text = json.dumps(header).encode()
    file = place / "grammar.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)
    survives(lambda: read_everything(file))
