"""The test of a run must be new to its models: what of it was in training is refused, or said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lhotse import CutSet

from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import Split
from speech_analogy.adaptation.user_data import UserData
from speech_analogy.corpora.cuts import text_of
from speech_analogy.corpora.seen import SeenSpeech, is_synthetic
from speech_analogy.evaluation.overlap import Allowed, overlap_of, require_new
from speech_analogy.evaluation.results import Hypothesis, Overlap
from speech_analogy.foundation.hash_sets import short_hash
from speech_analogy.systems.catalogue import TRAINED_ON

REAL_PARTS = {"source_real": "source_train", "target_real": "target_train"}  # set of cuts -> part of the corpus
SAY = "say --allow-overlap (allow_overlap in a recipe)"


def require_new_test(recipe: Recipe, parts: Split, files: dict[str, str]) -> None:
    """Refuse a test with recordings or speakers of its own training, unless the recipe allows it.

    Args:
        files: path -> sha256 of its bytes, of the whole corpus.

    Raises:
        DataError: naming how many.
    """
    sets = {name for system in recipe.trainings() for name in TRAINED_ON[system]}
    trained = [cut for name, part in REAL_PARTS.items() if name in sets for cut in parts.part(part)]
    _require_apart(parts.test, CutSet.from_cuts(trained), files, recipe.allow_overlap)


def require_new_recordings(recipe: Recipe, data: UserData) -> None:
    """The same of the user's run: nothing of the source may be in the test.

    Raises:
        DataError: naming how many.
    """
    if data.test is not None and data.source is not None:
        _require_apart(data.test.cuts, data.source.cuts, None, recipe.allow_overlap)


def _require_apart(test: CutSet, trained: CutSet, files: dict[str, str] | None, allowed: Allowed | None) -> None:
    if len(trained) and len(test):
        require_new(test, overlap_of(test, SeenSpeech.of(trained, files), files), allowed, SAY)


def met_in(rows: Sequence[Hypothesis], trained: Iterable[Any], recordings: bool) -> Overlap:
    """How much of a test that was transcribed was in training.

    Args:
        rows: the test.
        trained: all cuts that models were trained on.
        recordings: may there be any of the test's among them? Else nobody looks.
    """
    real = [cut for cut in trained if not is_synthetic(cut)]
    speakers = {cut.supervisions[0].speaker for cut in real}
    ids = {cut.id for cut in real} if recordings else set()
    known = {row.id for row in rows if row.id in ids}
    by_speaker = {row.id for row in rows if row.speaker and row.speaker != row.id and row.speaker in speakers}
    return Overlap(
        recordings=len(known),
        speakers=len({row.speaker for row in rows if row.id in by_speaker}),
        utterances=len(known | by_speaker),
    )


def spoken_in(trained: Iterable[Any], scored_form: Callable[[str], str]) -> frozenset[str]:
    """Hashes of the texts that TTS has spoken among all cuts that models were trained on."""
    texts = {text_of(cut) for cut in trained if is_synthetic(cut)}
    return frozenset(short_hash(scored_form(text).strip()) for text in texts)
