"""OpenAI `.pt` files and `pytorch_model.bin`, read without running code in them, and bounded by their size."""

from __future__ import annotations

import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from speech_analogy.errors import CheckpointError
from speech_analogy.merging.io.header import DTYPE_NAMES

CONTAINERS = ("model_state_dict", "state_dict", "model")
"""Keys under which training programs put the weights; `model_state_dict` is OpenAI Whisper's."""
MOST_OPERATIONS = 300_000  # of a pickle; a tensor takes about 40
LENGTHS_IN_HEADER = 26  # bytes before the lengths of name and extra field in a record's own header
LEGACY_PICKLES = 5  # in a file from before PyTorch 1.6: magic number, version, system, content, names of storages
TIMES_SHARED = 4  # tensors may share their numbers, such as tied weights, up to so many times the file
PLAIN_GLOBALS = re.compile(
    r"collections (?:OrderedDict|defaultdict)|_codecs encode|(?:builtins|__builtin__) (?:set|dict|list)"
    r"|torch(?:\.storage)? (?:\w+Storage|Size|device|float\w+|bfloat16|half|double|u?int\d+|bool)"
    r"|torch\._utils (?:_rebuild_tensor|_rebuild_tensor_v[23]|_rebuild_parameter)|torch\.nn\.parameter Parameter"
)
"""What a file of dense tensors names; torch's reader would build sparse, quantised and empty ones of any size too."""
OTHER_TENSORS = re.compile(r"_rebuild_(?:qtensor|sparse|nested|meta|device|wrapper)|quantized|Q\w+Storage")


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a PyTorch file, memory-mapped where its format allows it (zip, since PyTorch 1.6).

    Raises:
        CheckpointError: code in the file, a broken or compressed file, no tensors in it, or tensors that are sparse,
            quantised, complex, or larger than the file.
    """
    try:
        zipped = zipfile.is_zipfile(path)
        records = _check_archive(path) if zipped else _check_stream(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise _code(path, found[1] if found else str(error).splitlines()[0][:120]) from None
    except OSError as error:
        raise CheckpointError(f"the file must be readable: {error.strerror}", file=path) from None
    except Exception as error:  # torch raises RuntimeError, ValueError, EOFError, KeyError, ... on broken files
        raise CheckpointError(
            f"not a readable PyTorch file: {type(error).__name__}: {str(error)[:120]}",
            file=path,
            do="copy the file again",
        ) from None
    tensors = _tensors(path, content)
    if zipped and not _lie_in(records, tensors):
        raise CheckpointError("records must have the sizes that are claimed", file=path, do="copy the file again")
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _check_archive(path: Path) -> dict[int, int]:
    """Records as torch writes them: stored, each once, little-endian; torch maps compressed ones as they are.

    Returns:
        Where in the file each record's content begins, and its bytes.
    """
    places: dict[int, int] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        records = archive.infolist()
        names = [record.filename for record in records]
        for record in records:
            if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
                do = "unpack it and save it again with torch.save"
                raise CheckpointError("its records must not be compressed", file=path, field=record.filename, do=do)
            file.seek(record.header_offset + LENGTHS_IN_HEADER)
            name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
            places[file.tell() + name_bytes + extra_bytes] = record.file_size
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise CheckpointError("a record must occur once", file=path, field=twice, do="copy the file again")
        for name in names:
            if name.endswith("/byteorder") and archive.read(name).strip() != b"little":
                raise CheckpointError("must be little-endian", file=path, field=name, do="save it again here")
            if name.endswith(".pkl"):
                with archive.open(name) as stream:
                    _check_pickle(path, stream, None)
    return places


def _lie_in(records: Mapping[int, int], tensors: Mapping[str, Tensor]) -> bool:
    """Whether each storage is a record, whole: torch, which maps the file, would read on into the next one."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    storages = {at: nbytes for at, nbytes in storages.items() if nbytes}
    first = min(storages, default=0)
    return not storages or any(
        all(records.get(at - first + offset) == nbytes for at, nbytes in storages.items())
        for offset, size in records.items()
        if size == storages[first]
    )


def _check_stream(path: Path) -> dict[int, int]:
    """The pickles at the head of a file from before PyTorch 1.6; no number in them may exceed the file's bytes.

    Returns:
        Nothing: it has no records.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        for number in range(LEGACY_PICKLES):
            _check_pickle(path, stream, size if number > 2 else None)
    return {}


def _check_pickle(path: Path, stream: IO[bytes], largest: int | None) -> None:
    """Read the operations of one pickle without doing any of them."""
    highest = 0
    for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if count > MOST_OPERATIONS:
            raise CheckpointError(f"a pickle must have at most {MOST_OPERATIONS} operations", file=path)
        if operation.name in ("GLOBAL", "INST") and not PLAIN_GLOBALS.fullmatch(str(argument)):
            if OTHER_TENSORS.search(str(argument)):
                raise CheckpointError("tensors must be dense and not quantised", file=path, value=argument)
            raise _code(path, str(argument).replace(" ", "."))
        if operation.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            raise _code(path, operation.name)
        if largest is not None and isinstance(argument, int):
            highest = max(highest, argument)
    if largest is not None and highest > largest:
        rule = f"numbers must not exceed the file of {largest} bytes"
        raise CheckpointError(rule, file=path, value=highest, do="copy the file again")


def _code(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        "a checkpoint must hold only tensors, no code",
        file=path,
        value=found,
        do="ask its author for safetensors; this file is not loaded",
    )


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for key in CONTAINERS:
            if isinstance(content.get(key), Mapping):
                content = content[key]
                break
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError("a checkpoint must map names to tensors", file=path, value=type(content).__name__)
    size, claimed = path.stat().st_size, 0
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                "a checkpoint must map names to tensors",
                file=path,
                field=str(name),
                value=type(value).__name__,
            )
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise CheckpointError("tensors must be dense and not quantised", file=path, field=name)
        if value.dtype not in DTYPE_NAMES:
            raise CheckpointError(
                f"dtype must be one of {', '.join(DTYPE_NAMES.values())}", file=path, field=name, value=value.dtype
            )
        claimed += value.numel() * value.dtype.itemsize
        if value.numel() * value.dtype.itemsize > value.untyped_storage().nbytes() or claimed > TIMES_SHARED * size:
            raise CheckpointError(
                f"tensors must not be larger than what is stored in the file of {size} bytes",
                file=path,
                field=name,
                value=tuple(value.shape),
                do="save them again as contiguous tensors",
            )
    return dict(content)
