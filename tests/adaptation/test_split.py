"""What is source, target, held out and test."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import Split, split, texts_of
from speech_analogy.corpora.cuts import domain_of, prompt_of_cut, speaker_of
from speech_analogy.corpora.read import read_corpus
from speech_analogy.errors import ConfigError, DataError
from tests.adaptation.building import RECIPE, recipe_of
from tests.conftest import make_corpus


def test_split_keeps_source_target_and_test_apart(parts: Split, noises: CutSet) -> None:
    ids = [set(parts.part(name).ids) for name in ("source_train", "source_dev", "target_train", "test")]
    assert all(not a & b for i, a in enumerate(ids) for b in ids[i + 1 :])
    assert {domain_of(cut) for cut in parts.test} == {"b"} == {domain_of(cut) for cut in parts.target_train}
    assert {domain_of(cut) for cut in parts.source_train} == {"a"}
    speakers = {speaker_of(cut) for cut in parts.source_dev}
    assert not speakers & {speaker_of(cut) for cut in parts.source_train}
    assert {cut.custom["split"] for cut in parts.test} == {"test"}
    texts = {text.text for text in parts.target_texts}
    assert texts == {cut.supervisions[0].text for cut in parts.target_train}


def test_closed_vocabulary_knows_all_texts_and_tests_on_recordings(noises: CutSet) -> None:
    recipe = recipe_of(
        split={"target_domains": ["b"], "source_dev": {"prompts": 2}, "target_dev": {"prompts": 2}},
        systems=["zero_shot", "analogy"],
    )
    found = split(noises, recipe)
    target = [cut for cut in noises if domain_of(cut) == "b"]
    assert len(found.test) + len(found.target_dev) == len(target)
    assert not {prompt_of_cut(c) for c in found.test} & {prompt_of_cut(c) for c in found.target_dev}
    assert len(found.target_train) == 0
    assert {text.text for text in found.target_texts} == {cut.supervisions[0].text for cut in target}


def test_texts_are_unique_only_where_asked(noises: CutSet) -> None:
    twice = CutSet.from_cuts([*noises, *(cut.with_id(f"{cut.id}-again") for cut in noises)])
    assert len(texts_of(twice)) == 2 * len(noises)
    assert len(texts_of(twice, unique=True)) == len({(c.supervisions[0].text, domain_of(c)) for c in noises})


@pytest.mark.parametrize(
    ("split_change", "error"),
    [
        ({"target_domains": ["z"]}, ConfigError),
        ({"field": "nothing"}, DataError),
        ({"source_dev": {"speakers": 99}}, ConfigError),
    ],
)
def test_a_split_that_leaves_nothing_is_an_error(
    noises: CutSet, split_change: dict[str, object], error: type[Exception]
) -> None:
    recipe = recipe_of(split={**RECIPE["split"], **split_change})  # type: ignore[dict-item]
    with pytest.raises(error):
        split(noises, recipe)


def test_a_share_of_the_target_texts_is_a_share_of_the_larger_one(noises: CutSet) -> None:
    """Nested, so that a curve over their number compares like with like; recordings and source stay."""

    def divided(count: int | None) -> Split:
        told = {**RECIPE["split"], **({} if count is None else {"target_texts": count})}
        return split(noises, Recipe.model_validate({**RECIPE, "split": told}))

    whole = divided(None)
    assert len(whole.target_texts) > 4
    few, more = divided(2), divided(4)
    assert [len(few.target_texts), len(more.target_texts)] == [2, 4]
    ids = [{text.id for text in part.target_texts} for part in (few, more, whole)]
    assert ids[0] < ids[1] < ids[2]
    for name in ("source_train", "source_dev", "test"):
        assert [c.id for c in few.part(name)] == [c.id for c in whole.part(name)]
    assert divided(10_000).target_texts == whole.target_texts
    dumped = Recipe.model_validate(RECIPE).model_dump(mode="json")["split"]
    assert "target_texts" not in dumped  # older runs keep their names


def test_source_domains_are_nested(tmp_path: Path) -> None:
    corpus = read_corpus("folder", make_corpus(tmp_path / "c", 60, domains=("a", "b", "c", "d", "e")), progress=False)

    def domains(count: int | None) -> set[str]:
        told = {**RECIPE["split"], **({} if count is None else {"source_domains": count})}
        found = split(corpus.cuts, Recipe.model_validate({**RECIPE, "split": told}))
        assert {domain_of(c) for c in found.source_dev} <= {domain_of(c) for c in found.source_train}
        return {domain_of(c) for c in found.source_train}

    grown = [domains(count) for count in (1, 2, 3, 4)]
    assert [len(found) for found in grown] == [1, 2, 3, 4]
    assert grown[0] < grown[1] < grown[2] < grown[3] == domains(None) == {"a", "c", "d", "e"}
    with pytest.raises(ConfigError, match=r"split\.source_domains.*5 of 4"):
        domains(5)
