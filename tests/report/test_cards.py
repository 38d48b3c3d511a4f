"""Model and vector cards: valid front matter, the run's numbers, and nothing that is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from speech_analogy.cards.records import hub_id
from speech_analogy.cli.main import app
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import DecoderResult, Results
from speech_analogy.foundation.files import link_tree, write_json
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.report.cards import model_card, vector_card
from speech_analogy.report.report import write_report

PROVENANCE: dict[str, object] = {
    "base": "pip:whisper-tiny.en", "license": "apache-2.0", "language": "en", "fingerprint": "ab12",
    "tuned_on": {"plus": "B", "minus": "A"}, "parents": ["C", "B", "A"], "creator": None,
}  # fmt: skip


def split(card: str) -> tuple[dict[str, Any], str]:
    empty, front, body = card.split("---\n", 2)
    assert empty == ""
    loaded = yaml.safe_load(front)
    assert isinstance(loaded, dict)
    return loaded, body


def test_model_card_has_the_chosen_systems_numbers(results: Results) -> None:
    front, body = split(model_card(results, PROVENANCE))
    (chosen,) = [system for system in results.systems if system.chosen]
    metrics = {m["type"]: m["value"] for m in front["model-index"][0]["results"][0]["metrics"]}
    assert metrics == {"wer": round(chosen.wer, 2), "cer": round(chosen.cer, 2)}
    assert (front["license"], front["language"], front["base_model"]) == ("apache-2.0", "en", "openai/whisper-tiny.en")
    assert "speech-analogy" in front["tags"]
    assert f"WER {chosen.wer:.1f} %" in body
    assert "- fingerprint: ab12" in body
    assert "- parents: C, B, A" in body
    assert "creator" not in body
    assert results.test.note in body


def test_the_index_has_interval_decoder_and_every_other_decoder_as_hugging_face_reads_it(results: Results) -> None:
    (chosen,) = [system for system in results.systems if system.chosen]
    tried = {
        "decoder": "whisper.cpp",
        "utterances": 7,
        "wer": 31.0,
        "ours": 30.0,
        "difference": 1.0,
        "ci95": (-1.0, 3.0),
    }
    elsewhere = DecoderResult.model_validate(tried)
    found = results.model_copy(update={"published": chosen.name, "other_decoders": [elsewhere]})
    index = ModelCard(model_card(found, PROVENANCE)).data.eval_results
    wer, cer, other = index
    assert wer.metric_args == {
        "ci95": [round(bound, 2) for bound in chosen.ci95], "utterances": results.test.utterances,
        "decoder": f"speech-analogy, {chosen.window} windows", "normaliser": results.test.normaliser,
    }  # fmt: skip
    assert cer.metric_args["decoder"] == wer.metric_args["decoder"]
    assert (other.metric_value, other.metric_args["decoder"]) == (31.0, "whisper.cpp")
    assert other.metric_args["ci95_of_the_difference"] == [-1.0, 3.0]
    selection = results.selection
    assert selection is not None
    assert f"λ = {selection.scale:g} was chosen on {selection.scale_chosen_on}" in model_card(results, PROVENANCE)


def test_model_card_of_another_system_and_of_one_that_was_not_measured(results: Results) -> None:
    (mixed,) = [system for system in results.systems if system.name == "mixed"]
    assert f"WER {mixed.wer:.1f} %" in model_card(results, {}, name="mixed")
    assert f"λ = {results.systems[-1].scale:g}" in model_card(results, {}, scale=results.systems[-1].scale)
    with pytest.raises(DataError, match="did not measure"):
        model_card(results, {}, scale=9.0)


def test_what_is_not_known_is_not_claimed(results: Results) -> None:
    for card in (model_card(results, {}), vector_card({})):
        front, _ = split(card)
        assert not {"license", "language", "base_model"} & set(front)
    assert "model-index" not in split(vector_card({}))[0]
    assert "Measured" not in vector_card({})


def test_vector_card_names_its_base(results: Results) -> None:
    front, body = split(vector_card(PROVENANCE, results))
    assert front["base_model"] == "openai/whisper-tiny.en"
    assert "`pip:whisper-tiny.en`" in body
    assert "## Measured" in body


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("openai/whisper-small", "openai/whisper-small"),
        ("pip:whisper-base", "openai/whisper-base"),
        ("/models/whisper", None),
        ("models/a/b", None),
        ("tiny.pt", None),
        ("", None),
    ],
)
def test_hub_id(base: str, expected: str | None) -> None:
    assert hub_id(base) == expected


def _with_model(run: Path, stage: Path) -> Path:
    """`run/model` as `adapt` leaves it: a second name for every file of a stage's model."""
    stage.mkdir(parents=True)
    write_json(stage / "provenance.json", {"schema": 1, "base": "openai/whisper-tiny", "operation": "analogy",
               "scale": {"a": 1.0}, "parents": {"c": {"path": "/x", "tuned_on": {"hours": 0.1}}}})  # fmt: skip
    link_tree(stage, run / "model")
    return run / "model"


