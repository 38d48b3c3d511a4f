"""What an executor is: something that does stages, here or elsewhere; found by the group `speech_analogy.executors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from speech_analogy.adaptation.plan.stage import Stage
from speech_analogy.errors import ConfigError, SpeechAnalogyError
from speech_analogy.foundation.plugins import Plugins


class RunError(SpeechAnalogyError):
    """A run's folder cannot be worked in, or whoever did a stage died."""


@dataclass(frozen=True)
class Job:
    """One stage to be done: all that `run_stage` needs, wherever it runs.

    Attributes:
        stage: with its parameters, and the resources that it asks for.
        building: the folder that is filled.
        final: what it is renamed to when it is whole.
        inputs: stage -> folder, of every stage that this one reads.
        made_elsewhere: the same stage, finished, in another run: it is taken over.
        progress: whether it is shown.
        command: what the user typed, for the record.
    """

    stage: Stage
    building: Path
    final: Path
    inputs: dict[str, Path]
    made_elsewhere: Path | None
    progress: bool
    command: str = ""


@dataclass(frozen=True)
class Finished:
    """A job that has ended, and the error that ended it."""

    name: str
    error: BaseException | None = None


class Executor(Protocol):
    """Does jobs by calling `run_stage` on each, in whatever place; entered before the first job, left after the last.

    Attributes:
        slots: how many jobs are at work at once.
        place: in words, for estimates: "2 cores".
    """

    slots: int
    place: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def submit(self, job: Job) -> None:
        """Begin a job; called for at most `slots` jobs at a time."""

    def wait(self, timeout_s: float) -> list[Finished]:
        """The jobs that have ended since the last call; waits for one, but no longer than `timeout_s`."""

    def cancel(self) -> None:
        """End all jobs at once; what they have built stays for the next start."""


class ExecutorFactory(Protocol):
    """Makes an executor; entry points name one. It starts nothing before it is entered."""

    def __call__(self, slots: int | None, options: Mapping[str, str]) -> Executor:
        """An executor.

        Args:
            slots: jobs at once; None: what the place has.
            options: as given behind its name on the command line.

        Raises:
            ConfigError: an option that it does not have.
        """


EXECUTORS: Plugins[ExecutorFactory] = Plugins("speech_analogy.executors", "executor", "--executor")
LOCAL = "local"


def make_executor(spec: str = LOCAL, slots: int | None = None) -> Executor:
    """The executor that a specification names: `local`, or `NAME:KEY=VALUE,KEY=VALUE`.

    Raises:
        ConfigError: there is no such executor, or its options are wrong.
    """
    name, _, rest = spec.partition(":")
    options = {}
    for pair in filter(None, rest.split(",")):
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise ConfigError("options must be KEY=VALUE,KEY=VALUE", field="--executor", value=spec)
        options[key] = value
    return EXECUTORS.load(name)(slots, options)
