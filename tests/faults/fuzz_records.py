"""The readers of texts, recipes, ledgers, results and what else is kept in files, for the fuzz tests."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import yaml

from data_synth.engines import load_engine
from data_synth.engines.command import read_options
from data_synth.engines.support.x_vectors import read_x_vectors
from data_synth.report.yields import measure
from data_synth.run.finish import is_finished, mark_finished
from data_synth.run.join_shards import join_shards
from data_synth.store.held_folder import hold_folder
from data_synth.store.ledger import Ledger, line_of
from data_synth.text.expansion import parse_answer
from data_synth.text.sources import TextSource, gather_texts
from data_synth.text.spoken import spoken_form
from data_synth.text.templates import read_slots
from data_synth.text.texts import read_texts
from speech_analogy.adaptation.plan.names import slug
from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.adaptation.records.mark import damage
from speech_analogy.adaptation.split import read_texts as read_planned_texts
from speech_analogy.cards.records import facts
from speech_analogy.corpora.seen import SeenSpeech
from speech_analogy.evaluation.domain_table import DomainRow, DomainTable
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.evaluation.results import Results, read_hypotheses
from speech_analogy.evaluation.score import word_errors
from speech_analogy.merging.engine.merge_file import read_merge_file
from speech_analogy.merging.io.provenance import carried, parse_provenance
from speech_analogy.recognisers.model_record import model_type_of, provenance
from speech_analogy.report import markdown
from tests.data_synth.rows import row
from tests.faults.fuzz_corpora import json_lines
from tests.faults.fuzzing import FuzzedReader, remove
from tests.report.fake_run import make_run

TEXTS = {
    "a.txt": "turn it on\nplay “jazz”, é\nstop\n".encode(),
    "a.csv": 'id,text,domain\n1,"play, jazz",music\n2,stop é,home\n'.encode(),
    "a.tsv": b'id\ttext\tdomain\n1\tplay "jazz\tmusic\n2\tstop\thome\n',
    "a.jsonl": json_lines([{"text": "play é", "id": 1, "domain": "music"}, {"text": "stop", "id": "2"}]),
    "b.jsonl": json_lines([{"sentence": "play é", "slurp_id": 1, "scenario": "music"}]),
}
SLOTS = {
    "templates.txt": b"play {song} by {artist:one} and {artist:two}\nstop {{now}}\n",
    "slots.yaml": "song: [jazz, é, 7]\nartist: &a [ann, bob]\nunused: *a\n".encode(),
    "slots.json": json.dumps({"song": ["jazz", 7], "artist": ["ann", "bob"]}).encode(),
    "slots/song.txt": b"jazz\nblues\n",
    "slots/artist.txt": b"ann\n",
}
RECIPE = {
    "title": "t", "base": "pip:whisper-tiny.en", "source": {"kind": "folder", "path": "data"},
    "target": {"name": "n", "texts": ["menu.txt", {"path": "t.csv", "column": "dish"}], "test": "folder:test"},
    "synthesis": {"source": {"engines": ["hibari"], "speed": [0.9, 1.1]}, "target": {"engines": ["hibari"]}},
    "training": {"learning_rate": 1e-4, "epochs": 2, "batch_size": 4, "window": {"slack_s": 0.2}},
    "systems": ["zero_shot", "mixed", "analogy"], "publish": "auto",
    "stand_ins": {"count": 2, "domains": ["a", "b"], "scales": [0.5, 0.75]},
}  # fmt: skip
MERGE = {
    "merge_method": "ties", "base_model": "base", "dtype": "float32",
    "models": [{"model": "one", "parameters": {"weight": 0.5, "density": [0.1, 0.9]}}, {"model": "two"}],
    "parameters": {"normalize": True, "weight": [{"filter": "attn", "value": 1.0}, {"value": 0.5}]},
}  # fmt: skip
PROVENANCE = {
    "schema": 1, "base": "pip:whisper-tiny.en", "base_fingerprint": "ab12", "window": {"slack_s": 0.2},
    "language": "en", "license": "mit", "seen": {"recordings": "abcdefgh", "speakers": "abcdefgh", "spoken": ""},
    "trained_on": {"utterances": 3, "speakers": ["s"]}, "created": "2026-01-01T00:00:00+00:00",
}  # fmt: skip
VECTOR = {
    "tuned_on": {"speakers": "two"}, "hyper_parameters": {"rate": 1e-4}, "licence": "mit", "operation": "gap",
    "parents": [{"weight": 1.0, "name": "b", "provenance": {"creator": "x"}}], "metrics": {"wer": 1.5},
}  # fmt: skip
VOICE = {"num_speakers": 2, "language": {"code": "de"}, "espeak": {"voice": "de"}}
SAID = "Call 911 at 5:30pm on 2024-01-05, it's $3.50 (1,234.5 km²) — £7k “é” 1/2 №5 XIV 3rd 0x1F\n"
ROWS = b"".join(line_of(row(number, text_id=str(number // 2))) for number in range(4)) + line_of(
    row(9, status="rejected", reason="level_db: too low", path=None, duration_s=None, sha256=None)
)
SETTINGS = {"storage": "flac", "sampling_rate": 16_000, "language": "en", "plan": "p", "texts_per_block": 1}


def _content(file: Path) -> bytes:
    """What is not a file for its reader, but a string; anything but a file is none."""
    return file.read_bytes() if file.is_file() and not file.is_symlink() else b""


def _texts(folder: Path) -> None:
    for name in TEXTS:
        read_texts(folder / name)
    gather_texts([TextSource.parse({"path": name}) for name in ("a.txt", "a.csv")], folder)


def _slots(folder: Path) -> None:
    for name in ("slots.yaml", "slots.json", "slots"):
        read_slots(folder / name)
        source = TextSource.parse({"path": "templates.txt", "slots": name, "count": 5})
        gather_texts([source], folder)


def _ledger(folder: Path) -> None:
    measure(folder).to_json()
    ledger = Ledger(folder)
    assert all(ledger.find(key) is not None for key in ledger.rows)


def _held(folder: Path) -> None:
    with hold_folder(folder, SETTINGS):
        pass


def _shards(folder: Path) -> None:
    shards = [folder / "one", folder / "two"]
    try:
        join_shards(shards, folder / "joined", progress=False)
    finally:
        remove(folder / "joined") if (folder / "joined").exists() else None


def _finished(folder: Path) -> None:
    for name in ("one", "two"):
        file = folder / name / "ledger.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(_shard_rows(name))
        mark_finished(file)
        assert is_finished(file)
        clip = folder / name / "clips" / "00" / f"{name}.flac"
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(b"clip")


def _shard_rows(name: str) -> bytes:
    return line_of(row(1 if name == "one" else 2, path=f"clips/00/{name}.flac"))


def _shard_files() -> dict[str, bytes]:
    settings = {
        f"{name}/settings.json": json.dumps({**SETTINGS, "shard": number, "of_shards": 2}).encode()
        for number, name in enumerate(("one", "two"), start=1)
    }
    return settings | {f"{name}/ledger.jsonl": _shard_rows(name) for name in ("one", "two")}


def _run_files() -> dict[str, bytes]:
    """What `make_run` leaves, once."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        make_run(run, ("zero_shot", "mixed"), (0.5, 0.75), 6)
        files = {"results.json": (run / "results.json").read_bytes()}
        one = sorted(run.rglob("*.jsonl"))[0]
        files["hypotheses.jsonl"] = one.read_bytes()
    return files


