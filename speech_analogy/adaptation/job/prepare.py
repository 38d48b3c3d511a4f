"""From what the user gave to a complete recipe and its data: everything is read, checked and chosen before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_synth.plan.default_voices import VoiceChoice, choose_voices
from data_synth.plan.voices import find_voices
from data_synth.text.spoken import spoken_form
from data_synth.text.texts import Text
from speech_analogy.adaptation.data_options import GivenCorpus, TargetOptions
from speech_analogy.adaptation.extends import RecipeSource
from speech_analogy.adaptation.job import evidence
from speech_analogy.adaptation.job.bases import default_base, refuse_other_language, width_of
from speech_analogy.adaptation.job.evidence import DefaultChoice
from speech_analogy.adaptation.job.gap_vectors import GapFound, read_gap_vectors
from speech_analogy.adaptation.job.reading import CorpusFound, read_audio, read_source_or_test, read_target_texts
from speech_analogy.adaptation.recipe import AUTO, Recipe, UserRun, parse_recipe
from speech_analogy.adaptation.user_data import UserData
from speech_analogy.corpora.cuts import prompt_of_cut
from speech_analogy.corpora.splits import ranked
from speech_analogy.errors import ConfigError, DataError, WeightsUnavailableError
from speech_analogy.recognisers.families import family_of
from speech_analogy.recognisers.weights import resolve_weights

DEFAULT_LANGUAGE = "en"
STDIN_NAME = "stdin"


@dataclass(frozen=True)
class Prepared:
    """What a run from texts and recordings works with.

    Attributes:
        recipe: with every value chosen.
        content: the same as a recipe file has it; all paths are absolute.
        data: what was read.
        found: what was found in the data, a line each.
        defaults: the values that nobody gave, or that are what nobody giving them would have had.
    """

    recipe: Recipe
    content: dict[str, Any]
    data: UserData
    found: list[str]
    defaults: list[DefaultChoice]


class Values:
    """A recipe's content in the making: what was given stays, what was not is chosen, and each choice is kept."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = _copied(content)
        self.defaults: list[DefaultChoice] = []

    def choose(self, choice: DefaultChoice) -> None:
        """Take a default where its key was not given, or was given this very value."""
        *sections, last = choice.key.split(".")
        place = self.content
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):  # null turns a section off
                return
        value = list(choice.value) if isinstance(choice.value, tuple) else choice.value
        if place.setdefault(last, value) == value:
            self.defaults.append(choice)

    def given(self, key: str) -> Any:
        """What was given for a dotted key, or None."""
        place: Any = self.content
        for part in key.split("."):
            place = place.get(part) if isinstance(place, dict) else None
        return place


def prepare(source: RecipeSource, folder: Path, run: Path | None) -> Prepared:
    """Read, check and choose; writes nothing.

    Args:
        source: a recipe as it is written, with `source` and `target`.
        folder: that its paths are relative to.
        run: the run's folder, which must not lie in the data; None: there is none.

    Raises:
        SpeechAnalogyError: of the kind of the first thing that is wrong; says what to do.
    """
    sparse = parse_recipe(source)
    asked, target = sparse.user_run
    values = Values(source.content)
    name = target.name or _name_of(target)
    _refuse_run_in_data(sparse.user_run, folder, run)
    texts = read_target_texts(target, name, folder, sparse.seed)
    used = _used(texts.texts, target.use, sparse.seed)
    given = values.given("language")
    gap = None if sparse.vector is None else read_gap_vectors(sparse.vector, folder)
    corpus = None if asked is None else read_source_or_test(asked, "source", folder, given or DEFAULT_LANGUAGE)
    language = _language(values, corpus, gap)
    labelled = target.test
    test = None if labelled is None else read_source_or_test(labelled, "test", folder, language)
    unlabelled = None if target.unlabelled is None else read_audio(target.unlabelled, folder)
    _state_data(values, sparse.user_run, name, corpus, test, folder)
    _choose_base(values, language, folder, gap)
    if corpus is not None:
        _require_enough(corpus)
        if _needs_hold_out(values, target.unlabelled is not None):
            _choose_hold_out(values, corpus)
    _choose_voices(values, language, len(used), corpus is not None)
    _check_spoken(used, corpus, language)
    if gap is not None:
        _choose_gap(values, gap)
    for choice in _other_choices(values, corpus, target.unlabelled is not None):
        values.choose(choice)
    if test is not None and width_of(resolve_weights(str(values.content["base"]))) is not None:
        for choice in evidence.in_use():
            values.choose(choice)
    recipe = parse_recipe(RecipeSource(values.content, source.files, source.layers))
    data = UserData(
        None if corpus is None else corpus.read,
        tuple(used),
        None if test is None else test.read,
        None if unlabelled is None else unlabelled[0],
    )
    lines = [str(reading) for reading in texts.readings]
    lines += [corpus.line] if corpus else []
    lines += [gap.line, evidence.GAP_EXPECTATION] if gap else []
    lines += [test.line] if test else ["test: none, so no WER is measured; name labelled recordings with --test"]
    lines += [unlabelled[1]] if unlabelled else []
    return Prepared(recipe, values.content, data, lines, values.defaults)


