"""Where weights come from: a folder, an OpenAI `.pt`, a weights package, or the model hub."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from speech_analogy.errors import CheckpointError, WeightsUnavailableError
from speech_analogy.foundation.disk.cache_folder import cache_folder
from speech_analogy.recognisers.families import RecogniserFamily, WeightsPackage, families

HUB_TIMEOUT_S = 5.0
HASH_BLOCK_BYTES = 1 << 20
FOLDER_VERSION = 2  # of what is imported into the cache; raise it when other files are written beside the weights
_HUB_FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]


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
    for family in families() if path.suffix else ():
        if path.suffix in family.file_formats:
            return _from_file(path, family)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise CheckpointError("a model folder must have a config.json", file=path)
        return path.resolve()
    if path.exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise WeightsUnavailableError(
            "no such model",
            field="base",
            value=name,
            do=f"name a folder, an OpenAI .pt, a Hugging Face id (owner/name) or one of {_packages()}",
        )
    return _from_hub(name)


def _from_package(name: str) -> Path:
    known = name.removeprefix("pip:")
    family = next((family for family in families() if known in family.packages), None)
    if family is None or family.import_package is None:
        raise WeightsUnavailableError(
            "no such weights package", field="base", value=name, do=f"use one of {_packages()}"
        )
    package = family.packages[known]
    out = _cached(known, package)
    if out.is_dir():
        return out
    data = b"".join(_part(name, package, module, inside) for module, inside in package.parts)
    found = hashlib.sha256(data).hexdigest()
    if found != package.sha256:
        raise CheckpointError(
            f"model.bin must have sha256 {package.sha256}",
            file=name,
            value=found,
            do=f"install it again: {package.install}",
        )
    return family.import_package(data, Path(name), out, {"base": name, "sha256": found, "window": family.native_window})


def packaged_weights() -> dict[str, tuple[WeightsPackage, bool]]:
    """`pip:NAME` -> its package, and whether it can be used now: installed, or imported into the cache before."""
    return {
        f"pip:{name}": (package, _cached(name, package).is_dir() or all(_file_of(*part) for part in package.parts))
        for family in families()
        for name, package in family.packages.items()
    }


def _cached(name: str, package: WeightsPackage) -> Path:
    return cache_folder() / f"{name}-{package.sha256[:12]}-{FOLDER_VERSION}"


def _file_of(module: str, inside: str) -> Path | None:
    """A file inside an installed package; None where the package is not installed."""
    spec = importlib.util.find_spec(module)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / inside


def _packages() -> str:
    return ", ".join(f"pip:{package}" for family in families() for package in family.packages)


def _part(name: str, package: WeightsPackage, module: str, inside: str) -> bytes:
    path = _file_of(module, inside)
    if path is None:
        raise WeightsUnavailableError("its package is not installed", file=name, do=package.install)
    if not path.is_file():
        raise CheckpointError(
            "its package lacks this file", file=name, value=inside, do=f"install it again: {package.install}"
        )
    return path.read_bytes()


def _from_file(path: Path, family: RecogniserFamily) -> Path:
    if not path.is_file():
        raise CheckpointError("no such file", file=path)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(HASH_BLOCK_BYTES):
            digest.update(block)
    out = cache_folder() / f"{path.stem}-{digest.hexdigest()[:12]}-{FOLDER_VERSION}"
    if out.is_dir():
        return out
    source = {"base": path.name, "sha256": digest.hexdigest(), "window": family.native_window}
    return family.file_formats[path.suffix](path, out, source)


def _from_hub(name: str) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        pass
    except HFValidationError:
        raise CheckpointError("no such model", field="base", value=name, do="a hub's names are owner/name") from None
    _require_hub(name)
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_HUB_FILES))
    except HfHubHTTPError as error:
        message = str(error).strip().splitlines()[0]
        raise WeightsUnavailableError(f"the hub refused the request: {message}", field="base", value=name) from None


def _require_hub(name: str) -> None:
    """One short question to the hub, so that a closed network is an answer and not a minute of retries."""
    import urllib.error
    import urllib.request
    from http.client import HTTPException

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
        except (HTTPException, ValueError):  # it may quote a password
            reason = f"{endpoint} is no address"
    if reason:
        raise WeightsUnavailableError(
            f"not on this machine, and no model hub can be reached ({reason})",
            field="base",
            value=name,
            do=f"give a folder, an OpenAI .pt or one of {_packages()}",
        )