def _results(folder: Path) -> None:
    markdown.render(Results.read(folder / "results.json"))
    read_hypotheses(folder / "hypotheses.jsonl")


def _domains_file() -> bytes:
    row = DomainRow("a", "run", 2, 0.5, {"analogy": 10.0}, ids=["1"], clusters=["s"], words=[3], edits={"analogy": [1]})
    table = asdict(DomainTable("t", "é", ["a"], [row], [None], "key"))
    return json.dumps({"schema": 2, **table}).encode()


def _domains(folder: Path) -> None:
    table = DomainTable.read(folder / "domains.json")
    table.joined(DomainTable.read(folder / "domains.json"))


def _records(folder: Path) -> None:
    model_type_of(folder)
    record = provenance(folder)
    facts(record)
    SeenSpeech.read(record.get("seen"))
    carried([record])
    parse_provenance(_content(folder / "vector.json").decode("utf-8", "replace"), "vector.json")
    damage(folder)
    read_planned_texts(folder / "texts.jsonl")


def _engine_files(folder: Path) -> None:
    for name in ("mytts.yaml", "mytts.toml"):
        read_options(folder / name)
    read_x_vectors(folder / "vectors")
    os.environ["DATA_SYNTH_PIPER"] = str(folder / "voices")
    try:
        engine = load_engine("piper")
        engine.voices()
        engine.resolve("")
    finally:
        del os.environ["DATA_SYNTH_PIPER"]


