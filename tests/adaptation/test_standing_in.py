"""Stand-ins: which they are, and that nothing of them is in what they are trained on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource

from speech_analogy.adaptation.stand_in_options import StandInOptions
from speech_analogy.adaptation.standing_in import LEAST, StandIn, choose_stand_ins, grouped_texts, known_speaker
from speech_analogy.corpora.cuts import domain_of, text_of
from speech_analogy.errors import ConfigError


def cut_of(number: int, domain: str, text: str, speaker: str | None) -> MonoCut:
    name = f"u{number:04d}"
    recording = Recording(name, [AudioSource("file", [0], f"/x/{name}.wav")], 16000, 32000, 2.0)
    said = SupervisionSegment(name, name, 0, 2.0, text=text, speaker=speaker)
    return MonoCut(name, 0, 2.0, 0, recording=recording, supervisions=[said], custom={"domain": domain})


def source_of(domains: dict[str, int], speakers: int | None) -> CutSet:
    """As many texts a domain, each spoken twice."""
    cuts, number = [], 0
    for domain, texts in domains.items():
        for text in range(texts):
            for _ in range(2):
                speaker = None if speakers is None else f"s{(number * 7) % speakers}"
                cuts.append(cut_of(number, domain, f"{domain} text {text}", speaker))
                number += 1
    return CutSet.from_cuts(cuts)


def divided(stand_in: StandIn, source: CutSet) -> tuple[list[MonoCut], list[MonoCut]]:
    return list(stand_in.source(source)), list(stand_in.test(source, 0))


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(3, 60), min_size=1, max_size=6),
    speakers=st.none() | st.integers(1, 30),
    target=st.integers(10, 300),
    seed=st.integers(0, 3),
)
def test_no_text_and_no_held_out_speaker_is_trained_on(
    sizes: list[int], speakers: int | None, target: int, seed: int
) -> None:
    source = source_of({f"domain{at}": size for at, size in enumerate(sizes)}, speakers)
    found, short = choose_stand_ins(source, target, StandInOptions(), seed)
    assert len(found) <= 3
    assert bool(short) == (len(found) < 3)
    for stand_in in found:
        training, test = divided(stand_in, source)
        assert len(test) >= LEAST
        assert training
        assert len(stand_in.spoken) <= target
        assert not {text_of(cut).casefold() for cut in training} & {text_of(cut).casefold() for cut in test}
        if stand_in.held_out:
            assert not {known_speaker(cut) for cut in training} & {known_speaker(cut) for cut in test}
        assert {text.text.casefold() for text in stand_in.spoken} <= stand_in.texts


def test_domains_of_a_size_like_the_targets_come_first() -> None:
    source = source_of({"tiny": 12, "like": 40, "also": 45, "large": 90, "rest": 100}, 20)
    found, _ = choose_stand_ins(source, 42, StandInOptions(count=2), 0)
    assert {stand_in.label for stand_in in found} == {"like", "also"}


def test_a_source_without_domains_is_grouped_by_its_texts() -> None:
    words = {"food": "soup rice bread tea", "travel": "train ticket station bus", "sport": "ball goal team game"}
    words |= {"office": "letter desk phone paper"}
    cuts = []
    for topic, own in words.items():
        a, b, c, d = own.split()
        for number in range(20):
            text = f"{(a, b, c, d)[number % 4]} {(b, c, d, a)[number % 4]} {(c, d, a, b)[number // 4 % 4]} {number}"
            cuts.append(cut_of(len(cuts), "", text, f"s{number}"))
            assert topic
    found, _ = choose_stand_ins(CutSet.from_cuts(cuts), 20, StandInOptions(count=2), 0)
    assert len(found) == 2
    for stand_in in found:
        assert stand_in.kind == "cluster"
        topics = {
            topic for topic, own in words.items() for text in stand_in.texts if set(text.split()) & set(own.split())
        }
        assert len(topics) == 1, stand_in.label


def test_too_little_source_gives_none_and_says_why() -> None:
    found, short = choose_stand_ins(source_of({"": 8}, 4), 50, StandInOptions(), 0)
    assert found == []
    assert (
        short == "the source's 16 utterances of 8 texts give no stand-in domains of at least 10 texts and 10 utterances"
    )


def test_a_domain_that_is_not_there_is_named_with_those_that_are() -> None:
    source = source_of({"like": 40, "other": 40}, 20)
    with pytest.raises(ConfigError, match=r"stand_ins.domains.*lke.*there are: like, other"):
        choose_stand_ins(source, 40, StandInOptions(domains=("lke",)), 0)


def test_groups_are_the_same_for_the_same_seed() -> None:
    texts = [f"word{number % 5} thing{number % 7} {number}" for number in range(80)]
    assert grouped_texts(texts, 3, 20, 1) == grouped_texts(texts, 3, 20, 1)


def test_unknown_speakers_hold_nobody_out() -> None:
    source = source_of({"a": 30, "b": 30, "c": 30}, None)
    found, _ = choose_stand_ins(source, 30, StandInOptions(), 0)
    assert found
    assert all(not stand_in.held_out for stand_in in found)
    assert {domain_of(cut) for cut in found[0].test(source, 0)} == {found[0].label}
