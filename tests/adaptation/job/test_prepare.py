"""A run without a recipe: what is read, what is chosen, and every mistake in one line before any work."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from speech_analogy.adaptation.extends import RecipeSource
from speech_analogy.adaptation.job.prepare import Prepared, prepare
from speech_analogy.adaptation.job.written import recipe_text
from speech_analogy.adaptation.plan.user_planner import UserPlanner
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.errors import SpeechAnalogyError
from tests.adaptation.job.material import make_job, make_source
from tests.small_conformer import make_conformer

pytest.importorskip("hibari", reason="hibari-tts is not installed")


@pytest.fixture
def job(tmp_path: Path, small_whisper: Path) -> dict[str, Any]:
    return make_job(tmp_path, small_whisper)


def prepared(content: dict[str, Any], folder: Path, run: Path | None = None) -> Prepared:
    """A recipe's content, with paths relative to a folder."""
    return prepare(RecipeSource.unwritten(content), folder, run)


def folders(made: Prepared) -> dict[str, str]:
    """Stage -> its folder's name, which has the hash of what it depends on."""
    plan = UserPlanner(made.recipe, Path("/x"), made.data, "base").plan(Path("/run"))
    return {stage.name: plan.folder(stage.name).name for stage in plan}


def test_a_folder_with_file_name_and_text_is_all_that_is_needed(job: dict[str, Any], tmp_path: Path) -> None:
    made = prepared(job, tmp_path)
    source, target = made.recipe.user_run
    assert (source.kind, source.path) == ("folder", str(tmp_path / "recordings"))
    assert source.hold_out is None  # stand-ins hold out what they need: every utterance is trained on
    assert len(made.data.parts(None, None, 0).source_train) == 30
    assert (made.recipe.title, target.name, made.recipe.target_domains) == ("menu", "menu", ("menu",))
    assert [text.text for text in made.data.texts][:2] == ["spring rolls", "two soups"]
    assert made.found[0] == "menu.txt: 6 texts of 6 lines"
    assert "recordings (folder): 30 utterances" in made.found[1]
    assert "speakers not known" in made.found[1]
    assert made.found[2].startswith("test: none")


def test_every_choice_that_nobody_made_is_kept_with_its_reason(job: dict[str, Any], tmp_path: Path) -> None:
    made = prepared(job, tmp_path)
    chosen = {choice.key: choice for choice in made.defaults}
    assert {"systems", "synthesis.target.voices_per_text", "training.epochs", "publish"} <= chosen.keys()
    assert "base" not in chosen
    assert all(choice.why for choice in chosen.values())
    assert chosen["synthesis.target.voices_per_text"].value == 4  # six texts are few


def test_windows_of_several_utterances_are_for_models_that_write_time_stamps(
    job: dict[str, Any], tmp_path: Path
) -> None:
    made = prepared(job, tmp_path)
    assert "training.packed" in {choice.key for choice in made.defaults}
    assert made.recipe.training.packed > 0
    other = prepared({**job, "base": str(make_conformer(tmp_path / "conformer"))}, tmp_path)
    assert other.recipe.training.packed == 0
    own = prepared({**job, "training": {"packed": 0.0, "padded": 0.1}}, tmp_path)
    assert (own.recipe.training.packed, own.recipe.training.padded) == (0.0, 0.1)


def test_the_tables_that_choices_name_are_there(job: dict[str, Any], tmp_path: Path) -> None:
    for choice in prepared(job, tmp_path).defaults:
        assert not choice.table or (Path(__file__).parents[3] / choice.table.partition("#")[0]).is_file()


def test_what_was_given_stays(job: dict[str, Any], tmp_path: Path) -> None:
    given = {**job, "training": {"epochs": 7}, "source": {"path": "recordings", "hold_out": {"prompts": 3}}}
    made = prepared(given, tmp_path)
    assert made.recipe.training.epochs == 7
    assert made.recipe.training.learning_rate == 1e-4
    assert made.recipe.user_run.source.hold_out.prompts == 3  # type: ignore[union-attr]
    assert not {"training.epochs", "source.hold_out"} & {choice.key for choice in made.defaults}


def test_something_is_held_out_where_it_is_needed_and_speakers_where_enough_are_known(
    job: dict[str, Any], tmp_path: Path
) -> None:
    given = {**job, "publish": "mixed"}  # no stand-ins, so λ is chosen on held-out speech
    made = prepared(given, tmp_path)
    assert made.recipe.user_run.source.hold_out.prompts == 6  # type: ignore[union-attr]
    assert "source.hold_out" in {choice.key for choice in made.defaults}
    assert made.recipe.scale_selection.strategy == "source_dev"
    shutil.rmtree(tmp_path / "recordings")
    make_source(tmp_path / "recordings", 36, speakers=True)
    assert prepared(given, tmp_path).recipe.user_run.source.hold_out.speakers == 2  # type: ignore[union-attr]


