"""Cards: the README.md of an adapted model or of a task vector, in Hugging Face's model card form.

A card states what results.json and the provenance hold and nothing else: an unknown licence or language is
left out, and a base that is not a hub id is named in the text only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from speech_analogy.errors import DataError
from speech_analogy.evaluation.results import Results, System
from speech_analogy.foundation.page import wording
from speech_analogy.merging.io.provenance import GAP, MEAN_OF_GAPS, SEEN, Provenance, without_seen
from speech_analogy.report import certainty, markdown, ranking
from speech_analogy.systems import labels

CARD_FILE = "README.md"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
WEIGHTS_PACKAGE = "pip:"
"""`pip:whisper-tiny.en` contains the weights published as `openai/whisper-tiny.en`."""
_FRONT = ("base", "license", "language")
_USE = {
    "model": (
        "```python\nfrom transformers import pipeline\n\n"
        'asr = pipeline("automatic-speech-recognition", model="path/to/this/folder")\n```'
    ),
    "vector": (
        "A task vector: the difference of two checkpoints, tensor by tensor. Added to its base, times a "
        "scale, it gives a model.\n\n```python\nfrom speech_analogy import TaskVector\n\n"
        'vector = TaskVector.load("path/to/this/vector.safetensors")\n```'
    ),
    "gap": (
        "A gap vector: what fine-tuning on real speech learned and fine-tuning on the same texts, spoken by TTS, did "
        "not. Added to a model that TTS alone has taught another domain, it stands for recordings of that domain; on "
        "another channel, and for other speakers, it may do nothing or harm.\n\n"
        "```\nspeech-analogy adapt --texts menu.txt --vector path/to/this/vector.safetensors --out runs/menu\n```"
    ),
}


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
    front = _front(provenance, ["speech-analogy", *([kind] if kind else []), "task-arithmetic"])
    front |= {"pipeline_tag": "automatic-speech-recognition", "library_name": "transformers"}
    if system is not None:
        front["model-index"] = [{"name": f"{results.test.title}: {label}", "results": [_index_entry(results, system)]}]
    base = _base(provenance)
    made = f"Made from {base} as: {labels.described(name).explanation}" if base else labels.described(name).explanation
    parts = [f"# {markdown.text(results.test.title)}: {markdown.text(label)}", made, _USE["model"]]
    measured = list(filter(None, [markdown.note(results)])) if system is None else _measured(results, system)
    expected = markdown.expectation_section(results) if estimate and name == estimate.system else []
    return _document(front, [*parts, *measured, *expected, *_rest(provenance)])


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
    front = _front(provenance, ["speech-analogy", "task-vector", "task-arithmetic"])
    kind, title = (
        ("gap", "# Gap vector") if provenance.get("operation") in (GAP, MEAN_OF_GAPS) else ("vector", "# Task vector")
    )
    parts = [title, f"Base: {_base(provenance) or 'not recorded'}.", _USE[kind]]
    measured: list[str] = []
    if results is not None:
        system = _system(results, name, scale)
        parts[0] += f": {markdown.text(results.test.title)}"
        measured = _measured(results, system)
    return _document(front, [*parts, *measured, *_rest(provenance)])


def facts(record: Mapping[str, object]) -> dict[str, object]:
    """What a card states of a model folder's `provenance.json`: of its parents only what each was tuned on.

    A λ for every tensor is left out, since it would fill pages.
    """
    found = {key: value for key, value in record.items() if key not in ("schema", "parents", "scale", SEEN)}
    parents, scale = record.get("parents"), record.get("scale")
    if not isinstance(scale, Mapping):
        found["scale"] = scale
    if isinstance(parents, Mapping):
        tuned = {name: parent.get("tuned_on") for name, parent in parents.items() if isinstance(parent, Mapping)}
        found |= {f"{name}_tuned_on": data for name, data in tuned.items() if data}
    return found


def vector_facts(base: str, fingerprint: str, provenance: Provenance) -> dict[str, object]:
    """What a card states of a vector file's header; how its parents were made is left out."""
    known = provenance.model_dump(exclude_defaults=True, exclude={"licence", "parents", "settings"})
    return {
        "base": base,
        "license": provenance.licence,
        "base_fingerprint": fingerprint,
        **known,
        **without_seen(provenance.settings),
    }


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


def _front(provenance: Mapping[str, object], tags: list[str]) -> dict[str, Any]:
    """The front matter that does not depend on a measurement; absent facts leave no key."""
    front: dict[str, Any] = {}
    for key in ("license", "language"):
        if provenance.get(key):
            front[key] = provenance[key]
    hub = hub_id(str(provenance.get("base") or ""))
    if hub:
        front["base_model"] = hub
    return front | {"tags": tags, "metrics": ["wer", "cer"]}


def hub_id(base: str) -> str | None:
    """The Hugging Face id of a base model; None for a folder or a file."""
    if base.startswith(WEIGHTS_PACKAGE):
        return f"openai/{base.removeprefix(WEIGHTS_PACKAGE)}"
    return base if HUB_ID.fullmatch(base) and not Path(base).exists() else None


def _base(provenance: Mapping[str, object]) -> str:
    base = str(provenance.get("base") or "")
    return f"`{markdown.code(base)}`" if base else ""


def _index_entry(results: Results, system: System) -> dict[str, Any]:
    """One entry of `model-index`: what Hugging Face reads the metrics from."""
    values = (("wer", "WER", system.wer), ("cer", "CER", system.cer))
    return {
        "task": {"type": "automatic-speech-recognition", "name": "Automatic Speech Recognition"},
        "dataset": {"type": results.test.recipe, "name": results.test.title},
        "metrics": [{"type": kind, "name": label, "value": round(value, 2)} for kind, label, value in values],
    }


def _measured(results: Results, system: System) -> list[str]:
    test = results.test
    about = (
        f"WER {wording.rate(system.wer)} % (95 % CI {wording.interval(system.ci95)}{certainty.mark(results)}), "
        f"CER {wording.rate(system.cer)} %, on {wording.plural(test.utterances, 'utterance')} of "
        f"{certainty.speakers(test)}, {system.window} windows, "
        f"normaliser {markdown.text(test.normaliser)}."
    )
    note = markdown.note(results)
    return ["## Measured", about, *([note] if note else []), markdown.wer_table(results)]


def _rest(provenance: Mapping[str, object]) -> list[str]:
    """Every fact of the provenance that the front matter does not carry, as a list."""
    lines = [
        f"- {markdown.text(key.replace('_', ' '))}: {markdown.text(_said(value))}"
        for key, value in provenance.items()
        if key not in _FRONT and value not in (None, "", [], {})
    ]
    return ["## Provenance", "\n".join(lines)] if lines else []


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return wording.amount(value)


def _document(front: dict[str, Any], parts: list[str]) -> str:
    header = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{header}---\n\n" + "\n\n".join(parts) + "\n"
