"""SLURP: its real layout in small, and its real texts."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from speech_analogy.corpora import CorpusReading, read_corpus
from speech_analogy.corpora.reading import CorpusUtterance
from speech_analogy.corpora.slurp import SlurpOptions, utterances
from speech_analogy.errors import DataError
from tests.corpora.sounds import SHARED, write_tone

WAKE = {
    "slurp_id": 4489,
    "sentence": "wake me up at eight o'clock",
    "intent": "alarm_set",
    "action": "set",
    "scenario": "alarm",
    "tokens": [
        {"surface": word, "id": place} for place, word in enumerate(["wake", "me", "up", "at", "eight", "o'clock"])
    ],
    "entities": [{"span": [4, 5], "type": "time"}],
    "recordings": [
        {"file": file, "wer": 0, "ent_wer": None, "status": "correct"}
        for file in ("audio-150-headset.flac", "audio-150.flac", "audio--151-headset.flac", "audio--151.flac")
    ],
}
COOK = {
    "slurp_id": 7,
    "sentence": "find a recipe",
    "intent": "qa_recipe",  # the prefix differs from the scenario
    "action": "recipe",
    "scenario": "cooking",
    "recordings": [{"file": "audio-160.flac"}],
}
SPOKEN_BY_MACHINE = COOK | {"recordings": [{"file": "audio-1.flac"}]}
USERS = {"audio-150-headset.flac": "FO-460", "audio-150.flac": "FO-460", "audio--151-headset.flac": "UNK-323",
         "audio--151.flac": "UNK-323", "audio-160.flac": "ME-001"}  # fmt: skip


@pytest.fixture
def slurp(tmp_path: Path) -> Path:
    """dataset/slurp with texts and metadata.json, audio/slurp_real and audio/slurp_synth."""
    texts = tmp_path / "dataset/slurp"
    texts.mkdir(parents=True)
    (texts / "devel.jsonl").write_text(json.dumps(WAKE) + "\n")
    (texts / "test.jsonl").write_text(json.dumps(COOK) + "\n")
    (texts / "train_synthetic.jsonl").write_text(json.dumps(SPOKEN_BY_MACHINE) + "\n")
    recordings = {file: {"usrid": user, "status": "correct", "recid": 1} for file, user in USERS.items()}
    (texts / "metadata.json").write_text(json.dumps({"4489": {"nlub_id": 5027, "recordings": recordings}}))
    for file in USERS:
        write_tone(tmp_path / "audio/slurp_real" / file)
    write_tone(tmp_path / "audio/slurp_synth/audio-1.flac")
    return tmp_path


def read(path: Path, **options: object) -> CorpusReading:
    return read_corpus("slurp", path, progress=False, **options)


def test_domain_prompt_speaker_and_microphone(slurp: Path) -> None:
    cuts = read(slurp).cuts
    assert [cut.id for cut in cuts] == [
        "audio-150-headset", "audio-150", "audio--151-headset", "audio--151", "audio-160",
    ]  # fmt: skip
    assert {cut.custom["prompt"] for cut in cuts} == {"4489", "7"}
    headset, unknown, cook = cuts["audio-150-headset"], cuts["audio--151"], cuts["audio-160"]
    assert headset.custom == {
        "split": "devel", "microphone": "headset", "slurp_id": 4489, "intent": "alarm_set", "gender": "f",
        "native": False, "domain": "alarm", "kind": "real", "prompt": "4489",
        "entities": [{"type": "time", "text": "eight o'clock"}],
    }  # fmt: skip
    assert "entities" not in cook.custom
    assert headset.supervisions[0].speaker == "FO-460"
    assert headset.supervisions[0].text == "wake me up at eight o'clock"
    assert unknown.custom["microphone"] == "far"
    assert not {"gender", "native"} & unknown.custom.keys()
    assert (cook.custom["domain"], cook.custom["split"], cook.custom["native"]) == ("cooking", "test", True)


@pytest.mark.parametrize(
    ("microphone", "count"), [("headset", {"headset": 2}), ("far", {"far": 3}), ("both", {"headset": 2, "far": 3})]
)
def test_microphones(slurp: Path, microphone: str, count: dict[str, int]) -> None:
    assert Counter(cut.custom["microphone"] for cut in read(slurp, microphone=microphone).cuts) == count


def test_synthetic_split_is_synthetic(slurp: Path) -> None:
    (cut,) = read(slurp, split="train_synthetic").cuts
    assert (cut.custom["kind"], cut.supervisions[0].speaker) == ("synthetic", "synthetic")
    assert "slurp_synth" in cut.recording.sources[0].source


def test_other_ways_to_name_it(slurp: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert len(read(slurp / "dataset/slurp").cuts) == 5
    assert [cut.id for cut in read(slurp / "dataset/slurp/test.jsonl").cuts] == ["audio-160"]
    elsewhere = tmp_path_factory.mktemp("audio")
    (slurp / "audio/slurp_real").rename(elsewhere / "flac")
    with pytest.raises(DataError, match="the audio folder slurp_real is missing"):
        read(slurp)
    assert len(read(slurp, audio=elsewhere / "flac").cuts) == 5


def test_faults(slurp: Path) -> None:
    (slurp / "audio/slurp_real/audio--151.flac").unlink()
    with (slurp / "dataset/slurp/devel.jsonl").open("a") as file:
        file.write('{"slurp_id": 9, "sentence": "no recordings", "scenario": "qa"}\n')
    reading = read(slurp)
    assert {problem.id: problem.rule for problem in reading.problems} == {
        "audio--151": "the audio file is missing",
        "line 2": "the record has no recordings",
    }
    (slurp / "dataset/slurp/metadata.json").unlink()
    with pytest.raises(DataError, match=r"metadata\.json: the file with SLURP's speakers is missing"):
        read(slurp)
    assert {cut.supervisions[0].speaker for cut in read(slurp, speakers=False).cuts} == {"unknown"}
    (slurp / "dataset/slurp/metadata.json").write_text("[]")
    with pytest.raises(DataError, match="not SLURP's metadata"):
        read(slurp)
    with pytest.raises(DataError, match=r"not SLURP: no devel\.jsonl"):
        read(slurp / "audio", split="devel")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"entities": "none"},
        {"entities": [{"span": [6], "type": "time"}]},
        {"entities": [{"span": [-1], "type": "time"}]},
        {"entities": [{"span": [True], "type": "time"}]},
        {"entities": [{"span": [], "type": "time"}]},
        {"entities": [{"span": [4], "type": 3}]},
        {"entities": ["time"]},
        {"tokens": None},
        {"tokens": [{"surface": 1}] * 6},
        {"tokens": ["wake"] * 6},
    ],
)
def test_entities_that_name_no_words_are_left_out(slurp: Path, spoilt: dict[str, object]) -> None:
    (slurp / "dataset/slurp/devel.jsonl").write_text(json.dumps(WAKE | spoilt) + "\n")
    cuts = read(slurp, split="devel").cuts
    assert len(cuts) == 4
    assert all("entities" not in cut.custom for cut in cuts)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/slurp_text")
def test_entities_are_those_of_the_annotated_sentence(tmp_path: Path) -> None:
    """An independent reading of the same file: `wake me at [time : eight o'clock]`."""
    table = SHARED / "slurp_text/devel.jsonl"
    annotated = {}
    for line in table.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        found = re.findall(r"\[\s*(\w+)\s*:\s*([^\]]+?)\s*\]", record["sentence_annotation"])
        annotated[str(record["slurp_id"])] = [(kind, " ".join(words.split())) for kind, words in found]
    listed = utterances(table, SlurpOptions(audio=tmp_path, speakers=False))
    read_here = {
        entry.prompt: [(one["type"], one["text"]) for one in entry.custom["entities"] or []]
        for entry in listed
        if isinstance(entry, CorpusUtterance)
    }
    differ = {prompt for prompt in read_here if read_here[prompt] != annotated[prompt]}
    assert len(read_here) == 2033
    assert len(differ) == 2  # "robert ," and "mail i d": tokens, which the sentence writes otherwise
    assert sum(map(len, read_here.values())) == sum(map(len, annotated.values()))


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/slurp_text")
@pytest.mark.parametrize(
    ("split", "prompts", "recordings", "headset"), [("devel", 2033, 8690, 4173), ("test", 2974, 13078, 6281)]
)
def test_the_real_texts(tmp_path: Path, split: str, prompts: int, recordings: int, headset: int) -> None:
    options = SlurpOptions(audio=tmp_path, speakers=False)
    listed = list(utterances(SHARED / f"slurp_text/{split}.jsonl", options))
    assert len(listed) == len({entry.id for entry in listed}) == recordings
    microphones = Counter(entry.custom["microphone"] for entry in listed)  # type: ignore[union-attr]
    assert microphones == {"headset": headset, "far": recordings - headset}
    assert len({entry.prompt for entry in listed}) == prompts  # type: ignore[union-attr]
    assert len({entry.domain for entry in listed}) == 18  # type: ignore[union-attr]
