"""What a trained model's record says of its speech."""

from __future__ import annotations

from lhotse import CutSet

from speech_analogy.training.publish import tuned_on


def test_the_voices_of_tts_and_of_nobody_else(noises: CutSet) -> None:
    real = tuned_on(noises)
    assert real["kinds"] == ["real"]
    assert "voices" not in real
    spoken = []
    for number, cut in enumerate(noises):
        made = cut.with_id(f"made-{cut.id}")
        made.custom = {**cut.custom, "kind": "synthetic"}
        made.supervisions = [cut.supervisions[0].transform_text(str)]
        made.supervisions[0].speaker = f"engine:{number % 2}"
        spoken.append(made)
    mixed = tuned_on(CutSet.from_cuts([*noises, *spoken]))
    assert mixed["voices"] == ["engine:0", "engine:1"]
    assert mixed["utterances"] == 2 * real["utterances"]
