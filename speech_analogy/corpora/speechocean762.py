"""speechocean762 (OpenSLR 101; Zhang et al., Interspeech 2021): as published, or as one utterances.jsonl.

The published corpus has no domains: there a text's domain is the topic that its words name (`topic_of`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from speech_analogy.corpora.reading import (
    NOT_A_TEXT,
    UNKNOWN_SPEAKER,
    CorpusUtterance,
    Problem,
    Reader,
    ReaderOptions,
    read_rows,
    text_in,
)
from speech_analogy.errors import DataError
from speech_analogy.foundation.user_files.plain import read_text

SPLITS = ("train", "test")
JSONL_NAME = "utterances.jsonl"
KALDI_FILES = ("wav.scp", "text", "utt2spk")
LAST_CHILD_AGE_YEARS, LONGEST_AGE_DIGITS = 12, 3


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Inferred from 4,180 utterances with labelled domains, 4,179 of which these lists label alike (the one that
# differs is a slip of the tongue). A text is `numbers` if it has no other words; else the first topic wins.
NUMBERS = _words(
    "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand and"
)
TOPICS = {
    "food": _words(
        "apple ate banana bananas bean beef biscuit bread breakfast butter cabbage cake candy carrot celery chicken "
        "coffee cookie corn cucumber dinner drink eat egg eggplant food fries fruit garlic hamburger honey ice jam "
        "juice lamb leek lemon lunch mango meat melon milk mushroom mutton noodle noodles onion orange pea peach "
        "pear pizza pork potato pumpkin rice sandwich sausage soup squid steak supper sweet tea tofu tomato "
        "turkey"
    ),
    "clothing": _words(
        "boot boots cap cloth clothes coat dress glove gloves hat jacket jeans pant pants raincoat sandal sandals "
        "shirt shoe shoes shorts skirt sneaker sneakers sock socks sunglasses sweater tie"
    ),
    "animals": _words(
        "ant bear bird cat cow cows deer dog dogs donkey duck elephant elephants fish fox goat goose hen horse "
        "kangaroo lion monkey mouse panda pandas pet pets pig pigs rabbit shark sheep squirrel tiger whale zebra "
        "zoo"
    ),
    "places": _words(
        "america australia bank bedroom beijing bookstore britain cairo canada canberra china cinema city classroom "
        "egypt farm france garden gym home hometown hospital japan kitchen laos library london mountain office park "
        "playground restroom school shanghai shop street subway sydney toilet underground village washroom "
        "york"
    ),
}


class SpeechoceanOptions(ReaderOptions):
    """Options of the speechocean762 reader."""

    split: Literal["train", "test", "all"] = "all"


def utterances(path: Path, options: SpeechoceanOptions) -> Iterator[CorpusUtterance | Problem]:
    """List the utterances of either layout; texts are in lower case in both.

    Raises:
        DataError: the folder has neither utterances.jsonl nor train/ or test/ with Kaldi's files.
    """
    splits = SPLITS if options.split == "all" else (options.split,)
    if (path / JSONL_NAME).is_file() or path.name == JSONL_NAME:
        table = path if path.is_file() else path / JSONL_NAME
        return _from_jsonl(table, splits, options.language)
    present = [split for split in splits if (path / split).is_dir()]
    if not present:
        rule = f"not speechocean762: neither {JSONL_NAME} nor a folder {' or '.join(splits)}"
        raise DataError(rule, file=path, do="name the folder that holds train/, test/ and WAVE/")
    return (entry for split in present for entry in _from_kaldi(path, split, options.language))


def topic_of(text: str, age_years: int | None) -> str:
    """The domain of a text: numbers, a topic of `TOPICS`, or child-other / adult-other."""
    words = [word.removesuffix("'s") for word in re.findall(r"[a-z']+", text.lower())]
    if words and all(word in NUMBERS for word in words):
        return "numbers"
    for topic, topic_words in TOPICS.items():
        if not topic_words.isdisjoint(words):
            return topic
    return "child-other" if age_years is not None and age_years <= LAST_CHILD_AGE_YEARS else "adult-other"


def _from_jsonl(table: Path, splits: tuple[str, ...], language: str) -> Iterator[CorpusUtterance | Problem]:
    for row in read_rows(table):
        if isinstance(row, Problem):
            yield row
            continue
        number, values = row
        missing = [name for name in ("id", "audio", "text") if values.get(name) is None]
        if missing:
            yield Problem(f"line {number}", str(table), f"no {missing[0]}")
        elif (text := text_in(values["text"])) is None:
            yield Problem(f"line {number}", str(table), NOT_A_TEXT)
        elif values.get("split") in (*splits, None):
            age = _age(values.get("age"))
            yield CorpusUtterance(
                id=str(values["id"]),
                audio=table.parent / str(values["audio"]),
                text=text,
                speaker=str(values.get("speaker") or UNKNOWN_SPEAKER),
                domain=str(values.get("domain") or topic_of(text, age)),
                language=language,
                custom={"split": values.get("split"), "age": age, "gender": values.get("gender")},
            )


def _from_kaldi(root: Path, split: str, language: str) -> Iterator[CorpusUtterance | Problem]:
    for name in KALDI_FILES:
        if not (root / split / name).is_file():
            raise DataError("a Kaldi file of the corpus is missing", file=root / split / name)
    audio, texts, speakers = (_kaldi_table(root / split / name) for name in KALDI_FILES)
    ages, genders = (_kaldi_table(root / split / name) for name in ("spk2age", "spk2gender"))
    for identity in sorted(texts.keys() | audio.keys()):
        if identity not in audio:
            yield Problem(identity, str(root / split / "wav.scp"), "the utterance has no audio in wav.scp")
            continue
        speaker = speakers.get(identity, UNKNOWN_SPEAKER)
        age, text = _age(ages.get(speaker)), texts.get(identity, "").lower()
        yield CorpusUtterance(
            id=identity,
            audio=root / audio[identity],
            text=text,
            speaker=speaker,
            domain=topic_of(text, age),
            language=language,
            custom={"split": split, "age": age, "gender": genders.get(speaker)},
        )


def _kaldi_table(path: Path) -> dict[str, str]:
    """`key value ...` lines as a mapping; a file that is missing is empty."""
    if not path.exists():
        return {}
    lines = read_text(path).split("\n")
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {pair[0]: pair[1].strip() if len(pair) > 1 else "" for pair in pairs}


def _age(value: object) -> int | None:
    """Years, or None where the corpus does not say."""
    said = str(value)
    return int(said) if said.isdecimal() and len(said) <= LONGEST_AGE_DIGITS else None


def recognises(path: Path) -> bool:
    """Either layout of the corpus."""
    kaldi = (path / "WAVE").is_dir() and any((path / split).is_dir() for split in SPLITS)
    return kaldi or (path / JSONL_NAME).is_file() or path.name == JSONL_NAME


READER = Reader(SpeechoceanOptions, utterances, recognises=recognises)
