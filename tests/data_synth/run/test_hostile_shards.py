"""Shards of somebody else: what their ledgers and links name outside their folders is neither read nor written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_synth.plan.options import SynthesisOptions
from data_synth.plan.plan import Shard
from data_synth.run.finish import mark_finished
from data_synth.run.join_shards import join_shards
from data_synth.store.ledger import LEDGER_NAME, read_rows
from data_synth.store.tars import open_clip
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import DataError
from speech_analogy.foundation.disk.inside import inside, is_plain_name
from tests.data_synth.contents import files

pytestmark = pytest.mark.usefixtures("plugin")

TEXTS = [Text.of(words, "a") for words in ("turn it on", "stop", "next one", "call me")]


@pytest.fixture(scope="module")
def shards(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("shards")
    options = SynthesisOptions.parse({"engines": "fake:low", "isolated": False})
    for number in (1, 2):
        synthesize(TEXTS, folder / str(number), options, progress=False, shard=Shard(number, 2))
    return [folder / "1", folder / "2"]


@pytest.fixture
def copies(shards: list[Path], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(shard, tmp_path / "in" / shard.name)) for shard in shards]


def rewritten(folder: Path, **values: Any) -> None:
    """The ledger with other values in the row of its first kept clip."""
    lines = [json.loads(line) for line in (folder / LEDGER_NAME).read_text().splitlines()]
    next(row for row in lines if row["path"]).update(values)
    (folder / LEDGER_NAME).write_text("".join(json.dumps(row) + "\n" for row in lines))
    mark_finished(folder / LEDGER_NAME)


def paths(folder: Path) -> Iterator[str]:
    return (row.path for row in read_rows(folder) if row.path)


@pytest.mark.parametrize(
    "path", ["../../secret.flac", "/etc/hostname", "clips/../../../secret.flac", "..\\secret.flac", "a\0b", ""]
)
def test_a_ledger_that_leads_out(copies: list[Path], tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.flac").write_bytes(b"secret")
    rewritten(copies[0], path=path)
    with pytest.raises(DataError, match=r"ledger\.jsonl: line \d+ is not a row"):
        join_shards(copies, tmp_path / "a" / "b" / "out", progress=False)
    copied = [file for file in (tmp_path / "a").rglob("*") if file.is_file() and file.read_bytes() == b"secret"]
    assert not copied


@pytest.mark.parametrize("key", ["../../secret", "a/b", ""])
def test_a_key_that_leads_out(copies: list[Path], tmp_path: Path, key: str) -> None:
    rewritten(copies[0], key=key)
    with pytest.raises(DataError, match="is not a row"):
        join_shards(copies, tmp_path / "out", progress=False)


@pytest.mark.parametrize("what", ["file", "folder", "circle"])
@pytest.mark.parametrize("transfer", ["link", "move"])
def test_a_link_that_leads_out(copies: list[Path], tmp_path: Path, what: str, transfer: Any) -> None:
    name = next(paths(copies[0]))
    clip = copies[0] / name
    if what == "folder":
        clip.parent.rename(tmp_path / "elsewhere")
        clip.parent.symlink_to(tmp_path / "elsewhere")
    else:
        clip.rename(tmp_path / "secret.flac")
        clip.symlink_to(clip if what == "circle" else tmp_path / "secret.flac")
    before = files(tmp_path / "elsewhere") if what == "folder" else {}
    with pytest.raises(DataError, match=r"names a file outside its folder|missing or empty"):
        join_shards(copies, tmp_path / "out", transfer=transfer, progress=False)
    assert not (tmp_path / "out" / name).exists()
    assert before == (files(tmp_path / "elsewhere") if what == "folder" else {})
    row = next(row for row in read_rows(copies[0]) if row.path == name)
    with pytest.raises(DataError, match="outside"):
        open_clip(copies[0], row)


def test_an_output_whose_folders_are_links(copies: list[Path], tmp_path: Path) -> None:
    """Begun by an earlier call, and changed since."""
    out = tmp_path / "out"
    join_shards(copies, out, progress=False)
    shutil.rmtree(out / "clips")
    (tmp_path / "elsewhere").mkdir()
    (out / "clips").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="outside its folder"):
        join_shards(copies, out, progress=False)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_names_within_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to("../a")
    assert inside(tmp_path, "a/link/b.flac") == tmp_path / "a/link/b.flac"
    assert is_plain_name("a..b/c")
    for name in ("..", "a/../b", "", "/a", "a\\..\\b"):
        with pytest.raises(DataError, match="outside its folder"):
            inside(tmp_path, name)