def _spoken(folder: Path) -> None:
    content = _content(folder / "said.txt").decode("utf-8", "surrogateescape")[:5_000]
    for language in ("en", "de"):
        spoken_form(content, language)
    slug(content)
    parse_answer(content)
    said = normaliser("en")(content), normaliser("de")(content)
    for one in said:
        if one.strip():
            word_errors([one], [content])


def _recipes(folder: Path) -> None:
    for file in ("recipe.yaml", "extending.yaml"):
        load_recipe(folder / file)
    overriding = _content(folder / "set.txt").decode("utf-8", "replace").split("\n")
    load_recipe(folder / "recipe.yaml", [line for line in overriding if line])


RECORDS = (
    FuzzedReader("texts", TEXTS, _texts),
    FuzzedReader("templates and slots", SLOTS, _slots, names_file=False),
    FuzzedReader(
        "recipes",
        {
            "recipe.yaml": yaml.safe_dump(RECIPE).encode(),
            "extending.yaml": b"extends: recipe.yaml\ntraining: {epochs: 3}\n",
            "set.txt": b"training.epochs=3\nsynthesis.target.speed=[0.9, 1.0]\n",
        },
        _recipes,
        names_file=False,
    ),
    FuzzedReader(
        "merge files",
        {"merge.yaml": yaml.safe_dump(MERGE).encode()},
        lambda folder: read_merge_file(folder / "merge.yaml"),
    ),
    FuzzedReader(
        "ledgers",
        {"ledger.jsonl": ROWS, "settings.json": json.dumps(SETTINGS).encode()},
        _ledger,
    ),
    FuzzedReader("settings of a folder of clips", {"settings.json": json.dumps(SETTINGS).encode()}, _held),
    FuzzedReader("shards", _shard_files(), _shards, _finished, names_file=False),
    FuzzedReader("results and hypotheses", _run_files(), _results),
    FuzzedReader("tables of domains", {"domains.json": _domains_file()}, _domains),
    FuzzedReader("records of models, vectors and stages",
        {
            "config.json": b'{"model_type": "whisper", "d_model": 64}',
            "provenance.json": json.dumps(PROVENANCE).encode(),
            "vector.json": json.dumps(VECTOR).encode(),
            "stage.json": json.dumps({"name": "s", "seconds": 1.5, "made": {"command": "c"}, "files": {}}).encode(),
            "texts.jsonl": json_lines([{"id": "1", "text": "said é", "domain": "d"}]),
        },
        _records,
        names_file=False,
    ),
    FuzzedReader(
        "programs, vectors and voices of engines",
        {
            "mytts.yaml": b"command: [mytts, '{text_file}', '{out}']\nvoices: [a, b]\ntimeout_s: 5\n",
            "mytts.toml": b'command = ["mytts", "{text_file}", "{out}"]\nlanguages = ["de"]\n',
            "vectors/one.json": json.dumps({"a": [0.1] * 512, "b": [0.2] * 512}).encode(),
            "voices/v.onnx.json": json.dumps(VOICE).encode(),
            "voices/v.onnx": b"a model",
        },
        _engine_files,
        names_file=False,
    ),
    FuzzedReader(
        "words that are spoken and scored",
        {"said.txt": SAID.encode()},
        _spoken,
        names_file=False,
    ),
)  # fmt: skip
