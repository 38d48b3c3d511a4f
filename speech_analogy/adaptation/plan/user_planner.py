"""The plan of a run from texts and recordings: its own stages in front, then those that every plan has."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.cut_sets import add_synthetic
from speech_analogy.adaptation.plan.draft import SET_OF
from speech_analogy.adaptation.plan.estimate import START_S, Size
from speech_analogy.adaptation.plan.planner import Planner
from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.adaptation.recipe import Recipe
from speech_analogy.adaptation.split import SOURCE_PARTS
from speech_analogy.adaptation.stages.params.base import Output
from speech_analogy.adaptation.stages.params.speech_params import (
    CorpusParams,
    GivenTextsParams,
    SourceSplitParams,
    UnlabelledParams,
)
from speech_analogy.adaptation.user_data import ReadCorpus, UserData

UNLABELLED = "unlabelled"


class UserPlanner(Planner):
    """Plans a recipe that has a source and a target, or a target and a gap vector.

    Args:
        recipe: with every value chosen.
        folder: that the recipe's paths are relative to.
        data: what was read of source, target and test.
        base_key: of the base's weights.
    """

    def __init__(self, recipe: Recipe, folder: Path, data: UserData, base_key: str) -> None:
        source = recipe.user_run.source
        self.data = data
        hold_out, used = (None, None) if source is None else (source.hold_out, source.utterances)
        parts = data.parts(hold_out, used, recipe.seed)
        super().__init__(recipe, folder, parts, "" if data.source is None else data.source.digest, base_key)

    def _add_speech(self) -> None:
        """Read each corpus, divide the source, write the texts; each by what it depends on alone."""
        draft, data = self.draft, self.data
        split = None if data.source is None else self._add_source(data.source)
        given = GivenTextsParams(given=data.texts, digest=data.texts_digest)
        texts = draft.add(names.TEXTS, given, START_S)
        if split is not None:
            for part in SOURCE_PARTS if len(draft.parts.source_dev) else SOURCE_PARTS[:1]:
                self._add_part(part, split[part])
        if data.unlabelled is not None:
            params = UnlabelledParams(path=str(data.unlabelled.path), digest=data.unlabelled.digest)
            found = draft.add(names.corpus_of(UNLABELLED), params, START_S)
            self._add_part("target_train", found["cuts"])
        if data.test is not None:
            self._add_part("test", self._add_corpus(names.corpus_of("test"), data.test)["cuts"])
        if split is not None:
            add_synthetic(draft, "source", split, "source_train")
        add_synthetic(draft, "target", texts, "texts")

    def _add_source(self, read: ReadCorpus) -> Stage:
        """The source, read and divided."""
        source = self.recipe.user_run.source
        assert source is not None, "source speech was read, but no recipe names it"
        rule = SourceSplitParams(
            cuts=self._add_corpus(names.CORPUS, read)["cuts"],
            hold_out=source.hold_out,
            utterances=source.utterances,
            seed=self.recipe.seed,
        )
        return self.draft.add(names.SPLIT, rule, START_S)

    def _add_corpus(self, name: str, read: ReadCorpus) -> Stage:
        path = Path(read.options.path)
        beside = read.options.model_copy(update={"path": path.name})
        params = CorpusParams(
            corpus=beside,
            language=self.recipe.language,
            folder=str(path.parent),
            digest=read.digest,
            fit_for_a_window=True,
        )
        return self.draft.add(name, params, START_S)

    def _add_part(self, part: str, output: Output) -> None:
        self.draft.add_set(SET_OF.get(part, part), output, Size.of(self.draft.parts.part(part)))
