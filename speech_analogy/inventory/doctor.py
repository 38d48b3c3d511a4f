"""What this installation can do: engines, voices, weights, hub, machine, packages; nothing is fetched or changed."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from data_synth.engines.support.pretrained import hub_silence
from data_synth.plan.default_voices import choose_voices
from data_synth.plan.inventory import list_engines, list_voices
from speech_analogy.errors import SpeechAnalogyError
from speech_analogy.foundation.disk.cache_folder import cache_folder
from speech_analogy.foundation.machine import cores, processor, visible_gpus
from speech_analogy.inventory.findings import Finding, State
from speech_analogy.recognisers.weights import packaged_weights

DISTRIBUTION = "speech-analogy"
LITTLE_MEMORY_BYTES = 3 << 30  # a worker that fine-tunes whisper-tiny holds about half of it
LITTLE_DISK_BYTES = 5 << 30  # each model of a run is 0.15 GB with whisper-tiny, 1 GB with whisper-small
GIB = 1 << 30
FEATURES = {  # extra -> what it is for
    "ctranslate2": "int8 decoding, and export for faster-whisper",
    "huggingface": "corpora from the Hugging Face hub",
    "lora": "LoRA adapters",
    "mergekit": "merge files done by mergekit itself",
    "numbers": "numbers in words, in other languages than English",
    "prosody": "tempo and pitch in a channel",
    "quality": "DNSMOS and NISQA gates",
    "rooms": "simulated rooms in a channel",
}
NO_FEATURES = {  # extras that are other extras together, or that their engines and weights speak for
    "benchmarks", "demo", "hibari", "kokoro", "piper", "speecht5", "test", "whisper-base", "whisper-tiny-en",
}  # fmt: skip


def examine(language: str = "en") -> list[Finding]:
    """Everything that was looked at, topic by topic.

    Args:
        language: of the texts that are to be spoken.
    """
    return [*_machine(), *_engines(), _voices(language), *_weights(), _hub(), *_packages()]


def verdict(found: Sequence[Finding]) -> tuple[bool, str]:
    """Whether a model can be adapted here, and in one line what stands in the way."""
    faults = [finding for finding in found if finding.state == "fault"]
    weights = [finding for finding in found if finding.topic in ("weights", "hub")]
    reasons = [f"{finding.name}: {finding.detail}" for finding in faults]
    if not any(finding.state == "ok" for finding in weights):
        reasons.append("no package of weights is installed, and no model hub can be reached")
    if reasons:
        return False, "Nothing can be adapted here yet: " + "; ".join(reasons)
    return True, "A model can be adapted here."


def _machine() -> list[Finding]:
    from speech_analogy.training.precision import bf16_speed, fastest_precision, has_bf16

    gpus = visible_gpus()
    found = [Finding("machine", "processor", "ok", f"{processor()}, {cores()} cores")]
    if gpus:
        found.append(Finding("machine", "GPU", "ok", f"{len(gpus)} seen by torch; trains in {fastest_precision()}"))
    else:
        speed = f"bf16 is {bf16_speed():.1f} times as fast as fp32" if has_bf16() else "no bf16"
        found.append(Finding("machine", "GPU", "note", f"none seen by torch: the processor computes ({speed})"))
    memory = psutil.virtual_memory()
    state: State = "ok" if memory.available >= LITTLE_MEMORY_BYTES else "note"
    said = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    more = "" if state == "ok" else "; a worker needs about 1.5 GiB: use --workers 1"
    found.append(Finding("machine", "memory", state, said + more))
    for name, folder in (("disk, here", Path.cwd()), ("disk, cache", cache_folder())):
        free = shutil.disk_usage(_existing(folder)).free
        state = "ok" if free >= LITTLE_DISK_BYTES else "note"
        mend = "" if state == "ok" else "--drop-models keeps a run's models only until it is measured"
        found.append(Finding("machine", name, state, f"{free / GIB:.1f} GiB free at {folder}", mend))
    return found


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


def _engines() -> list[Finding]:
    found = []
    for record in list_engines():
        if record.ready:
            found.append(Finding("engines", record.name, "ok", f"speaks as {', '.join(record.voices)}"))
        else:
            found.append(Finding("engines", record.name, "lack", record.lack, record.mend))
    return found


def _voices(language: str) -> Finding:
    name = f"voices for {language!r}"
    try:
        choice = choose_voices(language, 1)
    except SpeechAnalogyError as error:
        return Finding("voices", name, "fault", error.rule, error.do or "")
    return Finding("voices", name, "ok", f"{len(list_voices(language))} in all; by default {', '.join(choice.engines)}")


def _weights() -> list[Finding]:
    return [
        Finding("weights", name, "ok", "weights from a package")
        if here
        else Finding("weights", name, "lack", "its package is not installed", package.install)
        for name, (package, here) in packaged_weights().items()
    ]


def _hub() -> Finding:
    silence = hub_silence()
    if not silence:
        return Finding("hub", "model hub", "ok", "it answers: bases such as openai/whisper-small are fetched")
    return Finding("hub", "model hub", "note", f"{silence}; bases are folders, .pt files, packages, or in its cache")


def _packages() -> list[Finding]:
    """The packages that the distribution asks for, those of each extra together."""
    extras = set(metadata(DISTRIBUTION).get_all("Provides-Extra") or []) - NO_FEATURES
    wanted: dict[str, list[Requirement]] = defaultdict(list)
    for line in requires(DISTRIBUTION) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        asking = extras if marker else {""}
        for extra in asking:
            if marker is None or marker.evaluate({"extra": extra}):
                wanted[extra].append(requirement)
    found = []
    for extra, requirements in sorted(wanted.items()):
        missing = [requirement for requirement in requirements if not _is_met(requirement)]
        name = extra or "all that is required"
        if not missing:
            found.append(Finding("packages", name, "ok", FEATURES.get(extra) or f"{len(requirements)} packages"))
            continue
        mend = "pip install " + " ".join(f"'{one.name}{one.specifier}'" for one in missing)
        said = f"{', '.join(one.name for one in missing)} not installed, or too old"
        detail = f"{FEATURES[extra]}: {said}" if extra in FEATURES else said
        found.append(Finding("packages", name, "lack" if extra else "fault", detail, mend))
    return found


def _is_met(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
