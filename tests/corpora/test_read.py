"""The one door: kinds and options by name, and files written whole or not at all."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from lhotse import CutSet

from speech_analogy.corpora import READERS, import_corpus, read_corpus, read_cuts, write_cuts
from speech_analogy.corpora.reading import CorpusUtterance, Reader, ReaderOptions
from speech_analogy.errors import ConfigError, DataError
from tests.conftest import REPOSITORY
from tests.corpora.sounds import write_tone

QUIET = {"progress": False}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    for name in ("b", "a"):
        write_tone(root / f"{name}.wav").with_suffix(".txt").write_text(f"café {name}")
    return root


def test_kinds() -> None:
    group = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    known = {"speechocean762", "slurp", "asterisk", "folder", "huggingface", "nemo"}
    assert set(READERS.names()) == set(group[READERS.group]) >= known


def test_a_new_kind_is_one_file_and_one_line(corpus: Path) -> None:
    def utterances(path: Path, options: ReaderOptions) -> Iterator[CorpusUtterance]:
        for file in sorted(path.glob("*.wav")):
            yield CorpusUtterance(file.stem, file, "spoken", "me", "home", options.language)

    READERS.add("one-folder", Reader(ReaderOptions, utterances))
    try:
        assert "one-folder" in READERS.names()
        cuts = read_corpus("one-folder", corpus, progress=False, language="de").cuts
    finally:
        READERS.remove("one-folder")
    assert [(cut.id, cut.supervisions[0].language) for cut in cuts] == [("a", "de"), ("b", "de")]


@pytest.mark.parametrize(("kind", "advice"), [("slurb", "did you mean 'slurp'?"), ("x", "use one of asterisk")])
def test_unknown_kind(tmp_path: Path, kind: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_corpus(kind, tmp_path)
    assert "no such kind of corpus" in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"microfone": "far"}, "microfone: there is no such key; did you mean 'microphone'?"),
        ({"microphone": "lapel"}, "microphone: there is no such value (found 'lapel'); use one of headset, far, both"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_corpus("slurp", tmp_path, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", sorted(set(READERS.names()) - {"huggingface"}))
def test_a_path_that_is_not_there_and_one_that_is_no_corpus(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such file or folder"):
        read_corpus(kind, tmp_path / "nowhere")
    (tmp_path / "readme.md").write_text("no corpus")
    with pytest.raises(DataError) as caught:
        read_corpus(kind, tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["cuts.jsonl.gz", "cuts.jsonl"])
def test_import_writes_what_was_read(corpus: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "new" / name
    reading = import_corpus("folder", corpus, out, options=QUIET)
    assert list(read_cuts(out)) == list(reading.cuts) == list(CutSet.from_file(out))
    assert [cut.supervisions[0].text for cut in read_cuts(out)] == ["café a", "café b"]
    assert sorted(path.name for path in out.parent.iterdir()) == [name]
    again = tmp_path / "again" / name
    import_corpus("folder", corpus, again, options=QUIET)
    assert again.read_bytes() == out.read_bytes()


def test_import_lists_problems_beside_the_cuts(corpus: Path, tmp_path: Path) -> None:
    (corpus / "a.wav").unlink()
    out, problems = tmp_path / "cuts.jsonl.gz", tmp_path / "cuts.problems.jsonl"
    import_corpus("folder", corpus, out, options=QUIET)
    assert [json.loads(line) for line in problems.read_text().splitlines()] == [
        {"id": "a", "file": str(corpus / "a.txt"), "rule": "the audio file is missing"}
    ]
    write_tone(corpus / "a.wav")
    import_corpus("folder", corpus, out, options=QUIET, overwrite=True)
    assert not problems.exists()
    assert len(read_cuts(out)) == 2


def test_nothing_is_overwritten_or_half_written(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "cuts.jsonl.gz"
    import_corpus("folder", corpus, out, options=QUIET)
    before = out.read_bytes()
    (corpus / "a.txt").write_text("changed")
    with pytest.raises(DataError, match=r"cuts\.jsonl\.gz: the file exists"):
        import_corpus("folder", corpus, out, options=QUIET)
    assert out.read_bytes() == before
    import_corpus("folder", corpus, out, options=QUIET, overwrite=True)
    assert read_cuts(out)["a"].supervisions[0].text == "changed"
    with pytest.raises(ConfigError, match=r"cuts are written as \.jsonl\.gz or \.jsonl"):
        import_corpus("folder", corpus, tmp_path / "cuts.csv", options=QUIET)

    def failing() -> CutSet:
        yield from read_cuts(out)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cuts(failing(), tmp_path / "out" / "half.jsonl.gz")
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b'{"id": 1}\n', b"text\n", b'{"type": "MonoCut"}\n'])
@pytest.mark.parametrize("name", ["cuts.jsonl.gz", "cuts.jsonl"])
def test_files_that_are_not_cuts(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    with pytest.raises(DataError, match="the cuts file is missing"):
        read_cuts(path)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_cuts(path)
    assert str(path) in str(caught.value)


def test_options_given_as_text_are_understood(corpus: Path) -> None:
    reading = read_corpus("folder", str(corpus), progress="false", decode="true", domain="d")
    assert {cut.custom["domain"] for cut in reading.cuts} == {"d"}


@pytest.mark.parametrize("nothing", ["", "  "])
def test_no_path_is_not_the_working_folder(nothing: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have a path"):
        import_corpus("folder", nothing, tmp_path / "cuts.jsonl", options=QUIET)


def test_cuts_do_not_replace_what_they_are_read_from(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "cuts.jsonl"
    import_corpus("folder", corpus, out, options=QUIET)
    before = out.read_bytes()
    with pytest.raises(DataError, match="must not replace the corpus"):
        import_corpus("nemo", out, out, options=QUIET, overwrite=True)
    assert out.read_bytes() == before