def test_the_written_recipe_is_the_same_run_and_says_the_same_of_its_defaults(
    job: dict[str, Any], tmp_path: Path
) -> None:
    made = prepared(job, tmp_path)
    for text, folder in ((recipe_text(made), Path("/elsewhere")), (recipe_text(made, tmp_path), tmp_path)):
        again = prepared(yaml.safe_load(text), folder)
        assert again.recipe == made.recipe
        assert again.defaults == made.defaults
        assert folders(again) == folders(made)
    assert str(tmp_path) not in recipe_text(made, tmp_path).replace(str(made.recipe.base), "")


def test_each_input_redoes_only_what_depends_on_it(job: dict[str, Any], tmp_path: Path) -> None:
    make_source(tmp_path / "labelled", 8)
    shutil.copytree(tmp_path / "labelled", tmp_path / "calls")
    first = folders(prepared(job, tmp_path))
    tested = folders(prepared({**job, "target": {**job["target"], "test": "labelled"}}, tmp_path))
    assert first.items() <= tested.items()
    assert {"corpus-test", "evaluate-mixed"} <= tested.keys() - first.keys()
    (tmp_path / "menu.txt").write_text("spring rolls\n", encoding="utf-8")
    other = folders(prepared(job, tmp_path))
    changed = {name for name in first if first[name] != other[name]}
    assert {"texts", "synthesise-target", "finetune-target_synthetic", "finetune-mixed"} <= changed
    assert not {"corpus", "split", "synthesise-source", "finetune-source_real", "finetune-source_synthetic"} & changed


def test_unlabelled_recordings_choose_the_scale(job: dict[str, Any], tmp_path: Path) -> None:
    make_source(tmp_path / "calls", 8)
    (tmp_path / "calls" / "metadata.csv").unlink()
    made = prepared({**job, "target": {**job["target"], "unlabelled": "calls"}}, tmp_path)
    assert made.recipe.scale_selection.strategy == "agreement"
    assert made.data.unlabelled is not None
    assert all(not cut.supervisions for cut in made.data.unlabelled.cuts)
    assert {"corpus-unlabelled", "sweep-agreement"} <= folders(made).keys()


def test_with_a_test_the_published_model_is_tried_where_it_will_be_used(job: dict[str, Any], tmp_path: Path) -> None:
    assert prepared(job, tmp_path).recipe.other_decoders is None
    make_source(tmp_path / "labelled", 6)
    tried = {**job, "target": {**job["target"], "test": "labelled"}}
    asked = prepared(tried, tmp_path).recipe.other_decoders
    assert asked is not None
    assert asked.decoders == ("our decoder with 30 s windows", "transformers pipeline")
    given = prepared({**tried, "other_decoders": {"utterances": 3}}, tmp_path).recipe.other_decoders
    assert given is not None
    assert given.utterances == 3


def test_a_subset_of_texts_is_nested(job: dict[str, Any], tmp_path: Path) -> None:
    def used(count: int) -> set[str]:
        made = prepared({**job, "target": {**job["target"], "use": count}}, tmp_path)
        return {text.text for text in made.data.texts}

    assert len(used(2)) == 2
    assert used(2) < used(4)


def test_without_a_test_nothing_is_evaluated_on_one(job: dict[str, Any], tmp_path: Path) -> None:
    named = {**job, "publish": "mean_of_mixed_and_analogy"}
    assert "mean_of_mixed_and_analogy" in folders(prepared(named, tmp_path))
    names = folders(prepared(job, tmp_path)).keys()
    assert "published" in names
    assert not [name for name in names if name.startswith("evaluate-") and not name.endswith("-on-source_dev")]


def _of_five(folder: Path) -> None:
    shutil.rmtree(folder / "recordings")
    make_source(folder / "recordings", 5)


