"""Which voices speak: as many different ones as a text has clips, and none of another language."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_synth.audio.samples import Waveform
from data_synth.engines import ENGINES, load_engine
from data_synth.engines.base import BaseEngine, Utterance
from data_synth.engines.support.voice_facts import VoiceFacts, base_language
from data_synth.plan.checks import casting_note, check_speech, settled
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.plan import SynthesisPlan
from data_synth.plan.variants import VARIANTS, as_variant, part_variant
from data_synth.plan.voices import Voice, find_voices, voice_tiers
from data_synth.store.ledger import Ledger
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import SynthesisError
from tests.data_synth.installed import needs

RATE = 16_000


class PolyglotEngine(BaseEngine):
    """Two Danish voices and one Dutch, and two more Dutch ones where they are needed."""

    name = "polyglot"
    revision = "polyglot 1"

    def voices(self) -> tuple[str, ...]:
        return ("ane", "bo", "cas")

    def known_voices(self) -> tuple[str, ...]:
        return (*self.voices(), "daan", "eva")

    def about(self, voice: str) -> VoiceFacts:
        return VoiceFacts(("da-DK",) if voice in ("ane", "bo") else ("nl",))

    def more_voices(self, language: str) -> tuple[str, ...]:
        return ("daan", "eva") if language == "nl" else ()

    def speak(self, utterance: Utterance) -> Waveform:
        time_s = np.arange(RATE) / RATE
        return Waveform((0.3 * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32), RATE)


class CrowdEngine(PolyglotEngine):
    """Every seed is another speaker."""

    name = "crowd"

    def about(self, voice: str) -> VoiceFacts:
        return VoiceFacts(one_speaker=False)


@pytest.fixture(autouse=True)
def _engines(monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in (PolyglotEngine, CrowdEngine):
        ENGINES.add(engine.name, engine)
    load_engine.cache_clear()


def names(specs: str, language: str, clips: int, **more: bool) -> list[list[str]]:
    return [[str(voice) for voice in tier] for tier in voice_tiers([specs], language, clips, **more)]


def test_an_engine_speaks_with_its_voices_of_the_language() -> None:
    assert names("polyglot", "da", 1) == [["polyglot:ane", "polyglot:bo"]]
    assert names("polyglot", "nl", 1) == [["polyglot:cas"]]
    assert find_voices(["polyglot"]) == tuple(Voice("polyglot", name) for name in ("ane", "bo", "cas"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("polyglot:ane", r"the texts are in 'nl', and this voice speaks 'da-DK' \(found 'ane'\); use polyglot:cas"),
        ("polyglot:cas+bo", "found 'bo'"),
        ("polyglot:ane~low", "found 'ane'"),
    ],
)
def test_a_voice_of_another_language_is_refused_with_those_that_speak_it(spec: str, said: str) -> None:
    with pytest.raises(SynthesisError, match=said):
        find_voices([spec], "nl")
    with pytest.raises(SynthesisError, match=r"'fr', and the engine has no voice that speaks it .*espeak-ng"):
        find_voices(["polyglot"], "fr")


@pytest.mark.parametrize(
    ("engine", "voice", "language"),
    [
        ("hibari", "heart", "de"),
        ("piper", "joe", "fr"),
        ("flite", "slt", "es"),
        ("espeak-ng", "en-us+f3", "it"),
        ("espeak-ng", "fr-fr", "en"),
    ],
)
def test_every_engine_knows_what_its_voices_speak(engine: str, voice: str, language: str) -> None:
    needs(engine)
    with pytest.raises(SynthesisError, match=f"the texts are in '{language}'"):
        find_voices([f"{engine}:{voice}"], language)


@pytest.mark.parametrize(("one", "other"), [("en_US", "en-gb"), ("cmn-latn", "zh"), ("nb", "no"), ("iw", "HE")])
def test_regions_and_old_names_make_no_other_language(one: str, other: str) -> None:
    assert base_language(one) == base_language(other)


def test_four_clips_of_two_voices_are_spoken_by_four() -> None:
    needs("hibari", "piper")
    options = SynthesisOptions(engines=("hibari", "piper"), voices_per_text=4)
    voices, *further = check_speech(options)
    texts = [Text.of(f"text {number}", "d") for number in range(20)]
    for text in SynthesisPlan(texts, voices, options, further=further):
        assert len({clip.voice for clip in text.clips}) == 4
        assert {clip.voice for clip in text.clips} > {"heart", "joe"}
        assert len({clip.key(0) for clip in text.clips}) == 4


def test_further_voices_of_an_engine_come_before_variants() -> None:
    [own, more] = names("polyglot", "nl", 3)
    assert (own, more) == (["polyglot:cas"], ["polyglot:daan", "polyglot:eva"])
    [own, more, variants] = names("polyglot", "nl", 4)
    assert len(variants) == 3 * len(VARIANTS)
    assert names("polyglot:cas", "nl", 2)[1][0] == "polyglot:cas~low"  # who names a voice gets no other speaker
    assert names("polyglot", "nl", 4, variants=False) == [own]


def test_a_voice_that_is_another_speaker_for_every_seed_needs_no_variant() -> None:
    assert len(names("crowd", "nl", 9)) == 1


def test_variants_enter_the_key_and_the_clip_alone(tmp_path: Path) -> None:
    """What the engine is asked for is the voice; the clip is longer and lower by what the variant says."""
    options = SynthesisOptions(
        engines=("polyglot:cas", "polyglot:cas~low"), voices_per_text=2, language="nl", gates=None, isolated=False
    )
    synthesize(
        [Text.of("goedemorgen", "d")], tmp_path, options.model_copy(update={"speed": (1.0, 1.0001)}), progress=False
    )
    rows = {row.voice: row for row in Ledger(tmp_path).rows.values()}
    assert set(rows) == {"cas", "cas~low"}
    assert rows["cas"].revision == "polyglot 1"
    assert rows["cas~low"].revision == "polyglot 1, low: speed 0.9"
    peaks = {}
    for voice, row in rows.items():
        samples, rate = soundfile.read(tmp_path / str(row.path))
        spectrum = np.abs(np.fft.rfft(samples))
        peaks[voice] = spectrum.argmax() * rate / len(samples)
    assert peaks["cas"] == pytest.approx(300, abs=2)
    assert peaks["cas~low"] == pytest.approx(270, abs=2)
    assert rows["cas~low"].duration_s == pytest.approx(rows["cas"].duration_s / 0.9, rel=1e-3)


FIRST_IMPORT = """
import sys
from pathlib import Path
from data_synth.plan.clip_plan import ClipPlan
from data_synth.run.worker import ClipJob, ClipSettings, speak_round
for variant in ("", "dark"):
    clip = ClipPlan("1", "a", "a", "d", "nobody", "v", "1", {}, (1,), True, variant=variant)
    try:
        speak_round(ClipJob("nobody", ((clip, 0),), ClipSettings(Path("."), None, "flac", 16000)), [(clip, 0)])
    except Exception:
        print("scipy.signal" in sys.modules)