def test_a_report_writes_the_models_card_and_remembers_the_system(run: Path, tmp_path: Path) -> None:
    model = _with_model(run, tmp_path / "stage")
    write_report(run)
    assert not (model / "README.md").exists()  # nobody has said which system it is
    write_report(run, "mixed")
    front, body = split((model / "README.md").read_text())
    assert front["base_model"] == "openai/whisper-tiny"
    assert front["model-index"][0]["name"].endswith("Mixed")
    assert "- c tuned on: hours 0.1" in body
    assert "scale" not in body.split("## Provenance")[1]
    (model / "README.md").unlink()
    write_report(run)
    assert split((model / "README.md").read_text())[0] == front
    with pytest.raises(DataError, match="did not measure"):
        write_report(run, "soup")
    assert split((model / "README.md").read_text())[0] == front


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2-conformer"])
def test_a_card_is_tagged_with_its_models_own_kind(run: Path, tmp_path: Path, kind: str) -> None:
    model = _with_model(run, tmp_path / "stage")
    write_json(model / "config.json", {"model_type": kind})
    write_report(run, "mixed")
    assert split((model / "README.md").read_text())[0]["tags"] == ["speech-analogy", kind, "task-arithmetic"]


def test_a_card_never_reaches_the_stage_that_the_model_came_from(run: Path, tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "README.md").write_text("of the stage")
    link_tree(stage, run / "model")
    assert (run / "model" / "README.md").samefile(stage / "README.md")
    write_report(run, "analogy")
    assert (stage / "README.md").read_text() == "of the stage"
    assert (run / "model" / "README.md").read_text().startswith("---")
    (run / "model" / "README.md").unlink()
    (run / "model").rmdir()
    (run / "model").symlink_to(stage)
    write_report(run, "analogy")
    assert (stage / "README.md").read_text() == "of the stage"


def test_a_run_without_a_model_gets_no_card(run: Path) -> None:
    write_report(run, "analogy")
    assert not (run / "model").exists()
    assert not (run / "published.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", "null"])
def test_a_broken_record_is_one_line(run: Path, tmp_path: Path, content: str) -> None:
    _with_model(run, tmp_path / "stage")
    (run / "published.json").write_text(content)
    with pytest.raises(DataError, match=r"published\.json: does not name a system; .*--system"):
        write_report(run)


def test_a_page_that_cannot_be_written_is_one_line(run: Path) -> None:
    (run / "report.html").unlink()
    (run / "report.html").mkdir()  # stands where the file should go
    with pytest.raises(DataError, match="must be writable"):
        write_report(run)


def test_the_card_of_a_vector_file(made: Path, tmp_path: Path) -> None:
    vector = tmp_path / "vector.safetensors"
    tensors = {"a": torch.ones(2)}
    source = {"a": torch.zeros(2)}
    known = {"licence": "apache-2.0", "creator": "me", "tuned_on": "B", "settings": {"language": "en"}}
    tuned = TaskVector.between(source, tensors, base_name="openai/whisper-tiny", **known)
    tuned.save(vector)
    out = tmp_path / "README.md"
    arguments = ["vector", "card", str(vector), "--run", str(made), "--out", str(out)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    front, body = split(out.read_text())
    assert (front["license"], front["base_model"], front["language"]) == ("apache-2.0", "openai/whisper-tiny", "en")
    assert "- tuned on: B" in body
    assert "## Measured" in body
    assert "Task vector" in CliRunner().invoke(app, arguments[:3]).output
    assert isinstance(CliRunner().invoke(app, arguments).exception, DataError)  # it is there already
