"""Engines made of published weights: where the weights come from, and what they are run on.

Nothing here imports torch or transformers before a model is loaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from speech_analogy.errors import SynthesisError, one_line
from speech_analogy.foundation.model_files import require_measured, require_modest_config
from speech_analogy.foundation.options import Options
from speech_analogy.plain_text import masked

if TYPE_CHECKING:
    import torch

HUB_PROBE_S = 5.0
REVISION_DIGITS = 12  # of a commit or of a folder's sha256
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pth")
FALSE_WORDS = ("", "0", "false", "no")


class Hardware(Options):
    """What a model is run on, and in which precision."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: a GPU if there is one")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto", description="auto: the engine's choice for the device"
    )
    offload: bool = Field(default=False, description="keep in the GPU's memory only the part that is at work")

    @classmethod
    def from_environment(cls) -> Self:
        """`$DATA_SYNTH_DEVICE`, `$DATA_SYNTH_DTYPE` and `$DATA_SYNTH_OFFLOAD`.

        Raises:
            ConfigError: one of them is not a device or a precision.
        """
        values: dict[str, Any] = {
            name: value for name in ("device", "dtype") if (value := os.environ.get(f"DATA_SYNTH_{name.upper()}"))
        }
        values["offload"] = os.environ.get("DATA_SYNTH_OFFLOAD", "").lower() not in FALSE_WORDS
        return cls.parse(values)

    def torch_device(self) -> torch.device:
        """The device, `auto` decided.

        Raises:
            SynthesisError: a GPU is asked for and torch sees none.
        """
        import torch

        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise SynthesisError("torch sees no such device", field="device", value=self.device, do="use auto or cpu")
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(automatic if self.device == "auto" else self.device)

    def torch_dtype(self, on_gpu: str) -> torch.dtype:
        """The precision, `auto` decided: `on_gpu` on a GPU, float32 elsewhere."""
        import torch

        automatic = on_gpu if self.torch_device().type == "cuda" else "float32"
        chosen: torch.dtype = getattr(torch, automatic if self.dtype == "auto" else self.dtype)
        return chosen


@dataclass(frozen=True)
class WeightsSource:
    """Where one checkpoint lies: a folder, or one commit of a repository on the model hub."""

    engine: str
    variable: str
    name: str
    commit: str | None  # None: a folder

    @property
    def revision(self) -> str:
        """What it holds, for a clip's key: the repository's commit, or the sha256 of the folder's files."""
        if self.commit is None:
            return f"weights {folder_digest(Path(self.name))}"
        return f"{self.name}@{self.commit[:REVISION_DIGITS]}"

    def load(self, loader: Callable[..., Any], **arguments: Any) -> Any:
        """`loader(name, ...)`, such as a class's `from_pretrained`: from this machine, or else from the hub.

        Raises:
            SynthesisError: the weights are missing or broken, or not here while no hub can be reached.
        """
        if self.commit is not None:
            arguments["revision"] = self.commit
        try:
            self._measure(getattr(loader, "__self__", None))
            try:
                return loader(self.name, local_files_only=True, **arguments)
            except OSError:
                if self.commit is None:
                    raise
            require_hub(self.engine, self.name, self.variable)
            return loader(self.name, **arguments)
        except SynthesisError:
            raise
        except Exception as error:  # each format of weights has errors of its own
            raise SynthesisError(
                f"it cannot be loaded: {one_line(error)}", field=self.engine, value=self.name
            ) from None

    def _measure(self, model_class: Any) -> None:
        """Refuse a model that is larger than its weights, before transformers reserves memory for it."""
        if self.commit is not None or not any(
            hasattr(model_class, name) for name in ("from_config", "base_model_prefix")
        ):
            return  # a repository that the user named, or tokenizers and the like
        folder = Path(self.name)
        require_modest_config(folder, error=SynthesisError)
        require_measured(folder, lambda: _built(model_class, folder), error=SynthesisError)

    def file(self, name: str) -> Path | None:
        """One small file of the checkpoint; None where it has none of that name.

        Raises:
            SynthesisError: it is not on this machine, and no hub can be reached.
        """
        if self.commit is None:
            path = Path(self.name) / name
            return path if path.is_file() else None
        return _hub_file(self, name, self.commit)


def _built(model_class: Any, folder: Path) -> Any:
    """A model of random weights as its config says; the class may be one of transformers' that find the class."""
    from transformers import AutoConfig

    if hasattr(model_class, "from_config"):
        return model_class.from_config(AutoConfig.from_pretrained(folder))
    return model_class(model_class.config_class.from_pretrained(folder))


def find_source(engine: str, variable: str, default: str) -> WeightsSource:
    """The checkpoint that the environment names in `variable` (a folder or a hub id), or `default` (a hub id).

    Raises:
        SynthesisError: the folder is no model's, or the hub's repository is neither on this machine nor to be had.
    """
    name = os.environ.get(variable) or default
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise SynthesisError("a model folder must have a config.json", file=folder, field=variable)
        if not any(file.suffix in WEIGHT_SUFFIXES for file in folder.iterdir()):
            raise SynthesisError("a model folder must have weights (.safetensors)", file=folder, field=variable)
        return WeightsSource(engine, variable, str(folder.resolve()), None)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        do = f"give a folder or a hub id such as {default}"
        raise SynthesisError("there is no such folder", field=variable, value=name, do=do)
    config = _hub_file(WeightsSource(engine, variable, name, None), "config.json", None)
    if config is None:
        raise SynthesisError("the repository has no config.json", field=variable, value=name)
    return WeightsSource(engine, variable, name, config.parent.name)


def require_hub(engine: str, name: str, variable: str) -> None:
    """Raise SynthesisError at once where the model hub cannot be reached."""
    if reason := hub_silence():
        raise SynthesisError(
            f"its weights are not on this machine, and no model hub can be reached ({reason})",
            field=engine,
            value=name,
            do=f"set {variable} to a folder that holds them",
        )


def whole_number(variable: str, default: int) -> int:
    """A whole number from 1 that the environment may give.

    Raises:
        SynthesisError: it is something else.
    """
    given = os.environ.get(variable) or str(default)
    if not given.isdecimal() or int(given) < 1:
        raise SynthesisError("must be a whole number from 1", field=variable, value=given)
    return int(given)


@cache
def hub_silence() -> str:
    """Why the hub cannot be reached; empty where it answers. Asked once a process, for 5 s at most."""
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    endpoint = huggingface_hub.constants.ENDPOINT
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=HUB_PROBE_S).close()
    except urllib.error.HTTPError:
        return ""  # it answered
    except OSError as error:
        return masked(f"{endpoint} does not answer: {getattr(error, 'reason', error)}")
    except (HTTPException, ValueError):  # it may quote a password
        return masked(f"{endpoint} is no address")
    return ""


def _hub_file(source: WeightsSource, file: str, commit: str | None) -> Path | None:
    """The file's path in the hub's cache; fetched where it is not there yet."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.hf_hub_download(source.name, file, revision=commit, local_files_only=True))
    except LocalEntryNotFoundError:
        require_hub(source.engine, source.name, source.variable)
    try:
        return Path(huggingface_hub.hf_hub_download(source.name, file, revision=commit))
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SynthesisError(f"the hub refuses it: {reason}", field=source.engine, value=source.name) from None


@cache
def folder_digest(folder: Path) -> str:
    """The sha256 of a folder's files, by name and content: 12 digits. Read once a process."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()[:REVISION_DIGITS]
