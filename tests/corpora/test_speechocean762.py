"""speechocean762: both layouts give the same cuts, and topics agree with the labelled data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_analogy.corpora import read_corpus
from speech_analogy.corpora.speechocean762 import topic_of
from speech_analogy.errors import DataError
from tests.corpora.sounds import SHARED, write_tone

FIELDS = ("id", "split", "domain", "text", "speaker", "age", "gender")
ROWS: list[dict[str, object]] = [
    dict(zip(FIELDS, values, strict=True))
    for values in [
        ("000010011", "train", "animals", "we call it bear", "0001", 6, "m"),
        ("000030012", "test", "adult-other", "the shock", "0003", 30, "f"),
        ("000030015", "test", "numbers", "one two", "0003", 30, "f"),
    ]
]


def write_jsonl(root: Path) -> Path:
    root.mkdir()
    rows = [row | {"audio": f"audio/{row['speaker']}/{row['id']}.wav"} for row in ROWS]
    (root / "utterances.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for row in rows:
        write_tone(root / str(row["audio"]))
    return root


def write_kaldi(root: Path) -> Path:
    """The layout of OpenSLR 101: texts in capitals, tabs between columns."""
    for split in ("train", "test"):
        rows = [row for row in ROWS if row["split"] == split]
        waves = {row["id"]: f"WAVE/SPEAKER{row['speaker']}/{row['id']}.WAV" for row in rows}
        tables = {
            "wav.scp": waves,
            "text": {row["id"]: str(row["text"]).upper() for row in rows},
            "utt2spk": {row["id"]: row["speaker"] for row in rows},
            "spk2age": {row["speaker"]: row["age"] for row in rows},
            "spk2gender": {row["speaker"]: row["gender"] for row in rows},
        }
        (root / split).mkdir(parents=True)
        for name, table in tables.items():
            (root / split / name).write_text("".join(f"{key}\t{value}\n" for key, value in table.items()))
        for wave in waves.values():
            write_tone(root / wave)
    return root


def test_both_layouts_give_the_same(tmp_path: Path) -> None:
    rows = []
    for root in (write_jsonl(tmp_path / "jsonl"), write_kaldi(tmp_path / "kaldi")):
        reading = read_corpus("speechocean762", root, progress=False)
        assert reading.problems == []
        rows.append(
            [(cut.id, cut.supervisions[0].text, cut.supervisions[0].speaker, cut.custom) for cut in reading.cuts]
        )
    assert rows[0] == rows[1]
    assert rows[0][0][3] | {"prompt": ""} == {
        "split": "train", "age": 6, "gender": "m", "domain": "animals", "kind": "real", "prompt": "",
    }  # fmt: skip


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split(tmp_path: Path, split: str) -> None:
    expected = [row["id"] for row in ROWS if row["split"] == split]
    for root in (write_jsonl(tmp_path / "jsonl"), write_kaldi(tmp_path / "kaldi")):
        assert [cut.id for cut in read_corpus("speechocean762", root, split=split, progress=False).cuts] == expected


def test_kaldi_faults(tmp_path: Path) -> None:
    root = write_kaldi(tmp_path / "kaldi")
    (root / "WAVE/SPEAKER0003/000030012.WAV").unlink()
    with (root / "train/text").open("a") as file:
        file.write("000010099\tNO AUDIO\n")
    reading = read_corpus("speechocean762", root, progress=False)
    assert {problem.id: problem.rule for problem in reading.problems} == {
        "000010099": "the utterance has no audio in wav.scp",
        "000030012": "the audio file is missing",
    }
    (root / "test/utt2spk").unlink()
    with pytest.raises(DataError, match="utt2spk: a Kaldi file of the corpus is missing"):
        read_corpus("speechocean762", root, progress=False)
    with pytest.raises(DataError, match="not speechocean762"):
        read_corpus("speechocean762", tmp_path)


@pytest.mark.parametrize(
    ("text", "age", "topic"),
    [
        ("ONE TWO THREE", 6, "numbers"),
        ("one two bears", 6, "child-other"),  # not only numbers; `bears` is not on the list
        ("the dog eats cake", 30, "food"),  # food comes before animals
        ("john's coat", 12, "clothing"),
        ("the cat's home", 13, "animals"),
        ("to london", 13, "places"),
        ("hello", 12, "child-other"),
        ("hello", 13, "adult-other"),
        ("", 13, "adult-other"),
    ],
)
def test_topics(text: str, age: int, topic: str) -> None:
    assert topic_of(text, age) == topic


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/speechocean762")
def test_the_labelled_corpus() -> None:
    reading = read_corpus("speechocean762", SHARED / "speechocean762", progress=False)
    assert (reading.read, len(reading.cuts), reading.problems) == (4180, 4180, [])
    assert len({cut.supervisions[0].speaker for cut in reading.cuts}) == 209
    wrong = [
        cut for cut in reading.cuts if topic_of(cut.supervisions[0].text, cut.custom["age"]) != cut.custom["domain"]
    ]
    assert [cut.supervisions[0].text for cut in wrong] == ["jim likes your blue shore"]  # said for `shirt`
