"""Cards with measurements: the README.md of a model or of a vector that a run has measured.

A card states what results.json and the provenance hold and nothing else; see `speech_analogy.cards`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speech_analogy.cards.markup import text
from speech_analogy.cards.records import (
    USE_OF_MODEL,
    document,
    listed,
    model_front,
    named_base,
    vector_front,
    vector_parts,
)
from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results, System
from speech_analogy.foundation.page import wording
from speech_analogy.report import certainty, decoders, markdown, ranking
from speech_analogy.systems import labels

OUR_DECODER = "speech-analogy"


def model_card(
    results: Results,
    provenance: Mapping[str, object],
    *,
    name: str = labels.SUBJECT,
    scale: float | None = None,
    kind: str | None = None,
) -> str:
    """The README.md of an adapted model folder.

    Args:
        results: the run that measured it.
        provenance: `base`, `license`, `language` go to the front matter; further keys are printed.
        name: which system of the run the model is.
        scale: its λ; without one, the λ that was chosen.
        kind: of the model, as its `config.json` says (`model_type`), for a tag; None: no tag.

    Raises:
        DataError: the run measured others, and neither this system nor published it by an estimate alone.
    """
    estimate = results.estimate
    if estimate is None:
        untested = not results.systems
    else:
        untested = name == estimate.system and ranking.find(results, name) is None
    system = None if untested else _system(results, name, scale)
    label = labels.label(name, estimate.scale if estimate and untested else scale)
    if system is not None:
        label = labels.label(system.name, system.scale)
    front = model_front(provenance, kind)
    if system is not None:
        found = [_index_entry(results, system), *_in_other_decoders(results, system)]
        front["model-index"] = [{"name": f"{results.test.title}: {label}", "results": found}]
    base = named_base(provenance)
    made = f"Made from {base} as: {labels.described(name).explanation}" if base else labels.described(name).explanation
    parts = [f"# {text(results.test.title)}: {text(label)}", made, USE_OF_MODEL]
    measured = list(filter(None, [markdown.note(results)])) if system is None else _measured(results, system)
    expected = markdown.expectation_section(results) if estimate and name == estimate.system else []
    return document(front, [*parts, *measured, *_scale_choice(results), *expected, *listed(provenance)])


def vector_card(
    provenance: Mapping[str, object],
    results: Results | None = None,
    *,
    name: str = labels.SUBJECT,
    scale: float | None = None,
) -> str:
    """The README.md of a task vector.

    Args:
        provenance: as for `model_card`; a vector's own header (fingerprint, parents, ...) fits.
        results: the run that measured the base plus this vector, where there is one.
        name: which system of the run that is.
        scale: its λ; without one, the λ that was chosen.

    Raises:
        DataError: `results` is given and did not measure that system.
    """
    front, parts = vector_front(provenance), vector_parts(provenance)
    measured: list[str] = []
    if results is not None:
        system = _system(results, name, scale)
        parts[0] += f": {text(results.test.title)}"
        measured = [*_measured(results, system), *_scale_choice(results)]
    return document(front, [*parts, *measured, *listed(provenance)])


def _system(results: Results, name: str, scale: float | None) -> System:
    found = ranking.find(results, name, scale)
    if found is None and name == labels.SUBJECT and scale is None:
        found = ranking.chosen_analogy(results)
    if found is None:
        measured = ", ".join(labels.label(one.name, one.scale) for one in results.systems)
        raise DataError(
            "the run did not measure this system",
            field=labels.label(name, scale), do=f"choose one of: {measured}",
        )  # fmt: skip
    return found


def _index_entry(results: Results, system: System) -> dict[str, Any]:
    """One entry of `model-index`: what Hugging Face reads the metrics from."""
    test = results.test
    how = {"decoder": f"{OUR_DECODER}, {system.window} windows", "normaliser": test.normaliser}
    wer = {"ci95": [round(bound, 2) for bound in system.ci95], "utterances": test.utterances, **how}
    return _entry(results, [_metric("wer", "WER", system.wer, wer), _metric("cer", "CER", system.cer, how)])


def _in_other_decoders(results: Results, system: System) -> list[dict[str, Any]]:
    """An entry for each decoder that the published model was tried in."""
    if not results.published or system is not ranking.subject(results):
        return []
    entries = []
    for row in results.other_decoders:
        low, high = row.ci95
        told = {
            "decoder": row.decoder,
            "utterances": row.utterances,
            "wer_in_our_decoder": round(row.ours, 2),
            "ci95_of_the_difference": [round(low, 2), round(high, 2)],
        }
        entries.append(_entry(results, [_metric("wer", f"WER in {row.decoder}", row.wer, told)]))
    return entries


def _entry(results: Results, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": {"type": "automatic-speech-recognition", "name": "Automatic Speech Recognition"},
        "dataset": {"type": results.test.recipe, "name": results.test.title},
        "metrics": metrics,
    }


def _metric(kind: str, label: str, value: float, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "name": label, "value": round(value, 2), "args": arguments}


def _scale_choice(results: Results) -> list[str]:
    """On what λ was chosen, where it was."""
    selection = results.selection
    if selection is None or not selection.scale_chosen_on:
        return []
    return [f"λ = {wording.scale(selection.scale)} was chosen on {text(selection.scale_chosen_on)}, never on the test."]


def _measured(results: Results, system: System) -> list[str]:
    test = results.test
    about = (
        f"WER {wording.rate(system.wer)} % (95 % CI {wording.interval(system.ci95)}{certainty.mark(results)}), "
        f"CER {wording.rate(system.cer)} %, on {wording.plural(test.utterances, 'utterance')} of "
        f"{certainty.speakers(test)}, {system.window} windows, "
        f"decoded by {OUR_DECODER}, normaliser {text(test.normaliser)}."
    )
    note = markdown.note(results)
    others = [f"- {text(sentence)}" for sentence in decoders.sentences(results)] if results.published else []
    elsewhere = ["\n".join(others)] if others else []
    return ["## Measured", about, *([note] if note else []), markdown.wer_table(results), *elsewhere]
