"""What a model was trained on, as short hashes: recordings, speakers, and the texts that TTS spoke."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from lhotse import CutSet

from speech_analogy.corpora.cuts import speaker_of, text_of
from speech_analogy.corpora.reading import normalised
from speech_analogy.corpora.splits import file_digests, files_of
from speech_analogy.foundation.hash_sets import packed, short_hash, unpacked

SYNTHETIC = "synthetic"  # the kind of speech that TTS makes
DURATION_DIGITS = 3  # a recording keeps its length to a millisecond when it is resampled or encoded without loss


@dataclass(frozen=True)
class SeenSpeech:
    """Hashes of what was trained on, or of a test.

    Args:
        recordings: two of each: of the file's bytes and the span, and of the cut's name, text and length.
        speakers: of real speech, where they are known.
        spoken: of the texts of synthetic speech, in the form in which they are scored.
    """

    recordings: frozenset[str] = frozenset()
    speakers: frozenset[str] = frozenset()
    spoken: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        cuts: CutSet,
        files: Mapping[str, str] | None = None,
        scored_form: Callable[[str], str] | None = None,
    ) -> SeenSpeech:
        """What is in these cuts.

        Args:
            files: path -> sha256 of its bytes, where these are known; None: they are read.
            scored_form: a text as it is scored; None: spoken texts are not recorded.

        Raises:
            DataError: an audio file is missing.
        """
        digests = file_digests(cuts) if files is None else files
        real = [cut for cut in cuts if not is_synthetic(cut)]
        made = [cut for cut in cuts if is_synthetic(cut) and _has_text(cut)] if scored_form else []
        return cls(
            frozenset(one for cut in cuts for one in recording_hashes(cut, digests)),
            frozenset(short_hash(speaker) for cut in real if (speaker := speaker_of(cut))),
            frozenset(short_hash((scored_form or str)(text_of(cut)).strip()) for cut in made),
        )

    @classmethod
    def read(cls, record: object) -> SeenSpeech | None:
        """From a model folder's provenance; None where it does not say."""
        if not isinstance(record, Mapping):
            return None
        return cls(*(unpacked(str(record.get(name, ""))) for name in ("recordings", "speakers", "spoken")))

    def record(self) -> dict[str, str]:
        """As a model folder's provenance has it."""
        return {name: packed(getattr(self, name)) for name in ("recordings", "speakers", "spoken")}

    def __or__(self, other: SeenSpeech) -> SeenSpeech:
        return SeenSpeech(
            self.recordings | other.recordings, self.speakers | other.speakers, self.spoken | other.spoken
        )


def union(seen: Iterable[SeenSpeech | None]) -> SeenSpeech | None:
    """All together; None where nothing is known of any."""
    known = [one for one in seen if one is not None]
    return reduce(SeenSpeech.__or__, known) if known else None


def is_synthetic(cut: Any) -> bool:
    """Was it spoken by TTS?"""
    return str((cut.custom or {}).get("kind", "")) == SYNTHETIC


def _has_text(cut: Any) -> bool:
    return bool(cut.supervisions and cut.supervisions[0].text)


def recording_hashes(cut: Any, files: Mapping[str, str]) -> list[str]:
    """What a recording is recognised by: its bytes and span, or its name, text and length."""
    said = normalised(text_of(cut)) if _has_text(cut) else ""
    found = [short_hash("name", cut.id, said, round(cut.duration, DURATION_DIGITS))]
    contents = [files[path] for path in files_of(cut) if path in files]
    span = (round(getattr(cut, "start", 0.0), 2), round(cut.duration, 2))
    return [*found, short_hash("bytes", *contents, *span)] if contents else found
