"""Cards of what a record says: of a model folder its `provenance.json`, of a vector its header. None measured.

A card states what is recorded and nothing else: an unknown licence or language is left out, and a base that is not a
hub id is named in the text only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from speech_analogy.cards.markup import code, text
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.model_files import model_json
from speech_analogy.foundation.page import wording
from speech_analogy.merging.io.provenance import GAP, MEAN_OF_GAPS, SEEN, Provenance, without_seen
from speech_analogy.merging.naming import HUB_ID, without_paths

CARD_FILE = "README.md"
WEIGHTS_PACKAGE = "pip:"
"""`pip:whisper-tiny.en` contains the weights published as `openai/whisper-tiny.en`."""
IN_FRONT = ("base", "license", "language", "datasets")
"""What the front matter carries."""
NOT_MEASURED = "No WER of it is known: nothing was measured."
MODEL_TAGS = ("speech-analogy", "task-arithmetic")
USE_OF_MODEL = (
    "```python\nfrom transformers import pipeline\n\n"
    'asr = pipeline("automatic-speech-recognition", model="path/to/this/folder")\n```'
)
USE_OF_VECTOR = (
    "A task vector: the difference of two checkpoints, tensor by tensor. Added to its base, times a "
    "scale, it gives a model.\n\n```python\nfrom speech_analogy import TaskVector\n\n"
    'vector = TaskVector.load("path/to/this/vector.safetensors")\n```'
)
USE_OF_GAP = (
    "A gap vector: what fine-tuning on real speech learned and fine-tuning on the same texts, spoken by TTS, did "
    "not. Added to a model that TTS alone has taught another domain, it stands for recordings of that domain; on "
    "another channel, and for other speakers, it may do nothing or harm.\n\n"
    "```\nspeech-analogy adapt --texts menu.txt --vector path/to/this/vector.safetensors --out runs/menu\n```"
)


def record_card(provenance: Mapping[str, Any]) -> str:
    """The README.md of a model folder that nobody has measured.

    Args:
        provenance: `facts` of its record; `kind` is what `config.json` calls its kind of model.
    """
    base = named_base(provenance)
    title, made = _making(provenance)
    parts = [f"# {title}", f"{made} Base: {base}." if base else made, USE_OF_MODEL, NOT_MEASURED]
    return document(model_front(provenance), [*parts, *listed(provenance)])


def vector_parts(provenance: Mapping[str, Any]) -> list[str]:
    """Title, base and use of a vector's card, the title first and alone."""
    gap = provenance.get("operation") in (GAP, MEAN_OF_GAPS)
    title, use = ("# Gap vector", USE_OF_GAP) if gap else ("# Task vector", USE_OF_VECTOR)
    return [title, f"Base: {named_base(provenance) or 'not recorded'}.", use]


def vector_record_card(provenance: Mapping[str, Any]) -> str:
    """The README.md of a vector that nobody has measured.

    Args:
        provenance: `vector_facts` of its header.
    """
    return document(vector_front(provenance), [*vector_parts(provenance), *listed(provenance)])


def write_record_card(folder: Path) -> None:
    """Write the README.md of a model folder that was tuned or made here, where it has none.

    Raises:
        CheckpointError: a file of the folder is broken.
    """
    from speech_analogy.merging.io.checkpoints import PROVENANCE_FILE  # torch is behind it

    record = model_json(folder / PROVENANCE_FILE)
    made_here = "base_fingerprint" in record or "operation" in record
    if made_here and not (folder / CARD_FILE).exists():
        kind = model_json(folder / "config.json").get("model_type")
        write_whole(folder / CARD_FILE, record_card({**facts(without_paths(record)), "kind": kind}))


def write_vector_card(vector: Path) -> Path:
    """Write the card of a vector file that nobody has measured, beside it: `vector_card_file`.

    Raises:
        CheckpointError: it is no vector file.
    """
    from speech_analogy.merging.vectors.file import read_vector_file  # torch is behind it

    _, base, provenance = read_vector_file(vector, verify=False)
    card = vector_card_file(vector)
    write_whole(card, vector_record_card(vector_facts(base.name, base.fingerprint, provenance)))
    return card


def vector_card_file(vector: Path) -> Path:
    """`tau.safetensors` -> `tau.md`: a vector has no folder of its own."""
    return vector.with_suffix(".md")


def facts(record: Mapping[str, Any]) -> dict[str, Any]:
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
    return {**found, "voices": voices(record)}


