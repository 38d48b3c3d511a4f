"""Seeded ways to divide cuts; the same seed gives the same cuts on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speech_analogy.corpora.cut_checks import RECORDED_FILE
from speech_analogy.corpora.reading import CHECKING_THREADS, MOST_UNKNOWN, UNKNOWN_SPEAKER, speaker_name
from speech_analogy.corpora.shar.clips import Clip, clips_of
from speech_analogy.errors import ConfigError, DataError

DIGEST_BLOCK_BYTES = 1 << 20


def by_domain(cuts: CutSet, target_domains: Collection[str]) -> tuple[CutSet, CutSet]:
    """Divide into (target, source): the cuts of `target_domains`, and all others.

    Raises:
        ConfigError: one of the domains does not occur.
        DataError: a side is empty.
    """
    present = {_domain(cut) for cut in cuts}
    for domain in target_domains:
        if domain not in present:
            valid = ", ".join(sorted(present))
            raise ConfigError("no cut has this domain", field="target domain", value=domain, do=f"there are: {valid}")
    target, source = _divide(cuts, lambda cut: _domain(cut) in target_domains)
    if not len(target) or not len(source):
        raise DataError(f"by domain, {'target' if not len(target) else 'source'} is left without a cut")
    return target, source


def hold_out_speakers(
    cuts: CutSet, *, share: float | None = None, count: int | None = None, seed: int = 0
) -> tuple[CutSet, CutSet]:
    """Divide into (kept, held out), no speaker on both sides.

    Args:
        cuts: to divide.
        share: the share of speakers to hold out, in (0, 1); at least one, and one is always kept.
        count: or how many.
        seed: which; with a greater count the earlier ones stay held out.

    Raises:
        ConfigError: neither or both of share and count, or a value that leaves a side empty.
        DataError: speakers are unknown, of more than half of the cuts, or there is one alone.
    """
    named = [_speaker(cut) for cut in cuts]
    speakers, unknown = set(named), named.count(UNKNOWN_SPEAKER)
    if unknown > MOST_UNKNOWN * len(named):
        which = "the cuts name" if unknown == len(named) else "more than half of the cuts name"
        rule = f"{which} no speaker, so none can be held out"
        raise DataError(rule, value=f"{unknown} of {len(named)} cuts", do="hold out prompts instead")
    if len(speakers) == 1:
        raise DataError("there is one speaker, who cannot be held out", value=named[0], do="hold out prompts instead")
    chosen = set(ranked(speakers, seed)[: _how_many(share, count, len(speakers), "speakers")])
    held_out, kept = _divide(cuts, lambda cut: _speaker(cut) in chosen)
    return kept, held_out


def hold_out_prompts(
    cuts: CutSet, *, share: float | None = None, count: int | None = None, seed: int = 0
) -> tuple[CutSet, CutSet]:
    """Divide into (kept, held out), no prompt on both sides; arguments and errors as `hold_out_speakers`."""
    prompts = {_prompt(cut) for cut in cuts}
    chosen = set(ranked(prompts, seed)[: _how_many(share, count, len(prompts), "prompts")])
    held_out, kept = _divide(cuts, lambda cut: _prompt(cut) in chosen)
    return kept, held_out


def subset(cuts: CutSet, count: int, seed: int = 0) -> CutSet:
    """`count` of the cuts (all if there are fewer), in their order.

    Cuts are ranked by the sha256 of (seed, id): a greater count keeps the earlier ones, and so does a corpus
    that grows, except where a newcomer ranks higher.

    Raises:
        ConfigError: count is below 1.
    """
    if count < 1:
        raise ConfigError("a subset has at least one cut", field="count", value=count)
    chosen = set(ranked({cut.id for cut in cuts}, seed)[:count])
    return CutSet.from_cuts(cut for cut in cuts if cut.id in chosen)


def file_digests(cuts: CutSet) -> dict[str, str]:
    """Path -> sha256 of its bytes, of every audio file of the cuts, and of every clip in a tar by its place.

    Raises:
        DataError: an audio file is missing.
    """
    files = sorted({path for cut in cuts for path in files_of(cut)})
    with ThreadPoolExecutor(CHECKING_THREADS) as pool:
        return dict(zip(files, pool.map(file_digest, files), strict=True))


def file_digest(path: str) -> str:
    """sha256 of the bytes of an audio file, or of a clip in a tar, by its place; DataError where it is missing."""
    clip = None if Path(path).is_file() else Clip.named(path)
    if clip is not None:
        return hashlib.sha256(clip.read()).hexdigest()
    content = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(DIGEST_BLOCK_BYTES):
                content.update(block)
    except OSError:
        raise DataError("the audio file is missing", file=path) from None
    return content.hexdigest()


def files_of(cut: Any) -> list[str]:
    """The paths of a cut's audio files, and the places of its clips in tars."""
    return [*(str(source.source) for source in _file_sources(cut)), *(clip.source for clip in clips_of(cut))]


