"""Calling text-to-speech programs of the operating system: one process per clip, a WAV file back."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile

from data_synth.audio.samples import Waveform
from speech_analogy.errors import SynthesisError

TIMEOUT_S = 60  # a program that takes longer for one text is hung
REPORT_CHARACTERS = 200  # of a program's complaint


def find_program(program: str, install: str) -> str:
    """The program's path.

    Raises:
        SynthesisError: it is not on the PATH.
    """
    path = shutil.which(program)
    if path is None:
        raise SynthesisError("the program is not installed", field=program, do=f"install it: {install}")
    return path


def ask(command: Sequence[str]) -> str:
    """What a program prints (both streams); an empty string where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def record(command: Callable[[str], Sequence[str]], text: str) -> Waveform:
    """Run `command(path of the WAV file to be written)` with `text` on its input, and read what it wrote.

    Raises:
        RuntimeError: the program failed, hung, or wrote no audio.
    """
    with tempfile.TemporaryDirectory(prefix="data_synth-") as folder:
        wav = Path(folder) / "clip.wav"
        try:
            done = subprocess.run(
                command(str(wav)), input=text.encode("utf-8"), capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"no answer within {TIMEOUT_S} s") from None
        if done.returncode != 0 or not wav.is_file():
            complaint = done.stderr.decode("utf-8", "replace").strip()[:REPORT_CHARACTERS]
            raise RuntimeError(f"exit status {done.returncode}: {complaint or 'no audio written'}")
        samples, rate = soundfile.read(wav, dtype="float32", always_2d=True)
    return Waveform(samples.mean(axis=1), int(rate))
