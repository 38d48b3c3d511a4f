"""What a result was measured with: the command, package versions and the machine."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from pydantic import Field

from speech_analogy.foundation.machine import cores, processor, visible_gpus
from speech_analogy.foundation.options import Options

TOOLKIT = "speech-analogy"
PACKAGES = (TOOLKIT, "torch", "transformers", "accelerate", "lhotse", "openai-whisper", "jiwer")
"""Those that results name."""
NAMED_STAGES = 6  # of those that were made otherwise: more are counted
UNUSED_EXTRAS = ("test", "benchmarks")  # what they bring makes no result


def package_versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """The toolkit's version, and those of all libraries that it declares and that are installed, Python's first."""
    declared = [Requirement(line) for line in requires(TOOLKIT) or ()]
    used = {one.name for one in declared if not any(f'"{extra}"' in str(one.marker) for extra in UNUSED_EXTRAS)}
    found = package_versions()
    for name in sorted(used - set(PACKAGES)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of an extra that is not installed
            continue
    return found


def machine_record() -> dict[str, str]:
    import torch  # heavy: a report needs none

    machine = {"processor": processor(), "cores": str(cores()), "system": platform.system()}
    names = [torch.cuda.get_device_name(number) for number in range(len(visible_gpus()))]
    return {**machine, **({"gpus": ", ".join(names)} if names else {})}


class Making(Options):
    """What made stages of a run."""

    stages: list[str] = Field(default_factory=list, description="their names")
    command: str = Field(default="", description="as it was typed; empty where it is not known")
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str] = Field(default_factory=dict)

    def shown(self) -> dict[str, str]:
        """The versions that results name."""
        return {name: self.versions[name] for name in ("python", *PACKAGES) if name in self.versions}


def differences(made: Sequence[Making]) -> list[str]:
    """A line for each making of a run: which stages, and what is known not to be the same for all of them."""
    facts = [{"command": one.command, **one.machine, **one.versions} for one in made]
    names = dict.fromkeys(name for own in facts for name in own)
    differing = [name for name in names if len({own[name] for own in facts if name in own}) > 1]
    lines = []
    for one, own in zip(made, facts, strict=True):
        said = ", ".join(f"{name} {own.get(name) or 'not known'}" for name in differing)
        lines.append(f"{_stages(one.stages)}: {said}")
    return lines


def _stages(names: Sequence[str]) -> str:
    count = f"{len(names)} stage{'' if len(names) == 1 else 's'}"
    return f"{count} ({', '.join(names)})" if len(names) <= NAMED_STAGES else count
