"""Every format holds the same model: read back by its own runtime, and refused in one line where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import whisper
from transformers import WhisperForConditionalGeneration
from typer.testing import CliRunner

from speech_analogy.cards.records import CARD_FILE
from speech_analogy.cli.main import app
from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.export.exporter import EXPORTERS, Exporter, export
from speech_analogy.export.openai_file import openai_name
from speech_analogy.foundation.files import MARK
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.recognisers.whisper.openai_format import read_openai
from tests.conftest import small_whisper_tensors
from tests.export.models import small_model


@pytest.fixture(scope="module", params=[51864, 51865], ids=["english", "multilingual"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with feed-forward layers of four times its width, as every published Whisper has."""
    return small_model(tmp_path_factory.mktemp("weights") / "small", request.param)


@pytest.fixture(scope="module")
def openai(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(model, "openai", tmp_path_factory.mktemp("openai") / "small.pt")


def test_openai_reads_back_bit_for_bit(model: Path, openai: Path) -> None:
    stored = open_checkpoint(model)
    found = read_openai(openai)
    assert set(found) == set(stored)
    assert all(torch.equal(found[name], stored[name]) for name in found)


def test_whisper_loads_it_and_computes_the_same(model: Path, openai: Path) -> None:
    theirs = whisper.load_model(str(openai), device="cpu")  # strict: every name and shape must be its own
    ours = WhisperForConditionalGeneration.from_pretrained(model).eval()
    generator = torch.Generator().manual_seed(0)
    mel = torch.randn(1, theirs.dims.n_mels, 3000, generator=generator)
    tokens = torch.tensor([[50257, 50362, 11, 13]])
    with torch.inference_mode():
        expected = theirs(mel, tokens)
        found = ours(input_features=mel, decoder_input_ids=tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_width_that_openai_cannot_load_is_refused(small_whisper: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"encoder_ffn_dim: must be 4 times d_model.*found 32"):
        export(small_whisper, "openai", tmp_path / "small.pt")
    assert list(tmp_path.iterdir()) == []


def test_every_name_is_renamed_to_one_of_its_own() -> None:
    names = list(small_whisper_tensors())
    assert len({openai_name(name) for name in names}) == len(names)


def test_transformers_is_a_copy_without_links(model: Path, tmp_path: Path) -> None:
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for file in model.iterdir():
        (linked / file.name).symlink_to(file)
    (linked / "checkpoint-1").mkdir()
    out = export(linked, "transformers", tmp_path / "out" / "copy")
    assert {file.name for file in out.iterdir()} == {MARK, CARD_FILE, *(file.name for file in model.iterdir())}
    for file in model.iterdir():
        assert not (out / file.name).is_symlink()
        assert file.stat().st_nlink == 1
        assert file.read_bytes() == (out / file.name).read_bytes()


def test_ctranslate2_opens_it(small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))
    out = export(small_whisper, "ctranslate2", tmp_path / "ct2")
    assert {"model.bin", "config.json", "preprocessor_config.json", "provenance.json"} <= {
        p.name for p in out.iterdir()
    }
    assert not ctranslate2.models.Whisper(str(out), device="cpu").is_multilingual


def test_it_is_whole_or_not_there_and_only_a_model_is_overwritten(small_whisper: Path, tmp_path: Path) -> None:
    def failing(model: Path, out: Path) -> None:
        (out / "half").write_text("")
        raise KeyboardInterrupt

    EXPORTERS.add("failing", Exporter(failing))
    try:
        with pytest.raises(KeyboardInterrupt):
            export(small_whisper, "failing", tmp_path / "out")
    finally:
        EXPORTERS.remove("failing")
    assert list(tmp_path.iterdir()) == []
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "diary.txt").write_text("dear diary")
    with pytest.raises(CheckpointError, match="exists already"):
        export(small_whisper, "transformers", mine)
    with pytest.raises(CheckpointError, match="not written by speech-analogy"):
        export(small_whisper, "transformers", mine, overwrite=True)
    assert (mine / "diary.txt").read_text() == "dear diary"
    export(small_whisper, "transformers", tmp_path / "out")
    export(small_whisper, "transformers", tmp_path / "out", overwrite=True)


def test_a_format_names_the_families_that_it_holds(small_whisper: Path, tmp_path: Path) -> None:
    EXPORTERS.add("ctc", Exporter(lambda model, out: None, families=("wav2vec2-conformer",)))
    try:
        with pytest.raises(ConfigError, match=r"model: ctc holds models of wav2vec2-conformer \(found 'whisper'\)"):
            export(small_whisper, "ctc", tmp_path / "out")
    finally:
        EXPORTERS.remove("ctc")
    with pytest.raises(ConfigError, match="did you mean 'openai'"):
        export(small_whisper, "open-ai", tmp_path / "out")


def test_the_verb(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.pt"
    found = CliRunner().invoke(app, ["export", str(model), "--to", "openai", "--out", str(out)])
    assert found.exit_code == 0, found.output
    assert str(out) in found.output.replace("\n", "")
    assert out.is_file()
