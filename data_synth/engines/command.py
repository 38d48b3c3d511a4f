"""Any text-to-speech program, by a template of its command line: one process per clip, an audio file back.

    DATA_SYNTH_COMMAND='mytts --voice {voice} --speed {speed} --seed {seed} --text {text_file} --out {out}'

or `DATA_SYNTH_COMMAND_FILE=mytts.yaml` (or .toml) with the fields of `CommandOptions`. No shell is run: the
template is parted into arguments before anything is put in, so a text or a voice can add none.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import string
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
from pydantic import Field, ValidationError, field_validator

from data_synth.audio.samples import Samples, Waveform
from data_synth.engines.base import BaseEngine, Utterance, number
from data_synth.engines.support.dying_with import running_program
from data_synth.engines.support.pace import at_speed
from data_synth.engines.support.voice_facts import VoiceFacts
from speech_analogy.errors import ConfigError, SynthesisError
from speech_analogy.foundation.digests import canonical_json
from speech_analogy.foundation.options import Options, config_error
from speech_analogy.foundation.suggest import nearest
from speech_analogy.foundation.user_files.plain import read_text
from speech_analogy.foundation.user_files.yaml_text import MOST_YAML_BYTES, parse_yaml
from speech_analogy.plain_text import plain, typed_secrets

COMMAND_VARIABLE, FILE_VARIABLE = "DATA_SYNTH_COMMAND", "DATA_SYNTH_COMMAND_FILE"
PLACEHOLDERS = ("text_file", "out", "voice", "speed", "seed")
COMPLAINT_CHARACTERS = 200  # of a program's complaint
COMMAND_DIGITS = 12  # of the sha256 of template and program


class CommandOptions(Options):
    """A program and what is known of it.

    `command` is a line, parted as a shell would, or a list of arguments; `{{` stands for a brace. The text is in
    `{text_file}` (UTF-8, a newline at its end) and on the program's input; the program writes `{out}`, a WAV or any
    file that libsndfile reads. Where the template has no `{seed}`, seeds change nothing; where it has no `{speed}`,
    the clip is resampled.
    """

    command: tuple[str, ...] = Field(min_length=1)
    voices: tuple[str, ...] = Field(default=("default",), min_length=1, description="for {voice}")
    languages: tuple[str, ...] = Field(default=(), description="that it speaks, e.g. de; none: not known")
    timeout_s: float = Field(default=120.0, gt=0.0, description="a program that takes longer for one text is killed")
    deterministic: bool = Field(default=True, description="the same text, voice, speed and seed give the same samples")
    revision: str = Field(default="", description="enters the clips' keys beside the sha256 of template and program")

    @field_validator("command", mode="before")
    @classmethod
    def _split(cls, command: object) -> object:
        return tuple(shlex.split(command)) if isinstance(command, str) else command

    @field_validator("command")
    @classmethod
    def _check(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        used = _placeholders(command)
        for name in used:
            if name not in PLACEHOLDERS:
                raise ValueError(f"there is no placeholder {{{name}}}: {nearest(name, PLACEHOLDERS)}")
        if "out" not in used:
            raise ValueError("the command must name {out}, the file it is to write")
        return command

    @field_validator("voices", "languages", mode="before")
    @classmethod
    def _one_or_more(cls, names: object) -> object:
        return tuple(names.split(",")) if isinstance(names, str) else names


class CommandEngine(BaseEngine):
    """The program of `$DATA_SYNTH_COMMAND` or `$DATA_SYNTH_COMMAND_FILE`; parameters: `speed`.

    A missing program is reported when voices are resolved. One that hangs, fails, or writes nothing, an empty
    file, no audio or numbers that are not finite, makes this clip a failure with that reason.
    """

    name = "command"
    parameter_ranges: ClassVar = {"speed": (0.25, 4.0)}

    def __init__(self, options: CommandOptions | None = None) -> None:
        self.options = options or options_from_environment()
        used = _placeholders(self.options.command)
        self.seeded, self._has_speed = "seed" in used, "speed" in used
        self.deterministic = self.options.deterministic
        self.revision = f"command {_revision(self.options)}"

    def voices(self) -> tuple[str, ...]:
        """The voices of the options; `default` where they name none."""
        return self.options.voices

    def about(self, voice: str) -> VoiceFacts:
        """As the options say."""
        return VoiceFacts(self.options.languages)

    def resolve(self, selection: str) -> tuple[str, ...]:
        """See `Engine.resolve`; the program must be there."""
        if shutil.which(self.options.command[0]) is None:
            raise SynthesisError("the program is not installed", field=self.name, value=self.options.command[0])
        return super().resolve(selection)

    def speak(self, utterance: Utterance) -> Waveform:
        """Speak one utterance.

        Raises:
            RuntimeError: the program is missing, failed, hung, or wrote no usable audio; one line.
        """
        speed = number(utterance.parameters, "speed", 1.0)
        with tempfile.TemporaryDirectory(prefix="data_synth-") as temporary:
            folder = Path(temporary)
            text_file, out = folder / "text.txt", folder / "clip.wav"
            text_file.write_text(utterance.text + "\n", encoding="utf-8")
            values = {"text_file": text_file, "out": out, "voice": utterance.voice, "seed": utterance.seed}
            arguments = [part.format(**values, speed=f"{speed:g}") for part in self.options.command]
            _run(arguments, text_file, folder / "complaint.txt", self.options.timeout_s)
            samples, rate = _read(out)
        return Waveform(samples if self._has_speed else at_speed(samples, rate, speed), rate)


def options_from_environment() -> CommandOptions:
    """The options that the environment names.

    Raises:
        SynthesisError: neither variable is set, or both are.
        ConfigError: the template or the file is not what it must be.
    """
    line, file = os.environ.get(COMMAND_VARIABLE), os.environ.get(FILE_VARIABLE)
    if bool(line) == bool(file):
        found = "both" if line else "neither"
        do = f"set {COMMAND_VARIABLE}='mytts {{text_file}} {{out}}', or {FILE_VARIABLE} to a .yaml or .toml file"
        raise SynthesisError("one variable must name the program", field="command", value=found, do=do)
    return CommandOptions.parse({"command": line}) if line else read_options(Path(str(file)))


def read_options(path: Path) -> CommandOptions:
    """Options from a .yaml, .yml or .toml file.

    Raises:
        ConfigError: the file is missing or broken, a key is unknown, or a value breaks its rule.
    """
    try:
        text = read_text(path, ConfigError, most_bytes=MOST_YAML_BYTES)
        values: Any = tomllib.loads(text) if path.suffix == ".toml" else parse_yaml(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"it cannot be read: {error}", file=path) from None
    if not isinstance(values, Mapping):
        raise ConfigError("must hold keys and values", file=path, value=type(values).__name__)
    try:
        return CommandOptions.model_validate(values)
    except ValidationError as error:
        raise config_error(error, CommandOptions, path) from None


def _run(arguments: list[str], text_file: Path, complaint: Path, timeout_s: float) -> None:
    """Run a program to its end; at the timeout, or when this process ends, it is killed with all it has started."""
    with text_file.open("rb") as text, complaint.open("wb") as errors:
        try:
            with running_program(arguments, text, errors) as process:
                status = process.wait(timeout_s)
        except OSError as error:
            raise RuntimeError(f"the program cannot be started: {error.strerror}: {arguments[0]}") from None
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"no answer within {timeout_s:g} s") from None
    if status != 0:
        told = complaint.read_text(encoding="utf-8", errors="replace")
        said = plain(told, *typed_secrets(arguments))[-COMPLAINT_CHARACTERS:]  # masked before it is cut
        raise RuntimeError(f"exit status {status}: {said or 'the program says nothing'}")


def _read(out: Path) -> tuple[Samples, int]:
    """Samples (samples,), channels averaged, and their rate."""
    if not out.is_file() or out.stat().st_size == 0:
        raise RuntimeError("no audio was written")
    try:
        samples, rate = soundfile.read(out, dtype="float32", always_2d=True)  # (samples, channels)
    except (RuntimeError, ValueError) as error:
        raise RuntimeError(f"what was written is no audio: {str(error).rpartition(': ')[2]}") from None
    if not len(samples):
        raise RuntimeError("the audio that was written is empty")
    if not np.isfinite(samples).all():
        raise RuntimeError("the audio that was written has numbers that are not finite")
    return samples.mean(axis=1), int(rate)


def _placeholders(command: tuple[str, ...]) -> tuple[str, ...]:
    """The names in braces.

    Raises:
        ValueError: a brace stands alone, or has no plain name in it.
    """
    fields = [field for part in command for _, field, _, _ in string.Formatter().parse(part) if field is not None]
    for part in command:
        if any(form or conversion for _, _, form, conversion in string.Formatter().parse(part)):
            raise ValueError(f"a placeholder is a plain name in braces, not as in {part!r}")
    return tuple(fields)


def _revision(options: CommandOptions) -> str:
    """12 digits that change with the template, the program's file and every file that the template names."""
    total = hashlib.sha256(canonical_json([*options.command, options.revision]).encode())
    program = shutil.which(options.command[0])
    for name in (program or options.command[0], *options.command[1:]):
        if Path(name).is_file():
            with Path(name).open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return " ".join((options.revision, total.hexdigest()[:COMMAND_DIGITS])).strip()
