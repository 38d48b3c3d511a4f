"""Speakers as x-vectors: given ones, and those of reference speech, computed by an x-vector model of transformers.

SpeechT5's published weights were trained on x-vectors of SpeechBrain's `spkrec-xvect-voxceleb`. Those of the models
here (WavLM, UniSpeech-SAT, wav2vec 2.0 with an x-vector head) have as many numbers in another space: they are for a
SpeechT5 tuned on them, or for variety. For the published weights to speak in the reference's own voice, compute the
vectors with SpeechBrain and give them as a folder of .npy files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from data_synth.audio.recordings import find_recordings, read_recording
from data_synth.audio.samples import Samples
from data_synth.engines.support.pretrained import Hardware, WeightsSource, find_source, folder_digest
from data_synth.engines.support.voice_names import RESERVED_MARKS
from data_synth.engines.support.x_vectors import X_VECTOR_SIZE, read_x_vectors
from speech_analogy.errors import DataError, SynthesisError

X_VECTOR_MODEL = ("DATA_SYNTH_XVECTOR_MODEL", "microsoft/wavlm-base-plus-sv")
X_VECTORS_VARIABLE, REFERENCE_VARIABLE = "DATA_SYNTH_XVECTORS", "DATA_SYNTH_REFERENCE"
REFERENCE_SHORTEST_S, REFERENCE_LONGEST_S = 1.0, 30.0  # of a recording; what is longer is cut


class Speakers:
    """The x-vectors that there are: given ones, and those of reference speech."""

    def __init__(self, folder: Path | None, reference: ReferenceSpeech | None) -> None:
        self._given = read_x_vectors(folder) if folder else {}
        self._folder, self._reference = folder, reference
        computed = reference.names if reference else ()
        for name in computed:
            if name in self._given:
                rule = "an x-vector and a recording of reference speech must not have the same name"
                raise SynthesisError(rule, file=folder, value=name, do="rename one of them")
        self.names = tuple(sorted([*self._given, *computed]))

    @classmethod
    def from_environment(cls, engine: str, hardware: Hardware) -> Speakers:
        """Those of `$DATA_SYNTH_XVECTORS` and `$DATA_SYNTH_REFERENCE`.

        Raises:
            SynthesisError: neither is set, or what one names cannot be used.
        """
        folder, reference = (
            Path(given).expanduser() if (given := os.environ.get(variable)) else None
            for variable in (X_VECTORS_VARIABLE, REFERENCE_VARIABLE)
        )
        if folder is None and reference is None:
            rule = "SpeechT5 needs x-vectors, such as those of CMU Arctic (512 numbers a speaker)"
            do = (
                f"set {X_VECTORS_VARIABLE} to a folder of .npy or .json files, or {REFERENCE_VARIABLE} to one of speech"
            )
            raise SynthesisError(rule, field=engine, do=do)
        return cls(folder, ReferenceSpeech(engine, reference, hardware) if reference else None)

    @property
    def revision(self) -> str:
        """What they are made from, for a clip's key."""
        given = [f"x-vectors {folder_digest(self._folder)}"] if self._folder else []
        return ", ".join([*given, *([self._reference.revision] if self._reference else [])])

    def vector(self, name: str) -> Samples:
        """float32 (512,)."""
        if name in self._given or self._reference is None:
            return self._given[name]
        return self._reference.vector(name)


class ReferenceSpeech:
    """The recordings of a folder as speakers, named by their paths without suffix (`bdl/a0001`).

    Names are known at once; a vector is computed when it is first asked for, once a process.

    Raises:
        SynthesisError: there is no speech in the folder, a name cannot be used, or the model is not to be had.
    """

    def __init__(self, engine: str, folder: Path, hardware: Hardware) -> None:
        self.folder, self._engine, self._hardware = folder, engine, hardware
        self._files = _named(folder)
        self._source: WeightsSource | None = None
        self._loaded: tuple[Any, Any] | None = None
        self._vectors: dict[str, Samples] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The speakers, sorted."""
        return tuple(self._files)

    @property
    def revision(self) -> str:
        """The recordings' sha256 and the model's weights, for a clip's key."""
        return f"speech {folder_digest(self.folder)} by {self._find().revision}"

    def vector(self, name: str) -> Samples:
        """A speaker's x-vector: float32 (512,), of length 1.

        Raises:
            SynthesisError: the recording cannot be used, or the model cannot be loaded.
        """
        if name not in self._vectors:
            self._vectors[name] = self._compute(self._files[name])
        return self._vectors[name]

    def _compute(self, path: Path) -> Samples:
        import torch

        model, extractor = self._model()
        rate = int(extractor.sampling_rate)
        try:
            samples = read_recording(path, rate, count=round(REFERENCE_LONGEST_S * rate))
        except DataError as error:
            raise SynthesisError(error.rule, file=path, do="take it out") from None
        if len(samples) < REFERENCE_SHORTEST_S * rate or not samples.any():
            rule = f"reference speech must have {REFERENCE_SHORTEST_S:g} s and a sound"
            raise SynthesisError(rule, file=path, value=f"{len(samples) / rate:.2f} s", do="take it out")
        values = extractor(samples, sampling_rate=rate, return_tensors="pt")  # input_values: (1, samples)
        with torch.inference_mode():
            found = model(**values.to(model.device)).embeddings[0]  # (512,)
        vector: Samples = torch.nn.functional.normalize(found.float(), dim=0).cpu().numpy()
        if not np.isfinite(vector).all():
            raise SynthesisError("the model gives numbers that are not finite", file=path)
        return vector

    def _find(self) -> WeightsSource:
        if self._source is None:
            self._source = find_source(self._engine, *X_VECTOR_MODEL)
        return self._source

    def _model(self) -> tuple[Any, Any]:
        """The model and its feature extractor, in float32."""
        if self._loaded is None:
            import torch
            from transformers import AutoFeatureExtractor, AutoModelForAudioXVector

            source = self._find()
            extractor = source.load(AutoFeatureExtractor.from_pretrained)
            model = source.load(AutoModelForAudioXVector.from_pretrained, dtype=torch.float32)
            size = model.config.xvector_output_dim
            if size != X_VECTOR_SIZE:
                raise SynthesisError(f"must give x-vectors of {X_VECTOR_SIZE} numbers", file=source.name, value=size)
            self._loaded = model.eval().to(self._hardware.torch_device()), extractor
        return self._loaded


def _named(folder: Path) -> dict[str, Path]:
    """Name -> recording, sorted by name."""
    if not folder.is_dir():
        raise SynthesisError("there is no such folder of reference speech", file=folder)
    try:
        files = find_recordings((folder,))
    except DataError as error:
        raise SynthesisError(error.rule, file=folder) from None
    named: dict[str, Path] = {}
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in named or any(mark in name for mark in RESERVED_MARKS):
            rule = "names of reference speech must be distinct, without + and comma"
            raise SynthesisError(rule, file=path, value=name, do="rename the file")
        named[name] = path
    return dict(sorted(named.items()))