def _one_text(folder: Path) -> None:
    lines = (folder / "recordings" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    same = [lines[0], *(f"{line.split(',')[0]},hello" for line in lines[1:])]
    (folder / "recordings" / "metadata.csv").write_text("\n".join(same), encoding="utf-8")


def _without_metadata(folder: Path) -> None:
    (folder / "recordings" / "metadata.csv").unlink()


def _without_audio(folder: Path) -> None:
    for file in (folder / "recordings").iterdir():
        file.unlink()
    (folder / "recordings" / "notes.txt").write_text("nothing here", encoding="utf-8")


def _no_words(folder: Path) -> None:
    (folder / "menu.txt").write_text("...\n\n", encoding="utf-8")


def _test_without_texts(folder: Path) -> None:
    make_source(folder / "labelled", 4)
    (folder / "labelled" / "metadata.csv").unlink()


def _nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "change", "said"),
    [
        (_no_words, {}, r"menu\.txt: there is no usable text .*write a text a line"),
        (_nothing, {"target": {"texts": "absent.txt"}}, r"absent\.txt: the file of texts is missing"),
        (_of_five, {}, r"recordings: a source must have at least 20 .*\(found '5'\); add recordings"),
        (_one_text, {}, r"recordings: a source must say more than 4 different things \(found 1\); add"),
        (_without_metadata, {}, r"recordings: the source cannot be used: .*no \.txt.*file_name,text"),
        (_without_audio, {}, r"recordings: no reader recognises the source.*file_name,text.*KIND:PATH"),
        (_nothing, {"source": "absent"}, r"absent: the source is not there; name a folder"),
        (_nothing, {"source": "nemo:recordings"}, r"recordings: the source cannot be used: not a manifest"),
        (_test_without_texts, {"target": {"texts": "menu.txt", "test": "labelled"}}, "the test cannot be used"),
        (_nothing, {"target": {"texts": "menu.txt", "unlabelled": "absent"}}, "absent: the unlabelled audio is not"),
        (_nothing, {"language": "xx"}, "this base knows English alone, and the texts are in 'xx'"),
        (_nothing, {"synthesis": {"source": {"engines": "hibary"}}}, r"hibary.*did you mean 'hibari'"),
        (_nothing, {"base": "pip:whisper-huge"}, "no such weights package"),
        (_nothing, {"publish": "soup"}, "publish names soup"),
        (_nothing, {"corpus": {"kind": "folder", "path": "x"}}, "either source and target, or corpus and split"),
        (_nothing, {"channel": {"options": {}}}, "channel"),
        (_nothing, {"systems": ["mixed", "target_real"]}, "target_real needs target training recordings"),
        (_nothing, {"scale_selection": {"strategy": "agreement"}}, "agreement needs target.unlabelled"),
        (_nothing, {"target": {"texts": "-"}}, "standard input"),
        (_nothing, {"sorce": "x"}, "did you mean 'source'"),
    ],
)
def test_mistakes(job: dict[str, Any], tmp_path: Path, spoil: Any, change: dict[str, Any], said: str) -> None:
    spoil(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SpeechAnalogyError, match=said) as caught:
        prepared({**job, **change}, tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_language_that_nobody_speaks(job: dict[str, Any], tmp_path: Path, small_multilingual: Path) -> None:
    with pytest.raises(SpeechAnalogyError, match="no installed engine speaks this language") as caught:
        prepared({**job, "base": str(small_multilingual), "language": "xx"}, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_run_inside_its_data_is_refused(job: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SpeechAnalogyError, match="--out: must not lie in the source"):
        prepared(job, tmp_path, tmp_path / "recordings" / "run")


def test_recordings_that_no_window_holds_are_left_out_and_counted(job: dict[str, Any], tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    first = sorted((tmp_path / "recordings").glob("*.wav"))[0]
    soundfile.write(first, np.zeros(31 * 16_000, np.float32), 16_000)
    made = prepared(job, tmp_path)
    assert len(made.data.source.cuts) == 29
    assert "left out: 1 because longer than 30 s" in made.found[1]


def test_the_sources_own_language_is_taken(job: dict[str, Any], tmp_path: Path) -> None:
    table = tmp_path / "recordings" / "metadata.csv"
    head, *lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([f"{head},language", *(f"{line},en-GB" for line in lines)]), encoding="utf-8")
    assert prepared(job, tmp_path).recipe.language == "en"
    table.write_text(
        "\n".join([f"{head},language", *(f"{line},{'en' if n else 'de'}" for n, line in enumerate(lines))]),
        encoding="utf-8",
    )
    with pytest.raises(SpeechAnalogyError, match=r"several languages .*de, en.*--language"):
        prepared(job, tmp_path)


def test_a_recipe_says_one_kind_of_run() -> None:
    with pytest.raises(ValueError, match="none of them is there"):
        Recipe.model_validate({"title": "x"})
    with pytest.raises(ValueError, match="not source"):
        Recipe.model_validate({"title": "x", "source": "recordings"})
