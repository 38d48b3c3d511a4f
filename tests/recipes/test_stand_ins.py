"""recipes/speechocean762/prepare.py and stand_ins.yaml: topics to choose systems on, without the test's topics."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.corpora.cuts import domain_of, text_of
from speech_analogy.corpora.read import read_corpus
from speech_analogy.errors import DataError
from tests.conftest import REPOSITORY, recipe_script

RECIPES = REPOSITORY / "recipes" / "speechocean762"
TEXTS = {
    "a": ("train", "we ate rice", 8, None),
    "b": ("train", "my mother is late", 8, "people"),
    "c": ("test", "the door of her house", 30, "house"),
    "d": ("test", "nothing at all", 30, "adult-other"),
    "e": ("train", "nothing at all", 8, "child-other"),
    "f": ("test", "two hundred six", 8, None),
}


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    return recipe_script("speechocean762")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = []
    for name, (split, text, age, _) in TEXTS.items():
        soundfile.write(folder / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
        rows.append({"id": name, "split": split, "text": text, "speaker": name, "age": age, "audio": f"{name}.wav"})
    (folder / "utterances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_tests_topics_are_gone_and_others_stand_in(prepare: ModuleType, corpus: Path, tmp_path: Path) -> None:
    prepare.prepare(corpus, tmp_path / "data")
    made = read_corpus("speechocean762", tmp_path / "data", progress=False)
    assert not made.problems
    assert {cut.id: domain_of(cut) for cut in made.cuts} == {
        name: domain for name, (*_, domain) in TEXTS.items() if domain
    }
    for cut in made.cuts:
        split, text, age, _ = TEXTS[cut.id]
        assert (cut.custom["split"], text_of(cut), cut.custom["age"]) == (split, text, age)
        assert Path(cut.recording.sources[0].source).is_relative_to(corpus)


def test_it_overwrites_nothing_and_says_what_is_missing(
    prepare: ModuleType,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "data"
    prepare.prepare(corpus, out)
    before = (out / "utterances.jsonl").read_bytes()
    with pytest.raises(DataError, match="exist"):
        prepare.prepare(corpus, out)
    assert (out / "utterances.jsonl").read_bytes() == before
    monkeypatch.setattr(sys, "argv", ["prepare.py", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "other")])
    assert prepare.main() == 2
    assert f"error: {tmp_path / 'no'}: the corpus is not there" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_the_recipe_differs_from_the_tests_in_data_and_systems_alone(prepare: ModuleType) -> None:
    ours, test = (load_recipe(RECIPES / name)[0] for name in ("stand_ins.yaml", "each.yaml"))
    assert ours.split.target_domains == tuple(prepare.STAND_INS)
    left_out = {"title", "note", "corpus", "systems", "scale_selection", "report_forgetting", "vectors"}
    assert ours.model_dump(exclude={*left_out, "split"}) == test.model_dump(exclude={*left_out, "split"})
    assert ours.split.model_dump(exclude={"target_domains"}) == test.split.model_dump(exclude={"target_domains"})
