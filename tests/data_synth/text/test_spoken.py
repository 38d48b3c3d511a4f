"""Spoken forms: tables of cases, num2words as an independent reference, and what must hold for any text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_synth.plan.attempt import clip_key
from data_synth.plan.options import SynthesisOptions
from data_synth.plan.voices import Voice
from data_synth.store.ledger import Ledger
from data_synth.synthesize import synthesize
from data_synth.text import spoken
from data_synth.text.english import numbers as english_numbers
from data_synth.text.spoken import has_digits, spoken_form
from data_synth.text.texts import Text
from speech_analogy.errors import SynthesisError
from tests.data_synth.rows import planned

CASES = {
    "play 3 songs": "play three songs",
    "it costs $5.20, $0.99 or US$1,000.00": (
        "it costs five dollars and twenty cents, ninety nine cents or one thousand U.S. dollars"
    ),
    "$5 million, $1.5m, 5€ and £3.01": (
        "five million dollars, one point five million dollars, five euros and three pounds and one penny"
    ),
    "20 USD/month": "twenty U.S. dollars per month",
    "5-10% off, 5–10 km at 80 km/h": "five to ten percent off, five to ten kilometers at eighty kilometers per hour",
    "call (555) 123-4567": "call five five five, one two three, four five six seven",
    "on 2024-03-05": "on March fifth, twenty twenty four",
    "on 3/4/2024": "on March fourth, twenty twenty four",
    "on 24.12.2024": "on December twenty fourth, twenty twenty four",
    "March 5th, 2024": "March fifth, twenty twenty four",
    "5 May 2021": "the fifth of May twenty twenty one",
    "hits of the 1990s and '80s": "hits of the nineteen nineties and eighties",
    "in 1995, 2005 and 1900": "in nineteen ninety five, two thousand five and nineteen hundred",
    "at 3:30 pm or 10:05": "at three thirty p.m. or ten oh five",
    "at 10:00 or 3 P.M.": "at ten o'clock or three p.m.",
    "16:9": "sixteen to nine",
    "the 21st and the 112th": "the twenty first and the one hundred twelfth",
    "2½ cups, 3/4, 24/7": "two and a half cups, three quarters, twenty four seven",
    "Dr. Smith on Main St. with Mrs Jones": "Doctor Smith on Main Street with Missus Jones",
    "St. Patrick's, e.g. etc.": "Saint Patrick's, for example et cetera.",
    "the FBI's TVs": "the F.B.I.'s T.V.s",
    "NASA said HMM": "NASA said HMM",
    "see www.example.com/a or joe@mail.com.": ("see W.W.W. dot example dot com slash a or joe at mail dot com."),
    "-5 °C is 3.14": "minus five degrees Celsius is three point one four",
    "007 and 12345678901": "zero zero seven and one two three four five six seven eight nine zero one",
    "covid-19, mp3, A380": "covid-nineteen, M.P. three, A three eighty",
    "item no. 5 & #7": "item number five and number seven",
    "PLAY 3 SONGS AT 5 KG": "PLAY THREE SONGS AT FIVE KILOGRAMS",
    "٣ cats on １２ mats": "three cats on twelve mats",
}
PLAIN = [
    "turn it on",
    "Wait, what's up? No; it's “fine”, isn't it!",
    "I GOAT UP",
    "at three p.m. in the U.S.",
    "you may say so. Then stop...",
    "café über straße",
    "",
]
PIECES = st.sampled_from(
    [*CASES, "$", "5", ".", ",", "-", ":", "/", " ", "%", "a", "TV", "Dr", "May", "am", "²", "½", "#", "@", "x", "km"]
)


@pytest.mark.parametrize(("text", "said"), CASES.items())
def test_english(text: str, said: str) -> None:
    assert spoken_form(text) == said


@pytest.mark.parametrize("text", PLAIN)
def test_what_needs_no_words_stays_as_it_is(text: str) -> None:
    assert spoken_form(text) is text


def test_regions_and_none() -> None:
    assert spoken_form("3/4/2024", "en-GB") == "April third, twenty twenty four"
    assert spoken_form("3/25/2024", "en_GB") == "March twenty fifth, twenty twenty four"
    assert spoken_form("play 3 songs", "en", "none") == "play 3 songs"


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30) | st.lists(PIECES, max_size=6).map("".join) | st.lists(PIECES, max_size=6).map(" ".join))
def test_a_spoken_form_has_no_digit_and_is_its_own_spoken_form(text: str) -> None:
    said = spoken_form(text)
    assert not has_digits(said)
    assert spoken_form(said) == said


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**36 - 1) | st.integers(0, 10_000))
def test_numbers_are_those_of_num2words(number: int) -> None:
    reference = pytest.importorskip("num2words").num2words

    def plain(words: str) -> str:
        return " ".join(words.replace("-", " ").replace(",", "").replace(" and ", " ").split())

    assert english_numbers.cardinal(number) == plain(reference(number))
    assert english_numbers.ordinal(number) == plain(reference(number, to="ordinal"))


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("de", "5% von 1.234,5", "fünf Prozent von eintausendzweihundertvierunddreißig Komma fünf"),
        ("fr-FR", "80 euros", "quatre-vingts euros"),
        ("pt_BR", "16", "dezesseis"),
        ("ru", "5 минут", "пять минут"),
        ("xx", "5", "5"),
    ],
)
def test_other_languages(language: str, text: str, said: str) -> None:
    pytest.importorskip("num2words")
    assert spoken_form(text, language) == said
    assert spoken_form(said, language) == said


def test_without_num2words_digits_of_other_languages_are_an_error_and_letters_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    spoken.num2words_package.cache_clear()
    monkeypatch.setattr(spoken.importlib, "import_module", missing)
    assert spoken_form("grün", "de") == "grün"
    assert spoken_form("5", "de", "none") == "5"
    with pytest.raises(SynthesisError, match="pip install num2words"):
        spoken_form("5", "de")


def test_the_key_is_as_ever_where_nothing_is_spoken_otherwise() -> None:
    old = clip_key("stop", "e", "v", "1", {"s": 1}, 0)
    assert clip_key("stop", "e", "v", "1", {"s": 1}, 0, "stop") == old
    assert (
        len({old, clip_key("stop", "e", "v", "1", {"s": 1}, 0, "halt"), clip_key("halt", "e", "v", "1", {"s": 1}, 0)})
        == 3
    )


@pytest.mark.usefixtures("plugin")
def test_plans_keep_the_label_and_give_the_engine_the_spoken_form() -> None:
    texts = [Text.of("play 3 songs"), Text.of("%"), Text.of("stop"), Text.of("?!")]
    auto = planned(texts, [Voice("fake", "low")], SynthesisOptions(engines=("fake",)))
    assert [(plan.text, plan.spoken) for plan in auto] == [
        ("play 3 songs", "play three songs"),
        ("%", "percent"),
        ("stop", "stop"),
    ]
    none = planned(texts, [Voice("fake", "low")], SynthesisOptions(engines=("fake",), spoken="none"))
    assert [plan.spoken for plan in none] == ["play 3 songs", "stop"]
    assert auto[0].key(0) != none[0].key(0)
    assert auto[2].key(0) == none[1].key(0)


@pytest.mark.usefixtures("plugin")
def test_the_label_stays_in_cuts_and_ledger_beside_what_was_spoken(tmp_path: Path) -> None:
    import gzip

    texts = [Text.of("play 3 songs"), Text.of("stop")]
    report = synthesize(texts, tmp_path / "out", SynthesisOptions(engines=("fake",)), progress=False)
    rows = Ledger(tmp_path / "out").rows.values()
    assert [(row.text, row.spoken) for row in rows] == [("play 3 songs", "play three songs"), ("stop", None)]
    cuts = [json.loads(line) for line in gzip.decompress(report.cuts.read_bytes()).splitlines()]
    assert [cut["supervisions"][0]["text"] for cut in cuts] == ["play 3 songs", "stop"]
    assert [cut["custom"]["spoken"] for cut in cuts] == ["play three songs", "stop"]
    assert (report.respelled, report.digits_left) == (1, 0)