"""


def test_the_thread_that_speaks_imports_what_shapes_clips() -> None:
    """hibari's thread and the judge's, importing SciPy for the first time at once, ended a run with an ImportError."""
    done = subprocess.run([sys.executable, "-c", FIRST_IMPORT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]  # nothing for a clip that is left as it is


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_every_variant_is_heard_to_differ(variant: str) -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    changed = as_variant(noise, RATE, variant)
    assert changed.dtype == np.float32
    assert len(changed) != len(noise) or np.abs(changed - noise).max() > 0.01
    np.testing.assert_array_equal(as_variant(noise, RATE, ""), noise)
    assert part_variant(f"joe~{variant}") == ("joe", variant)
    assert part_variant("~/voices/de.onnx") == ("~/voices/de.onnx", "")


def test_variants_are_in_a_hash_only_where_they_change_clips() -> None:
    assert "variants" not in SynthesisOptions(engines=("a", "b"), voices_per_text=2).model_dump()
    assert SynthesisOptions(engines=("a", "b"), voices_per_text=3).model_dump()["variants"] is True
    assert "variants" not in SynthesisOptions(engines=("a", "b"), voices_per_text=3, variants=False).model_dump()
    needed = SynthesisOptions(engines=("polyglot",), voices_per_text=3, language="da")
    assert settled(needed) == needed
    enough = SynthesisOptions(engines=("polyglot",), voices_per_text=2, language="da")
    assert "variants" not in settled(enough).model_dump()
    unknown = SynthesisOptions(engines=("not-here",), voices_per_text=2)
    assert settled(unknown) == unknown


def test_one_line_says_who_speaks_where_voices_are_few() -> None:
    def note(**values: object) -> str:
        options = SynthesisOptions.parse({"language": "da", **values})
        return casting_note(options, check_speech(options))

    assert note(engines="polyglot", voices_per_text=2) == ""
    said = note(engines="polyglot", voices_per_text=3)
    assert said.startswith("3 clips a text and 2 voices (polyglot:ane, polyglot:bo): 8 variants of them speak the rest")
    assert "; a voice speaks a text again" in note(engines="polyglot", voices_per_text=11)
    assert ": a voice speaks a text again" in note(engines="polyglot", voices_per_text=3, variants=False)
