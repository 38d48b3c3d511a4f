"""One utterance as any system transcribed it: what there is to score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lhotse import CutSet

from speech_analogy.corpora.cuts import audio_path, domain_of, prompt_of_cut, speaker_of, text_of
from speech_analogy.evaluation.measures.entities import entities_of
from speech_analogy.evaluation.measures.groups import traits_of
from speech_analogy.evaluation.measures.records import EntitySpan
from speech_analogy.evaluation.transcribe import Transcription


@dataclass(frozen=True)
class Utterance:
    """A reference and a hypothesis, both raw, with what is known of the recording.

    Attributes:
        duration_s: 0 where it is not known.
        one_pass, silent: see `Transcript`.
        traits: trait -> group; see `traits_of`.
    """

    id: str
    reference: str
    hypothesis: str
    domain: str = ""
    speaker: str = ""
    prompt: str = ""
    audio: str = ""
    duration_s: float = 0.0
    one_pass: str | None = None
    silent: bool = False
    traits: Mapping[str, str] = field(default_factory=dict)
    entities: tuple[EntitySpan, ...] = ()


def utterances_of(cuts: CutSet, transcription: Transcription) -> list[Utterance]:
    """Transcripts with the texts of their cuts, in the same order. DataError where a cut has no text."""
    return [
        Utterance(
            id=cut.id,
            reference=text_of(cut),
            hypothesis=transcript.text,
            domain=domain_of(cut),
            speaker=speaker_of(cut),
            prompt=prompt_of_cut(cut),
            audio=audio_path(cut),
            duration_s=cut.duration,
            one_pass=transcript.one_pass,
            silent=transcript.silent,
            traits=traits_of(cut.custom),
            entities=entities_of(cut.custom),
        )
        for cut, transcript in zip(cuts, transcription.transcripts, strict=True)
    ]
