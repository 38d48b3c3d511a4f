"""What a model was trained on is recognised again: by the recording's bytes, or its name, text and length."""

from __future__ import annotations

import shutil
from pathlib import Path

from lhotse import CutSet

from speech_analogy.corpora.read import read_corpus
from speech_analogy.corpora.seen import SeenSpeech, union
from speech_analogy.corpora.splits import file_digests
from speech_analogy.foundation.hash_sets import short_hash
from tests.conftest import make_corpus


def _cuts(folder: Path) -> CutSet:
    return read_corpus("folder", folder, progress=False).cuts


def test_a_copy_under_another_name_and_an_encoded_copy_are_recognised(tmp_path: Path) -> None:
    import soundfile

    one = make_corpus(tmp_path / "one", 4)
    seen = SeenSpeech.of(_cuts(one))
    renamed, encoded = tmp_path / "renamed", tmp_path / "encoded"
    shutil.copytree(one, renamed)
    (renamed / "000.wav").rename(renamed / "other.wav")
    table = (renamed / "metadata.csv").read_text().replace("000.wav", "other.wav")
    (renamed / "metadata.csv").write_text(table)
    shutil.copytree(one, encoded)
    samples, rate = soundfile.read(encoded / "000.wav")
    soundfile.write(encoded / "000.wav", samples * 0.5, rate)
    for folder in (renamed, encoded):
        found = SeenSpeech.of(_cuts(folder))
        assert len(found.recordings & seen.recordings) >= 7  # of 8: the one that changed is known by one of its two
        assert all(len({*SeenSpeech.of(CutSet.from_cuts([cut])).recordings} & seen.recordings) for cut in _cuts(folder))
    other = SeenSpeech.of(_cuts(make_corpus(tmp_path / "two", 4, seed=1)))
    assert not other.recordings & seen.recordings


def test_speakers_are_those_of_real_speech_and_texts_those_of_tts(noises: CutSet) -> None:
    real, made = list(noises)[:2], []
    for cut in list(noises)[2:4]:
        synthetic = cut.with_id(f"made-{cut.id}")
        synthetic.custom = {**cut.custom, "kind": "synthetic"}
        made.append(synthetic)
    cuts = CutSet.from_cuts([*real, *made])
    seen = SeenSpeech.of(cuts, file_digests(cuts), str.upper)
    assert seen.speakers == {short_hash(cut.supervisions[0].speaker) for cut in real}
    assert seen.spoken == {short_hash(cut.supervisions[0].text.upper()) for cut in made}
    assert SeenSpeech.of(cuts).spoken == frozenset()


def test_a_record_comes_back_and_models_are_united(noises: CutSet) -> None:
    one, other = (SeenSpeech.of(CutSet.from_cuts(part)) for part in (list(noises)[:3], list(noises)[2:]))
    assert SeenSpeech.read(one.record()) == one
    assert SeenSpeech.read(None) is None
    assert union([None, one, other]) == one | other == SeenSpeech.of(noises)
    assert union([None]) is None
