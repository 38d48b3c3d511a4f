"""Lhotse cuts through a channel, once on disk: seeded clips with their labels, resumed where it was killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from data_synth.audio.encode import Storage, encode
from data_synth.audio.recordings import file_digest
from data_synth.audio.samples import Samples
from data_synth.channel.chain import ChannelOptions, apply_channel
from data_synth.store.clip_files import clip_path, exists
from data_synth.store.held_folder import hold_folder
from speech_analogy.errors import DataError, SynthesisError
from speech_analogy.foundation.digests import derive, digest
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.progress import bar

if TYPE_CHECKING:
    from lhotse import CutSet, MonoCut, SupervisionSegment


def channel_cuts(
    cuts: CutSet,
    out: Path,
    options: ChannelOptions,
    seed: int,
    copies: int = 1,
    *,
    storage: Storage = "flac",
    progress: bool = True,
    clips_root: Path | None = None,
) -> CutSet:
    """Send cuts through the channel into the folder `out`: clips/ and cuts.jsonl.gz. Goes on where it was killed.

    Every cut becomes a mono cut of its own recording, with its supervisions and `custom`; to the latter come
    `channel` (a description), `copy` (0, 1, ...) and, where the channel has ranges or files, `drawn` (what the clip
    drew from them). Supervisions follow speed and tempo. A clip's key is made of the recording's bytes, the cut's
    id and span, the options, the files that it draws, the seed and the copy.

    Args:
        cuts: with distinct ids.
        out: a new folder, or one begun with the same options and storage.
        options: the channel.
        seed: of the set; a cut's own seed follows from it, the cut's id and the copy.
        copies: clips per cut, each with another seed; above 1 their ids end in -c0, -c1, ...
        storage: flac or opus.
        progress: show a bar with the time left.
        clips_root: the name `out` will have when it is used, if it is to be renamed.

    Returns:
        The new cuts, in the order of `cuts`, the copies of one cut together.

    Raises:
        DataError: no cuts, ids not distinct, audio missing or not decodable, a folder that is another's.
        ConfigError: the folder was begun with other options.
        SynthesisError: a clip cannot be written.
    """
    from lhotse import CutSet  # brings torch along; options are read where no audio is

    from data_synth.store.manifest import CUTS_NAME, write_cuts

    sources = list(cuts)
    if not sources or len({cut.id for cut in sources}) < len(sources):
        raise DataError("there must be cuts, with distinct ids", field="cuts", value=f"{len(sources)} cuts")
    out = out.resolve()
    settings: dict[str, Any] = {"channel": options.model_dump(mode="json"), "storage": storage}
    root = (clips_root or out).absolute()
    with hold_folder(out, settings):
        made: list[MonoCut] = []
        with bar(len(sources) * copies, "channel", "clips", show=progress) as shown:
            for cut, copy in _copies(sources, copies):
                its_seed = derive(seed, "channel", cut.id, copy)
                path, count = _channel_clip(cut, out, options, its_seed, storage)
                suffix = f"-c{copy}" if copies > 1 else ""
                drawn = options.drawn(its_seed)
                recorded = {"channel": options.describe(), "copy": copy, **({"drawn": drawn} if drawn else {})}
                made.append(_changed_cut(cut, cut.id + suffix, root / path, count, options.pace_of(its_seed), recorded))
                shown.update()
        write_cuts(made, out / CUTS_NAME)
    return CutSet.from_cuts(made)


def _copies(cuts: list[Any], copies: int) -> Iterator[tuple[Any, int]]:
    return ((cut, copy) for cut in cuts for copy in range(copies))


def _channel_clip(cut: Any, out: Path, options: ChannelOptions, seed: int, storage: Storage) -> tuple[str, int]:
    """One clip, made or found: its path below `out`, and its number of samples."""
    content = {
        "audio": _audio_digest(cut),
        "span": [cut.id, cut.start, cut.duration],
        "channel": options.model_dump(mode="json"),
        "seed": seed,
    }
    files = options.content(seed)
    path = clip_path(digest(content | ({"files": files} if files else {})), storage)
    if exists(out / path):
        return path, int(soundfile.info(out / path).frames)
    samples = _load(cut)
    samples_out = apply_channel(samples, int(cut.sampling_rate), options, seed)
    try:
        write_whole(out / path, encode(samples_out, int(cut.sampling_rate), storage), lasting=False)
    except OSError as error:
        raise SynthesisError(f"a clip cannot be written: {error}", file=out, do="start again") from None
    return path, len(samples_out)


def _changed_cut(cut: Any, cut_id: str, path: Path, count: int, pace: float, recorded: dict[str, Any]) -> MonoCut:
    from lhotse import MonoCut
    from lhotse.utils import fastcopy

    from data_synth.store.manifest import make_recording

    recording = make_recording(cut_id, path, count, int(cut.sampling_rate))
    supervisions = [
        fastcopy(
            _at_pace(supervision, pace, cut, recording.duration),
            id=cut_id if len(cut.supervisions) == 1 else f"{cut_id}-{number}",
            recording_id=cut_id,
            channel=0,
        )
        for number, supervision in enumerate(cut.supervisions)
    ]
    return MonoCut(
        id=cut_id,
        start=0.0,
        duration=recording.duration,
        channel=0,
        recording=recording,
        supervisions=supervisions,
        custom={**(cut.custom or {}), **recorded},
    )


def _at_pace(supervision: SupervisionSegment, pace: float, cut: Any, duration: float) -> SupervisionSegment:
    """A supervision, and its alignment, `pace` times as fast; it ends with the clip at the latest where it did."""
    if pace == 1.0:
        return supervision
    changed = supervision.perturb_speed(pace, int(cut.sampling_rate), affix_id=False)
    return changed.trim(duration) if supervision.end <= cut.duration else changed


def _load(cut: Any) -> Samples:
    """A cut's samples, channels averaged: (samples,)."""
    try:
        samples = cut.load_audio()
    except Exception as error:  # Lhotse raises whatever its backends raise
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"the cut's audio cannot be decoded: {reason}", field=cut.id) from None
    return np.asarray(samples.mean(axis=0), dtype=np.float32)


def _audio_digest(cut: Any) -> str:
    sources = cut.recording.sources if cut.has_recording else []
    if not sources or any(source.type != "file" for source in sources):
        raise DataError("the cut must have a recording in a file", field=cut.id)
    return digest([file_digest(source.source) for source in sources])
