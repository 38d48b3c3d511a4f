"""Values that nobody gave and what supports each: the rules of a run without a recipe, with the tables behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from speech_analogy.adaptation.data_options import HoldOut
from speech_analogy.adaptation.recipe import AUTO, USER_SYSTEMS
from speech_analogy.adaptation.stand_in_options import USUAL
from speech_analogy.adaptation.vector_options import GAP_SCALE
from speech_analogy.export.other_decoders import OURS_IN_FULL_WINDOWS, THE_PIPELINE

RESULTS = "recipes/speechocean762/RESULTS.md"
CURVES = "recipes/speechocean762/CURVES.md"
PHONE_LINE = "recipes/phone_line/README.md"
SYNTHESIS = "tests/benchmarks/synthesis/RESULTS.md"
WINDOWS = "tests/benchmarks/windows/RESULTS.md"
RECIPES = "recipes/README.md"
GAPS = "tests/benchmarks/gaps/RESULTS.md"
GAP_EXPECTATION = (
    "no gain is promised: a gap vector took 8.4 points of WER off TTS alone on speech like its own (one corpus, other "
    "speakers and topics); between that corpus and a phone line it did nothing one way (-1.4, not told from none) and "
    "harm the other (+7.5); recordings with --test say what it does on yours"
)

DECODERS_TABLE = "tests/benchmarks/decoders/RESULTS.md"
TRIED_UTTERANCES = 100  # of the test, in other decoders

FEWEST_SPEAKERS = 10  # that are known, for holding out speakers
SPEAKERS_SHARE, SPEAKERS_LEAST = 0.1, 2  # 12 of 125 on speechocean762
PROMPTS_SHARE, PROMPTS_LEAST, PROMPTS_SMALL, PROMPTS_SMALL_SHARE = 0.1, 4, 20, 0.2
FEWEST_UTTERANCES = 20  # of a source: a batch of 16, and 4 to choose λ on where stand-ins do not
MEASURED_UTTERANCES = 50  # the fewest that were measured

FEW_TEXTS = 200  # below which a text is spoken four times
RATE, MIXED_RATE, EPOCHS = 1.0e-4, 3.0e-5, 3
RATE_OF_WIDTH = {384: 1.0, 512: 2 / 3, 768: 1 / 3, 1024: 0.2, 1280: 2 / 15}
"""Width of a Whisper -> its learning rate, of whisper-tiny's: arXiv 2406.02925 has 3e-5, 2e-5, 1e-5 and 4e-6 for tiny,
base, small and large; medium lies between."""
OTHER_SHARE = 0.3  # its Wav2Vec2-Conformer has 3e-5
SPEED = (0.85, 1.1)
PACKED = 0.3
WIDENED_UTTERANCES = 200


@dataclass(frozen=True)
class DefaultChoice:
    """A value that nobody gave.

    Attributes:
        key: of the recipe, dotted.
        value: as the recipe has it.
        why: in words.
        table: the file that holds the figures, from the project's root; empty where the reason is not a measurement.
    """

    key: str
    value: Any
    why: str
    table: str = ""


def hold_out_of(speakers: int, prompts: int) -> tuple[HoldOut, str]:
    """What is held out of the source, and why: whole speakers where enough are known, else whole prompts."""
    if speakers >= FEWEST_SPEAKERS:
        count = max(SPEAKERS_LEAST, round(SPEAKERS_SHARE * speakers))
        return HoldOut(speakers=count), f"{speakers} speakers are known, so λ is chosen on unseen ones: one in ten"
    count = max(PROMPTS_LEAST, min(PROMPTS_SMALL, int(PROMPTS_SMALL_SHARE * prompts)), int(PROMPTS_SHARE * prompts))
    known = f"{speakers} speakers are known, fewer than {FEWEST_SPEAKERS}" if speakers else "speakers are not known"
    return HoldOut(prompts=count), f"{known}: prompts that are not trained on, of {prompts}"


def clips_a_text(texts: int) -> DefaultChoice:
    """How often a target text is spoken."""
    if texts < FEW_TEXTS:
        why = f"{texts} texts are few: the 182 of phone_line were spoken four times"
        return DefaultChoice("synthesis.target.voices_per_text", 4, why, PHONE_LINE)
    why = "two clips a text in place of one took 5.2 points off the analogy, four were not told apart from two"
    return DefaultChoice("synthesis.target.voices_per_text", 2, why, SYNTHESIS)


def clips_a_source_text() -> DefaultChoice:
    """How often the text of a source utterance is spoken."""
    why = "once, so that A has as many clips as B has recordings"
    return DefaultChoice("synthesis.source.voices_per_text", 1, why)


def speed() -> DefaultChoice:
    """How fast is spoken."""
    why = "the range of the recipe whose voices, clips and gates were compared one at a time"
    return DefaultChoice("synthesis.speed", SPEED, why, SYNTHESIS)


def training(width: int | None, utterances: int | None) -> list[DefaultChoice]:
    """Learning rates and epochs, by the base's width and the source's size.

    Args:
        width: of the base's layers; one that is no Whisper's has three tenths of whisper-tiny's rates.
        utterances: of the source, for training; None: there is none, and so no `mixed`.
    """
    share = OTHER_SHARE if width is None else _share_of(width)
    rate, mixed = (float(f"{share * one:.2g}") for one in (RATE, MIXED_RATE))
    scaled = "" if share == 1.0 else "; times the base's size as in arXiv 2406.02925, not measured here"
    small = (
        ""
        if utterances is None or utterances >= MEASURED_UTTERANCES
        else f"; fewer than {MEASURED_UTTERANCES} were never measured"
    )
    searched = "a search on held-out speech chose 1e-4 for B, and so for A and C, over 3e-5"
    of_mixed = DefaultChoice(
        "training_of.mixed.learning_rate", mixed, f"1e-4 was worse for mixed: 41.1 against 28.0{scaled}", RESULTS
    )
    return [
        DefaultChoice("training.learning_rate", rate, f"{searched}{scaled}", RESULTS),
        *([] if utterances is None else [of_mixed]),
        DefaultChoice(
            "training.epochs",
            EPOCHS,
            f"the search chose 3 over 2; 50 to 2,000 utterances were done with it{small}",
            CURVES,
        ),
    ]


def packed() -> DefaultChoice:
    """How much of the training is in 30 s windows of several utterances, for models that write time stamps."""
    why = (
        "utterances joined to long recordings: WER 25.9 in faster-whisper without time stamps and 30.4 in its default, "
        "86.3 and 51.1 without such windows, which make 4 to 11 % more seconds of window"
    )
    return DefaultChoice("training.packed", PACKED, why, f"{WINDOWS}#a-share-of-30-s-windows")


def widened() -> list[DefaultChoice]:
    """That the published model is taught 30 s windows, for models that know others."""
    why = (
        "a model tuned in trimmed windows wrote 39.1 in 30 s windows and 36.8 in its own; taught single utterances "
        "36.6 and 36.8. With utterances joined to whole windows besides, faster-whisper wrote 32.0 in place of 36.2"
    )
    return [DefaultChoice("widen.utterances", WIDENED_UTTERANCES, why, f"{WINDOWS}#a-finishing-pass")]


def _share_of(width: int) -> float:
    """Of the nearest published Whisper that is at least as wide; of the largest beyond it."""
    return next((share for known, share in RATE_OF_WIDTH.items() if known >= width), min(RATE_OF_WIDTH.values()))


def gap_scale() -> DefaultChoice:
    """How much of a gap vector is added."""
    return DefaultChoice("vector.scale", GAP_SCALE, "fixed, since there is no speech to choose it on", GAPS)


def scale_strategy(unlabelled: bool) -> DefaultChoice:
    """How λ is chosen."""
    key = "scale_selection.strategy"
    if unlabelled:
        why = (
            "agreement on untranscribed recordings of the target cost 2.4 points on average, held-out source speech 3.1"
        )
        return DefaultChoice(key, "agreement", why, f"{RECIPES}#how-λ-is-chosen")
    why = "held-out source speech, since there are no recordings of the target; it cost 3.1 points on average"
    return DefaultChoice(key, "source_dev", why, f"{RECIPES}#how-λ-is-chosen")


def systems() -> DefaultChoice:
    """What is compared."""
    why = "the base, B, C, mixed, the analogy, and the mean of the last two"
    return DefaultChoice("systems", list(USER_SYSTEMS), why, f"{RECIPES}#which-system-to-use")


def in_use() -> list[DefaultChoice]:
    """Where the published model is tried besides our decoder, in trimmed windows, on some of the test."""
    why = "other decoders have windows of 30 s: a model that needs trimmed ones is worse in them, and the report warns"
    return [
        DefaultChoice("other_decoders.decoders", [OURS_IN_FULL_WINDOWS, THE_PIPELINE], why, DECODERS_TABLE),
        DefaultChoice("other_decoders.utterances", TRIED_UTTERANCES, "each fills a window of 30 s, which takes time"),
    ]


def published(unlabelled: bool) -> DefaultChoice:
    """Whose model the run ends with: stand-ins decide, unless recordings of the target choose λ."""
    table = f"{RECIPES}#which-system-to-use"
    if unlabelled:
        why = "λ is chosen on the target's own recordings; this system was the lowest or not told apart from it"
        return DefaultChoice("publish", USUAL, f"{why} in six comparisons", table)
    return DefaultChoice(
        "publish", AUTO, "domains of the source that stand in for the target decide, and choose λ", table
    )
