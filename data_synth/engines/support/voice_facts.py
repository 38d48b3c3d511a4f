"""What is known of a voice before it speaks: its languages, its sex, its licence, and whether it is one speaker."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What engines call a language, and what Whisper and most corpora call it.
SAME_LANGUAGE = {"cmn": "zh", "nb": "no", "nn": "no", "iw": "he", "in": "id", "jw": "jv", "fil": "tl"}
UNKNOWN = ""


@dataclass(frozen=True)
class VoiceFacts:
    """What an engine knows of one of its voices.

    Attributes:
        languages: tags such as `en-GB`; none: not known, so texts in any language are given to it.
        sex: `female`, `male`, or empty where it is not known.
        licence: of the voice's weights, or empty where it is not known.
        one_speaker: false where every seed is another speaker.
    """

    languages: tuple[str, ...] = ()
    sex: str = UNKNOWN
    licence: str = UNKNOWN
    one_speaker: bool = True

    def speaks(self, language: str) -> bool:
        """Whether texts in this language may be given to it: regions and scripts make no difference."""
        return not self.languages or base_language(language) in map(base_language, self.languages)


def base_language(tag: str) -> str:
    """The language of a tag, without region and script: `en` of `en_US`, `zh` of `cmn-Latn`."""
    first = re.split(r"[-_]", tag.strip().casefold(), maxsplit=1)[0]
    return SAME_LANGUAGE.get(first, first)
