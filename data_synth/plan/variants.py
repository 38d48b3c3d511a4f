"""Further voices made of one, so that a text with more clips than there are voices is not spoken twice by one of them.

A variant sounds like another speaker of the same accent: `low` and `high` are speed perturbation, which moves pitch,
formants and pace together and is taken for another speaker in Kaldi's recipes too (Ko et al., "Audio augmentation for
speech recognition", Interspeech 2015); `dark` and `light` have a longer or shorter vocal tract (Jaitly & Hinton,
"Vocal tract length perturbation", ICML 2013 workshop).
"""

from __future__ import annotations

from dataclasses import dataclass

from data_synth.audio.samples import Samples
from data_synth.channel.prosody import change_voice

VARIANT_MARK = "~"  # before its name: joe~low


@dataclass(frozen=True)
class VoiceVariant:
    """What is changed in a voice's clips; see `change_voice`."""

    speed: float = 1.0
    formants: float = 1.0

    def __str__(self) -> str:
        """`speed 0.9`."""
        given = {"speed": self.speed, "formants": self.formants}
        return ", ".join(f"{name} {value:g}" for name, value in given.items() if value != 1.0)


VARIANTS = {
    "low": VoiceVariant(speed=0.9),
    "high": VoiceVariant(speed=1.1),
    "dark": VoiceVariant(formants=0.9),
    "light": VoiceVariant(formants=1.1),
}


def as_variant(samples: Samples, rate: int, variant: str) -> Samples:
    """A clip of a voice in the voice of one of its variants: float32 (samples,); unchanged for an empty name."""
    if not variant or not samples.size:
        return samples
    change = VARIANTS[variant]
    return change_voice(samples, rate, speed=change.speed, formants=change.formants)


def part_variant(selection: str) -> tuple[str, str]:
    """Voices, and the variant of all of them that is asked for, which may be empty: `joe~low` is `joe` and `low`."""
    voices, mark, variant = selection.rpartition(VARIANT_MARK)
    return (voices, variant) if mark and variant in VARIANTS else (selection, "")
