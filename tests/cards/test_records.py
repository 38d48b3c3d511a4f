"""Every model folder and vector that a verb writes has a card: valid for Hugging Face, and of what is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from lhotse import CutSet
from safetensors.torch import save_file

from speech_analogy.cards.records import (
    CARD_FILE,
    USE_OF_MODEL,
    facts,
    record_card,
    vector_card_file,
    vector_record_card,
    write_record_card,
    write_vector_card,
)
from speech_analogy.export.exporter import export
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.merging.verbs import apply
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions

TUNED: dict[str, Any] = {
    "base": "pip:whisper-tiny.en", "base_fingerprint": "sha256:00", "language": "en", "window": "full",
    "tuned_on": {"utterances": 3, "voices": ["piper:joe", "hibari:heart"]}, "seen": {"texts": "AAAA"},
}  # fmt: skip


def read(file: Path) -> ModelCard:
    return ModelCard(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tuned(small_whisper: Path, noises: CutSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "model"
    return finetune(noises.subset(first=2), small_whisper, out, FinetuneOptions(epochs=1), progress=False).folder


def test_a_fine_tuned_model_an_analogy_and_a_vector_on_a_base_have_one(
    tuned: Path, small_whisper: Path, tmp_path: Path
) -> None:
    made = analogy(tuned, tuned, small_whisper, 0.5, tmp_path / "d")
    TaskVector.between(small_whisper, tuned).save(tmp_path / "tau.safetensors")
    moved = apply(tmp_path / "tau.safetensors", small_whisper, tmp_path / "moved", scale=0.25)
    for folder, title in ((tuned, "Fine-tuned model"), (made, "Analogy of three models"), (moved, "A base and a")):
        card = read(folder / CARD_FILE)
        assert card.text.strip().startswith(f"# {title}"), folder
        assert card.data.tags == ["speech-analogy", "whisper", "task-arithmetic"]
        assert card.data.to_dict()["language"] == "en"
        assert "No WER of it is known" in card.text
    assert "λ = 0.5 was given." in (made / CARD_FILE).read_text(encoding="utf-8")
    assert "λ = 0.25 was given." in (moved / CARD_FILE).read_text(encoding="utf-8")
    card = read(write_vector_card(tmp_path / "tau.safetensors"))
    assert vector_card_file(tmp_path / "tau.safetensors").name == "tau.md"
    assert "task-vector" in card.data.to_dict()["tags"]


def test_an_export_has_the_model_s_card_with_its_own_way_to_load(tuned: Path, tmp_path: Path) -> None:
    own = tuned / CARD_FILE
    measured = own.read_text(encoding="utf-8").replace("No WER of it is known: nothing was measured.", "WER 12.3 %")
    own.write_text(measured, encoding="utf-8")
    copied = read(export(tuned, "transformers", tmp_path / "copy") / CARD_FILE)
    onnx = read(export(tuned, "onnx", tmp_path / "onnx") / CARD_FILE)
    assert USE_OF_MODEL in copied.text
    assert USE_OF_MODEL not in onnx.text
    assert "GreedyOnnx" in onnx.text
    assert (copied.data.library_name, onnx.data.library_name) == ("transformers", "onnx")
    assert "WER 12.3 %" in copied.text
    assert "WER 12.3 %" in onnx.text
    own.unlink()
    assert "No WER of it is known" in read(export(tuned, "onnx", tmp_path / "again") / CARD_FILE).text


def test_front_matter_and_voices() -> None:
    record = {**TUNED, "parents": {"c": {"tuned_on": {"voices": ["flite:slt"]}}}, "license": "mit", "datasets": ["a/b"]}
    card = ModelCard(record_card(facts(record)))
    known = card.data.to_dict()
    assert (known["license"], known["base_model"], known["datasets"]) == ("mit", "openai/whisper-tiny.en", ["a/b"])
    assert "Voices of the synthetic speech: flite:slt, hibari:heart, piper:joe." in card.text
    assert "- c tuned on: voices flite:slt" in card.text
    assert "AAAA" not in card.text
    assert not {"license", "language", "base_model", "datasets"} & ModelCard(record_card({})).data.to_dict().keys()


@pytest.mark.parametrize(
    ("record", "title"),
    [
        ({**TUNED, "operation": "ties"}, "# Merged by ties"),
        ({**TUNED, "shortened": {}}, "# Whisper for short windows"),
        ({"base": "pip:whisper-tiny.en"}, "# Published model"),
    ],
)
def test_how_it_was_made(record: dict[str, Any], title: str) -> None:
    assert title in record_card(record).splitlines()


def test_words_of_strangers_are_no_markup() -> None:
    card = record_card({**TUNED, "creator": "# <script> | *me*", "base": "x` y"})
    assert "\n# <script>" not in card
    assert "&lt;script>" in card
    assert "`x y`" in card
    front = vector_record_card({"base": "a/b", "license": "x\n---\n# y"}).split("---\n")[1]
    assert yaml.safe_load(front)["license"].startswith("x")


def test_only_what_was_made_here_gets_one_and_a_card_that_is_there_stays(small_whisper: Path, tmp_path: Path) -> None:
    (tmp_path / "provenance.json").write_text(json.dumps({"base": "pip:whisper-tiny.en"}), encoding="utf-8")
    write_record_card(tmp_path)
    assert not (tmp_path / CARD_FILE).exists()
    (tmp_path / "provenance.json").write_text(json.dumps(TUNED), encoding="utf-8")
    (tmp_path / CARD_FILE).write_text("mine", encoding="utf-8")
    write_record_card(tmp_path)
    assert (tmp_path / CARD_FILE).read_text(encoding="utf-8") == "mine"


def test_a_vector_of_vectors_names_the_voices_of_all(tmp_path: Path) -> None:
    vectors = []
    for number, voice in enumerate(("piper:joe", "flite:slt")):
        save_file({"a": torch.full((2,), float(number))}, tmp_path / f"{number}.safetensors")
        vectors.append(
            TaskVector.between(
                {"a": torch.zeros(2)}, {"a": torch.ones(2)}, base_name="a/b", tuned_on={"voices": [voice]}
            )
        )
    (vectors[0] + vectors[1]).save(tmp_path / "sum.safetensors")
    card = write_vector_card(tmp_path / "sum.safetensors").read_text(encoding="utf-8")
    assert "Voices of the synthetic speech: flite:slt, piper:joe." in card