def digest(cuts: CutSet, files: Mapping[str, str] | None = None) -> str:
    """sha256 over the cuts in their order: ids, spans, texts, speakers, custom fields and the audio files' bytes.

    Paths do not enter, so a corpus that was moved keeps its digest.

    Args:
        files: what `file_digests` has found, where it was asked already; None: the files are read.

    Returns:
        64 hex digits.

    Raises:
        DataError: an audio file is missing.
    """
    listed = list(cuts)
    contents = dict(file_digests(cuts) if files is None else files)
    total = hashlib.sha256()
    for cut in listed:
        said = _without_paths(_as_hashed(cut.to_dict()), contents)
        row = json.dumps(said, sort_keys=True, ensure_ascii=False, default=str)
        total.update(row.encode() + b"\n")
    return total.hexdigest()


def _domain(cut: Any) -> str:
    return _custom(cut, "domain")


def _prompt(cut: Any) -> str:
    return _custom(cut, "prompt")


def _speaker(cut: Any) -> str:
    supervisions = cut.supervisions
    return speaker_name(supervisions[0].speaker) if supervisions else UNKNOWN_SPEAKER


def _custom(cut: Any, field: str) -> str:
    value = (cut.custom or {}).get(field)
    if value is None:
        raise DataError(f"cut {cut.id} has no {field}", field=f"custom.{field}", do="import the corpus again")
    return str(value)


def _divide(cuts: CutSet, belongs: Callable[[Any], bool]) -> tuple[CutSet, CutSet]:
    inside: list[Any] = []
    outside: list[Any] = []
    for cut in cuts:
        (inside if belongs(cut) else outside).append(cut)
    return CutSet.from_cuts(inside), CutSet.from_cuts(outside)


def ranked(names: Collection[str], seed: int) -> list[str]:
    """Names in the order of sha256(seed, name)."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}\n{name}".encode()).digest())


def _how_many(share: float | None, count: int | None, total: int, what: str) -> int:
    if (share is None) == (count is None):
        raise ConfigError(f"hold out {what} by share or by count, exactly one of them", field="share")
    if share is not None:
        if not 0 < share < 1:
            raise ConfigError(f"the share of {what} lies between 0 and 1", field="share", value=share)
        count = min(total - 1, max(1, round(share * total)))
    assert count is not None
    if not 0 < count < total:
        rule = f"of {total} {what} at least one is held out and one kept"
        raise ConfigError(rule, field="count" if share is None else "share", value=count)
    return count


def _file_sources(cut: Any) -> list[Any]:
    """Sources that are files: a plain cut's, and those of every track of a mixed one."""
    parts = [track.cut for track in cut.tracks] if hasattr(cut, "tracks") else [cut]
    recordings = (part.recording for part in parts if getattr(part, "recording", None) is not None)
    return [source for recording in recordings for source in recording.sources if source.type == "file"]


def _as_hashed(cut: dict[str, Any]) -> dict[str, Any]:
    """Without what supervisions remember of the file, whose bytes enter by themselves."""
    for one in cut.get("supervisions") or ():
        custom = one.get("custom") or {}
        if custom.pop(RECORDED_FILE, None) is not None and not custom:
            del one["custom"]
    return cut


def _without_paths(value: Any, contents: dict[str, str]) -> Any:
    """The same structure with every file's path replaced by the digest of its bytes."""
    if isinstance(value, dict):
        return {key: _without_paths(part, contents) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(part, contents) for part in value]
    return contents.get(value, value) if isinstance(value, str) else value
