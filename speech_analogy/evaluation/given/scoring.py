"""Score hypotheses of any system against references, and compare several systems pairwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speech_analogy.errors import DataError
from speech_analogy.evaluation.evaluate import Evaluation, score_utterances
from speech_analogy.evaluation.given.files import GivenText, read_given
from speech_analogy.evaluation.grouping import Cluster
from speech_analogy.evaluation.measures.utterances import Utterance
from speech_analogy.evaluation.normalise import NormaliserName
from speech_analogy.evaluation.standalone import file_of, names_of

OWN_REFERENCES = "references beside the hypotheses"
Missing = Literal["error", "empty", "skip"]
"""What an utterance that one file has and another has not is: a mistake, a transcript without words, or left out."""


@dataclass(frozen=True)
class Scored:
    """The systems, in the order of their files, and what the references are called."""

    evaluations: list[Evaluation]
    references: str


def score_files(
    files: Sequence[Path],
    references: Path | None = None,
    *,
    language: str = "en",
    cluster: Cluster = "speaker",
    normalise_as: NormaliserName | None = None,
    missing: Missing = "error",
) -> Scored:
    """The scores of each file of hypotheses, on the same utterances and in the same order.

    Args:
        files: of hypotheses; where these have no references and none are given, the last one holds the references.
        references: None: those in the files of hypotheses, which must be the same in all.
        missing: what becomes of utterances that one of the files has not. `empty`: a hypothesis that is not there has
            no words, and one without a reference is left out; `skip`: only what all have is scored.

    Raises:
        DataError: a file cannot be read; there are no references; utterances do not fit.
    """
    read = [read_given(path) for path in files]
    if references is None and len(files) > 1 and all(one.reference is None for one in read[-1]):
        if all(one.hypothesis is None for one in read[-1]):
            references, files, told = files[-1], files[:-1], read[-1]
            read = read[:-1]
        else:
            raise _no_reference(files[-1])
    elif references is None:
        told = _own_references(files, read)
    else:
        told = read_given(references)
    unfit = next((one for one in told if one.reference is None and one.text is None), None)
    if unfit is not None:
        raise DataError("a line has a hypothesis and no reference", file=references, value=unfit.id)
    pairs = [_paired(path, own, told, missing) for path, own in zip(files, read, strict=True)]
    if missing == "skip":
        common = set.intersection(*(set(own) for own in pairs))
        if not common:
            raise DataError("no utterance is in all files", file=files[0])
        pairs = [{key: one for key, one in own.items() if key in common} for own in pairs]
    names = names_of([str(path) for path in files])
    found = [
        score_utterances(
            list(own.values()),
            name=name,
            language=language,
            cluster=cluster,
            normalise_as=normalise_as,
            hypotheses_file=file_of(name),
        )
        for name, own in zip(names, pairs, strict=True)
    ]
    return Scored(found, OWN_REFERENCES if references is None else references.name)


def _own_references(files: Sequence[Path], read: Sequence[Sequence[GivenText]]) -> list[GivenText]:
    """The references that the files of hypotheses hold themselves."""
    for path, own in zip(files, read, strict=True):
        if any(one.reference is None for one in own):
            raise _no_reference(path)
    told = {_key(one, place): one for place, one in enumerate(read[0])}
    for path, own in zip(files, read, strict=True):
        for place, one in enumerate(own):
            other = told.setdefault(_key(one, place), one)
            if other.reference != one.reference:
                rule = f"the reference differs from that in {files[0]}"
                raise DataError(
                    rule, file=path, field=_key(one, place), do="give the references in a file of their own"
                )
    return list(told.values())


def _no_reference(path: Path) -> DataError:
    return DataError("a line has no reference", file=path, do="give the references in a file of their own, the last")


def _paired(path: Path, own: Sequence[GivenText], told: Sequence[GivenText], missing: Missing) -> dict[str, Utterance]:
    """Utterance -> what is scored of it, in the references' order."""
    hypotheses = {_key(one, place): one for place, one in enumerate(own)}
    wanted = {_key(one, place): one for place, one in enumerate(told)}
    if not hypotheses.keys() & wanted.keys():
        stems = {Path(key).stem: one for key, one in hypotheses.items()}
        short = {Path(key).stem: one for key, one in wanted.items()}
        if len(stems) == len(hypotheses) and len(short) == len(wanted) and stems.keys() & short.keys():
            hypotheses, wanted = stems, short
    absent = [key for key in wanted if key not in hypotheses]
    beyond = [key for key in hypotheses if key not in wanted]
    if missing == "error" and (absent or beyond):
        rule = f"has no hypothesis for {len(absent)} of {len(wanted)} references, e.g."
        if not absent:
            rule = f"has {len(beyond)} hypotheses without a reference, e.g."
        do = "mend the files, or say --missing empty or --missing skip"
        raise DataError(rule, file=path, value=(absent or beyond)[0], do=do)
    if len(absent) == len(wanted):
        raise DataError("has no hypothesis for any of the references", file=path)
    return {
        key: _utterance(key, reference, hypotheses.get(key))
        for key, reference in wanted.items()
        if key in hypotheses or missing == "empty"
    }


def _utterance(key: str, told: GivenText, said: GivenText | None) -> Utterance:
    reference = told.reference if told.text is None else told.text
    hypothesis = None if said is None else said.text if said.hypothesis is None else said.hypothesis
    return Utterance(
        id=key,
        reference=reference or "",
        hypothesis=hypothesis or "",
        domain=told.domain,
        speaker=told.speaker,
        prompt=told.prompt,
        audio=told.audio,
        duration_s=told.duration_s,
        traits=told.traits,
        entities=told.entities,
    )


def _key(one: GivenText, place: int) -> str:
    return str(place + 1) if one.id is None else one.id
