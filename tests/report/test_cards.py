"""Model and vector cards: valid front matter, the run's numbers, and nothing that is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results
from speech_analogy.report.cards import hub_id, model_card, vector_card, write_card

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


def test_a_card_is_not_overwritten_silently(tmp_path: Path) -> None:
    path = write_card("one", tmp_path)
    with pytest.raises(DataError, match="already there"):
        write_card("two", tmp_path)
    assert path.read_text() == "one"
    assert write_card("two", tmp_path, overwrite=True).read_text() == "two"
    assert [child.name for child in tmp_path.iterdir()] == ["README.md"]