def vector_facts(base: str, fingerprint: str, provenance: Provenance) -> dict[str, Any]:
    """What a card states of a vector file's header; how its parents were made is left out."""
    known = provenance.model_dump(exclude_defaults=True, exclude={"licence", "parents", "settings"})
    return {
        "base": base,
        "license": provenance.licence,
        "base_fingerprint": fingerprint,
        **known,
        **without_seen(provenance.settings),
        "voices": voices(provenance.model_dump(exclude_defaults=True)),
    }


def model_front(provenance: Mapping[str, Any], kind: str | None = None) -> dict[str, Any]:
    """The front matter of a model folder, without measurements."""
    told = kind or provenance.get("kind")
    first, *others = MODEL_TAGS
    front = _front(provenance, [first, *([str(told)] if told else []), *others])
    return front | {"pipeline_tag": "automatic-speech-recognition", "library_name": "transformers"}


def vector_front(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The front matter of a vector."""
    return _front(provenance, ["speech-analogy", "task-vector", "task-arithmetic"])


def _front(provenance: Mapping[str, Any], tags: list[str]) -> dict[str, Any]:
    """The front matter that does not depend on a measurement; absent facts leave no key."""
    front: dict[str, Any] = {}
    for key in ("license", "language", "datasets"):
        if provenance.get(key):
            front[key] = _flat(provenance[key])
    hub = hub_id(str(provenance.get("base") or ""))
    if hub:
        front["base_model"] = hub
    return front | {"tags": tags, "metrics": ["wer", "cer"]}


def _flat(value: Any) -> Any:
    """On one line: three hyphens on a line of their own would end the front matter."""
    return [_flat(one) for one in value] if isinstance(value, list) else " ".join(str(value).split())


def hub_id(base: str) -> str | None:
    """The Hugging Face id of a base model; None for a folder or a file."""
    if base.startswith(WEIGHTS_PACKAGE):
        return f"openai/{base.removeprefix(WEIGHTS_PACKAGE)}"
    return base if HUB_ID.fullmatch(base) and not Path(base).exists() else None


def named_base(provenance: Mapping[str, Any]) -> str:
    """The base between backticks; empty where it is not recorded."""
    base = str(provenance.get("base") or "")
    return f"`{code(base)}`" if base else ""


def voices(provenance: Mapping[str, Any]) -> list[str]:
    """Of all synthetic speech that a model or its parents were tuned on."""
    found: set[str] = set()
    for key, value in provenance.items():
        if key == "voices" and isinstance(value, list):
            found.update(map(str, value))
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Mapping):
                found.update(voices(one))
    return sorted(found)


def listed(provenance: Mapping[str, Any]) -> list[str]:
    """The voices, and every fact that the front matter does not carry, as a list."""
    spoken = voices(provenance)
    lines = [
        f"- {text(key.replace('_', ' '))}: {text(_said(value))}"
        for key, value in provenance.items()
        if key not in (*IN_FRONT, "kind", "voices") and value not in (None, "", [], {})
    ]
    heard = [f"Voices of the synthetic speech: {text(', '.join(spoken))}."] if spoken else []
    return [*heard, *(["## Provenance", "\n".join(lines)] if lines else [])]


def _making(provenance: Mapping[str, Any]) -> tuple[str, str]:
    """A title, and a sentence that says how the weights were made."""
    operation, scale = str(provenance.get("operation") or ""), provenance.get("scale")
    given = f" λ = {wording.amount(scale)} was given." if isinstance(scale, int | float) else ""
    if operation == "analogy":
        return "Analogy of three models", f"θ_C + λ(θ_B − θ_A), of weights.{given}"
    if operation == "apply":
        return "A base and a task vector", f"θ_base + λτ, of weights.{given}"
    if operation:
        return f"Merged by {text(operation)}", f"Made of several models' weights by {text(operation)}.{given}"
    if "base_fingerprint" not in provenance:
        return "Published model", "Weights as they were published."
    if "shortened" in provenance:
        return "Whisper for short windows", "Learned from itself to transcribe windows that are trimmed to the speech."
    return "Fine-tuned model", "Fine-tuned."


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return wording.amount(value)


def document(front: Mapping[str, Any], parts: Iterable[str]) -> str:
    """Front matter and body."""
    header = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{header}---\n\n" + "\n\n".join(parts) + "\n"