def _used(texts: Sequence[Text], count: int | None, seed: int) -> list[Text]:
    """The texts that are spoken: a seeded subset where one is asked for; a larger one holds the smaller."""
    if count is None:
        return list(texts)
    wanted = set(ranked({text.id for text in texts}, seed)[:count])
    return [text for text in texts if text.id in wanted]


def _name_of(target: TargetOptions) -> str:
    return Path(target.texts[0].path).stem


def _refuse_run_in_data(asked: UserRun, folder: Path, run: Path | None) -> None:
    """A run inside its data would be read as data the next time."""
    given = {} if asked.source is None else {"source": asked.source.beside(folder)}
    if asked.target.test is not None:
        given["test"] = asked.target.test.beside(folder)
    if asked.target.unlabelled is not None:
        given["unlabelled audio"] = (folder / Path(asked.target.unlabelled).expanduser()).resolve()
    for what, place in given.items():
        if run is not None and place.is_dir() and run.resolve().is_relative_to(place):
            raise ConfigError(f"must not lie in the {what}", field="--out", value=str(run), do="name another folder")


def _language(values: Values, corpus: CorpusFound | None, gap: GapFound | None) -> str:
    """The language that was given; else the one that the source, or the gap vector, itself says; else English."""
    given = values.given("language")
    if corpus is None:
        own = None if gap is None else gap.language
        why = "the gap vector's own" if own else "the gap vector does not say another"
        values.choose(DefaultChoice("language", own or DEFAULT_LANGUAGE, why))
        return str(values.given("language"))
    if given is None and len(corpus.languages) > 1:
        said = ", ".join(corpus.languages)
        raise DataError(
            "the source is in several languages", file=corpus.read.options.path, value=said, do="say which: --language"
        )
    language = corpus.languages[0] if len(corpus.languages) == 1 else DEFAULT_LANGUAGE
    why = "the source's own" if language != DEFAULT_LANGUAGE else "the source does not say another"
    values.choose(DefaultChoice("language", language, why))
    return str(given or language)


def _state_data(
    values: Values, asked: UserRun, name: str, corpus: CorpusFound | None, test: CorpusFound | None, folder: Path
) -> None:
    """Write what the data is into the recipe: kinds as they were recognised, absolute paths."""
    content = values.content
    if asked.source is not None and corpus is not None:
        content["source"] = _stated(asked.source, corpus)
    target = asked.target.model_dump(mode="json", exclude_none=True)
    target["name"] = name
    target["texts"] = [
        {
            **source.model_dump(mode="json", exclude_none=True),
            "path": _absolute(source.path, folder),
            **({} if source.slots is None else {"slots": _absolute(source.slots, folder)}),
        }
        for source in asked.target.texts
    ]
    if asked.target.unlabelled is not None:
        target["unlabelled"] = _absolute(asked.target.unlabelled, folder)
    if asked.target.test is not None and test is not None:
        target["test"] = _stated(asked.target.test, test)
    content["target"] = target
    content["title"] = content.get("title") or name


def _stated(given: GivenCorpus, found: CorpusFound) -> dict[str, Any]:
    stated = given.model_dump(mode="json", exclude_none=True)
    stated |= {"kind": found.read.options.kind, "path": found.read.options.path}
    return {key: value for key, value in stated.items() if value != {}}


def _absolute(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).resolve())


def _choose_base(values: Values, language: str, folder: Path, gap: GapFound | None) -> None:
    """The base, which must be there and know the language; a gap vector has its own."""
    given = values.given("base")
    if given is None and gap is not None:
        values.choose(DefaultChoice("base", _own_base(gap), "the gap vector's own base: on another it means nothing"))
    elif given is None:
        values.choose(default_base(language))
    elif Path(str(given)).expanduser().exists():
        values.content["base"] = str(Path(str(given)).expanduser().resolve())
    refuse_other_language(str(values.content["base"]), resolve_weights(str(values.content["base"])), language)


