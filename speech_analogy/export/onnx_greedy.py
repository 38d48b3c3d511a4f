"""Greedy decoding of an ONNX export in onnxruntime: what a program without torch would do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from transformers import GenerationConfig, WhisperConfig

from speech_analogy.export.onnx_folder import ENCODER, FIRST_STEP, NEXT_STEP
from speech_analogy.recognisers.whisper.front_end import WhisperFrontEnd
from speech_analogy.recognisers.windows import FULL_WINDOW_S, SAMPLING_RATE_HZ


class GreedyOnnx:
    """Samples of one recording of at most 30 s, float32, mono, 16 kHz, (samples,) -> its text.

    Args:
        folder: that `export --to onnx` wrote.
        language: of a multilingual model; English-only models take none.
    """

    def __init__(self, folder: Path, language: str = "en") -> None:
        config, generation = WhisperConfig.from_pretrained(folder), GenerationConfig.from_pretrained(folder)
        self._front = WhisperFrontEnd(folder, config, generation, language)
        self._end = config.eos_token_id
        self._never = list(generation.suppress_tokens or [])
        self._not_first = list(generation.begin_suppress_tokens or [])
        self._encoder, self._first, self._next = (_session(folder / name) for name in (ENCODER, FIRST_STEP, NEXT_STEP))

    def __call__(self, samples: np.ndarray) -> str:
        features = self._front.features([samples], FULL_WINDOW_S).numpy()  # (1, mels, 3000)
        (encoded,) = self._encoder.run(None, {"input_features": features})
        prompt = np.array([self._front.prompt], dtype=np.int64)
        found = _named(self._first, {"input_ids": prompt, "encoder_hidden_states": encoded})
        tokens: list[int] = []
        (limit,) = self._front.limits([len(samples) / SAMPLING_RATE_HZ])
        past: dict[str, Any] = {}
        while len(tokens) < limit:
            token = self._best(found["logits"][0, -1], first=not tokens)
            if token == self._end:
                break
            tokens.append(token)
            past |= {name.replace("present", "past_key_values"): found[name] for name in found if name != "logits"}
            found = _named(self._next, {"input_ids": np.array([[token]], dtype=np.int64), **past})
        return self._front.texts([tokens])[0]

    def _best(self, logits: np.ndarray, first: bool) -> int:
        """The likeliest token of those that may be written."""
        logits = logits.copy()  # (vocabulary,)
        logits[self._never + (self._not_first if first else [])] = -np.inf
        return int(logits.argmax())


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _named(session: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    return dict(zip((output.name for output in session.get_outputs()), session.run(None, inputs), strict=True))
