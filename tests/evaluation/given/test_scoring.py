"""Hypotheses of other programs: each form is read, scored as jiwer does, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import jiwer
import pytest

from speech_analogy.errors import DataError
from speech_analogy.evaluation.given.scoring import score_files
from speech_analogy.evaluation.standalone import results_of

REFERENCES = {"a": "one two three", "b": "four five", "c": "six"}
SAID = {"a": "one two tree", "b": "four five five", "c": "six"}
FORMS = {
    "h.trn": "".join(f"{text} ({key})\n" for key, text in SAID.items()),
    "h.jsonl": "".join(f'{{"id": "{key}", "text": "{text}"}}\n' for key, text in SAID.items()),
    "h.csv": "utt_id,hypothesis\n" + "".join(f"{key},{text}\n" for key, text in SAID.items()),
    "h.tsv": "id\ttext\n" + "".join(f"{key}\t{text}\n" for key, text in SAID.items()),
    "text": "".join(f"{key} {text}\n" for key, text in SAID.items()),
}


def _references(folder: Path) -> Path:
    path = folder / "r.trn"
    path.write_text("".join(f"{text} ({key})\n" for key, text in reversed(REFERENCES.items())))
    return path


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_scored_as_jiwer_scores_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name])
    (found,) = score_files([tmp_path / name, _references(tmp_path)], normalise_as="none").evaluations
    assert found.system.wer == pytest.approx(100 * jiwer.wer(list(REFERENCES.values()), list(SAID.values())))
    assert found.system.name == name
    assert (found.system.window, found.system.backend) == ("", "")


def test_a_manifest_holds_its_references_and_systems_are_compared_pairwise(tmp_path: Path) -> None:
    files = []
    for name, said in {"x": SAID, "y": REFERENCES, "z": dict.fromkeys(REFERENCES, "")}.items():
        files.append(tmp_path / f"{name}.jsonl")
        lines = [f'{{"audio_filepath": "{k}", "text": "{REFERENCES[k]}", "pred_text": "{said[k]}"}}\n' for k in said]
        files[-1].write_text("".join(lines))
    scored = score_files(files, normalise_as="none")
    found = results_of(scored.evaluations, scored.references, "en", "", normalise_as="none", with_consensus=True)
    assert [round(one.wer, 6) for one in found.systems] == [pytest.approx(100 / 3), 0.0, 100.0]
    assert [(one.system, one.against) for one in found.comparisons] == [
        ("x.jsonl", "y.jsonl"), ("x.jsonl", "z.jsonl"), ("y.jsonl", "z.jsonl"),
    ]  # fmt: skip
    assert found.test.normaliser == "none: words as they are written"
    # Edits to the others, a: x 1 + 3, y 1 + 3; b: x 1 + 3, y 1 + 2; c: x 0 + 1. So x's a, y's b: 1 error in 6 words.
    assert (found.ensembles[0].wer, found.ensembles[0].oracle_wer) == (pytest.approx(100 / 6), 0.0)


def test_marks_are_words_unless_whispers_basic_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "h.trn").write_text("नमस्ता दुनियी (a)\n")
    (tmp_path / "r.trn").write_text("नमस्ते दुनिया (a)\n")
    files = [tmp_path / "h.trn", tmp_path / "r.trn"]
    assert score_files(files, language="hi").evaluations[0].system.wer == 100.0
    assert score_files(files, language="hi", normalise_as="whisper-basic").evaluations[0].system.wer == 0.0


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("one (a)\n", "has no hypothesis for 2 of 3 references, e.g."),
        ("one (a)\nb (b)\nc (c)\nd (d)\n", "has 1 hypotheses without a reference"),
        ("one (a)\ntwo (a)\n", "two lines have the same id"),
        ("one\n", "line 1 must end with the utterance's id"),
        ("{ one / two } (a)\n", "line 1 has alternatives"),
        ("", "has no line"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, said: str, rule: str) -> None:
    (tmp_path / "h.trn").write_text(said)
    with pytest.raises(DataError, match=rule) as caught:
        score_files([tmp_path / "h.trn", _references(tmp_path)])
    assert "\n" not in str(caught.value)


def test_what_is_missing_may_be_empty_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "h.trn").write_text("one two three (a)\n")
    files = [tmp_path / "h.trn", _references(tmp_path)]
    assert score_files(files, missing="empty", normalise_as="none").evaluations[0].system.wer == 50.0
    assert score_files(files, missing="skip", normalise_as="none").evaluations[0].system.wer == 0.0


def test_words_on_references_without_any_are_counted(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("id,text,pred_text\na,one,one\nb,,thank you\n")
    (found,) = score_files([tmp_path / "h.csv"]).evaluations
    assert (found.system.words_on_silence, found.dropped_empty_references, found.system.wer) == (2, 1, 0.0)
