"""The speech of the gap measurements: speechocean762 divided by age and topic, its texts spoken by two TTS families.

    python tests/benchmarks/gaps/prepare.py --corpus ../shared/data/speechocean762 --out WORK

Training speakers and test speakers are the corpus's own; 25 training speakers are held out for choosing (`dev`). A
gap's source shares no text with a target: topics (food, animals, clothing, places) are one target, half of the texts of
adults, by their digest, the other. Real sources have one utterance a text, so that A speaks what B says.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lhotse import CutSet

from data_synth.synthesize import SynthesisOptions, synthesize
from data_synth.text.texts import Text
from speech_analogy.corpora.cuts import domain_of, speaker_of, text_of
from speech_analogy.corpora.read import read_corpus, write_cuts
from speech_analogy.corpora.splits import ranked

TOPICS = ("food", "animals", "clothing", "places")
FLITE = "flite:slt+rms+awb+kal16"
NEURAL = ("hibari", "piper:joe")
FAMILIES = {"mixed": (*NEURAL, FLITE), "flite": (FLITE,), "neural": NEURAL}
CHILD_YEARS = 15  # the last age that counts as a child's
DEV_SPEAKERS = 25
SOURCE_TEXTS = 400  # of one age
TARGET_TEXTS = 300
ADULT_TESTS = 250

Wanted = Callable[[Any], bool]


def is_adult(cut: Any) -> bool:
    """Is the speaker over the age of the corpus's pupils?"""
    return int(cut.custom["age"]) > CHILD_YEARS


def is_target_text(text: str) -> bool:
    """Half of all texts, by their digest: the target's, where adults are the target."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0


def is_topic(cut: Any) -> bool:
    return domain_of(cut) in TOPICS


def is_adult_target(cut: Any) -> bool:
    return is_adult(cut) and domain_of(cut) == "adult-other" and is_target_text(text_of(cut))


def source_of(cuts: Iterable[Any], wanted: Wanted, count: int) -> CutSet:
    """As many utterances, each with a text of its own, in the order of their ids."""
    first: dict[str, Any] = {}
    by_id = {cut.id: cut for cut in cuts if wanted(cut)}
    for name in ranked(by_id, 0):
        first.setdefault(text_of(by_id[name]), by_id[name])
    chosen = list(first.values())[:count]
    return CutSet.from_cuts(sorted(chosen, key=lambda cut: cut.id))


def targets_texts(cuts: Iterable[Any], wanted: Wanted) -> list[str]:
    """The target's texts, known from nothing but its training prompts."""
    texts = {text_of(cut) for cut in cuts if wanted(cut)}
    return sorted(ranked(texts, 0)[:TARGET_TEXTS])


def speak(texts: Iterable[str], out: Path, family: str, voices_per_text: int) -> None:
    """A's or C's speech."""
    options = SynthesisOptions(
        engines=FAMILIES[family], voices_per_text=voices_per_text, speed=(0.85, 1.1), spoken="none"
    )
    report = synthesize([Text.of(text, "target") for text in texts], out, options, progress=False)
    print(out, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    cuts = [cut for cut in read_corpus("speechocean762", given.corpus).cuts if text_of(cut)]
    held = set(ranked({speaker_of(cut) for cut in cuts if cut.custom["split"] == "train"}, 0)[:DEV_SPEAKERS])
    train = [cut for cut in cuts if cut.custom["split"] == "train" and speaker_of(cut) not in held]
    dev = [cut for cut in cuts if speaker_of(cut) in held]
    test = [cut for cut in cuts if cut.custom["split"] == "test"]

    def adults_source(cut: Any) -> bool:
        return is_adult(cut) and domain_of(cut) == "adult-other" and not is_target_text(text_of(cut))

    def childrens_source(cut: Any) -> bool:
        return not is_adult(cut) and domain_of(cut) == "child-other"

    real = {
        "adults": source_of(train, adults_source, SOURCE_TEXTS),
        "children": source_of(train, childrens_source, SOURCE_TEXTS),
    }
    halves = [source_of(part, lambda _: True, SOURCE_TEXTS // 2) for part in real.values()]
    real["both"] = CutSet.from_cuts(cut for half in halves for cut in half)
    for name, part in real.items():
        write_cuts(part, out / f"real-{name}.jsonl.gz", overwrite=True)
        print(name, len(part), "utterances", round(sum(cut.duration for cut in part) / 60, 1), "min")
    tests = {"topics": list(filter(is_topic, test)), "adults": list(filter(is_adult_target, test))}
    kept = set(ranked({cut.id for cut in tests["adults"]}, 0)[:ADULT_TESTS])
    tests["adults"] = [cut for cut in tests["adults"] if cut.id in kept]
    tests["dev-topics"] = list(filter(is_topic, dev))
    tests["dev-adults"] = list(filter(is_adult_target, dev))
    for name, part in tests.items():
        write_cuts(CutSet.from_cuts(part), out / f"test-{name}.jsonl.gz", overwrite=True)
        print(name, len(part), "utterances", len({speaker_of(cut) for cut in part}), "speakers")
    for name, family in (("both", "mixed"), ("adults", "mixed"), ("children", "mixed")):
        speak(sorted({text_of(cut) for cut in real[name]}), out / f"a-{name}-{family}", family, 1)
    for family in ("flite", "neural"):
        speak(sorted({text_of(cut) for cut in real["both"]}), out / f"a-both-{family}", family, 1)
    topics, adults = targets_texts(train, is_topic), targets_texts(train, is_adult_target)
    for family in FAMILIES:
        speak(topics, out / f"c-topics-{family}", family, 2)
    speak(adults, out / "c-adults-mixed", "mixed", 2)


if __name__ == "__main__":
    main()