def _own_base(gap: GapFound) -> str:
    """The base that a gap vector names, which must be there: of a folder it knows the name alone."""
    try:
        resolve_weights(gap.base)
    except WeightsUnavailableError:
        rule = "the gap vector's own base is not to be found under its name"
        raise WeightsUnavailableError(rule, field="base", value=gap.base, do="name its folder with --base") from None
    return gap.base


def _needs_hold_out(values: Values, unlabelled: bool) -> bool:
    """Is anything chosen, or reported, on held-out source speech? Stand-ins hold out what they need themselves."""
    decides = values.given("publish") in (None, AUTO) and not unlabelled
    return not decides or bool(values.given("search")) or bool(values.given("report_forgetting"))


def _require_enough(corpus: CorpusFound) -> None:
    """A source that is too small to learn anything from is refused."""
    if corpus.utterances < evidence.FEWEST_UTTERANCES:
        raise DataError(
            f"a source must have at least {evidence.FEWEST_UTTERANCES} utterances with texts",
            file=corpus.read.options.path,
            value=f"{corpus.utterances}",
            do=f"add recordings of anything in this language; {evidence.MEASURED_UTTERANCES} are the fewest that "
            "were measured",
        )
    if _prompts(corpus) <= evidence.PROMPTS_LEAST:
        raise DataError(
            f"a source must say more than {evidence.PROMPTS_LEAST} different things",
            file=corpus.read.options.path,
            value=_prompts(corpus),
            do="add recordings of other texts",
        )


def _prompts(corpus: CorpusFound) -> int:
    """How many different things the source says."""
    return len({prompt_of_cut(cut) for cut in corpus.read.cuts})


def _choose_hold_out(values: Values, corpus: CorpusFound) -> None:
    """What λ is chosen on."""
    prompts = _prompts(corpus)
    rule, why = evidence.hold_out_of(corpus.speakers, prompts)
    values.choose(DefaultChoice("source.hold_out", rule.model_dump(mode="json", exclude_none=True), why))


def _choose_gap(values: Values, gap: GapFound) -> None:
    """Where the vectors are, and how much of them is added."""
    scale = values.content["vector"].get("scale") if isinstance(values.content["vector"], dict) else None
    values.content["vector"] = {"path": list(gap.paths), **({} if scale is None else {"scale": scale})}
    values.choose(evidence.gap_scale())


def _choose_voices(values: Values, language: str, texts: int, with_source: bool) -> None:
    """Voices and clips of each side, the same voices for A and C; engines that were named must be there."""
    clips = evidence.clips_a_text(texts)
    sides = {**({"source": evidence.clips_a_source_text()} if with_source else {}), "target": clips}
    chosen: VoiceChoice | None = None
    try:
        chosen = choose_voices(language, clips.value)
    except ConfigError:
        if any(values.given(f"synthesis.{side}.engines") is None for side in sides):
            raise
    for side, choice in sides.items():
        if chosen is not None:
            values.choose(DefaultChoice(f"synthesis.{side}.engines", chosen.engines, chosen.why, evidence.SYNTHESIS))
        values.choose(choice)
        speed = evidence.speed()
        values.choose(DefaultChoice(f"synthesis.{side}.speed", speed.value, speed.why, speed.table))
        engines = values.given(f"synthesis.{side}.engines")
        find_voices([engines] if isinstance(engines, str) else list(engines), language)


def _check_spoken(texts: Sequence[Text], corpus: CorpusFound | None, language: str) -> None:
    """Everything can be put into words, which in other languages than English may need a package."""
    for text in _words(texts, corpus):
        spoken_form(text, language)


def _words(texts: Sequence[Text], corpus: CorpusFound | None) -> Iterator[str]:
    yield from (text.text for text in texts)
    if corpus is not None:
        yield from (str(cut.supervisions[0].text) for cut in corpus.read.cuts)


def _other_choices(values: Values, corpus: CorpusFound | None, unlabelled: bool) -> Iterator[DefaultChoice]:
    searched = values.given("search") is not None
    base = resolve_weights(str(values.content["base"]))
    for choice in evidence.training(width_of(base), None if corpus is None else corpus.utterances):
        if not (searched and choice.key.startswith("training_of.")):  # a search chooses for all systems
            yield choice
    if family_of(base).timestamps:
        yield evidence.packed()
    if family_of(base).can_be_shortened:
        yield from evidence.widened()
    if corpus is not None:
        yield evidence.systems()
    if values.given("vector") is None:
        yield evidence.published(unlabelled)
        if values.given("publish") != AUTO:  # else the stand-ins choose λ
            yield evidence.scale_strategy(unlabelled)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list | tuple) else value
