"""Clips on disk: resampled, encoded to the same bytes for the same samples, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import soundfile
import soxr

from data_synth.engines.base import Samples

Storage: TypeAlias = Literal["flac", "opus"]

CLIPS_FOLDER = "clips"
REJECTED_FOLDER = "rejected"
PARTIAL_SUFFIX = ".partial"
PEAK = 0.99  # of full scale: a clip that is louder is scaled down, not cut off

_FORMATS: dict[Storage, tuple[str, str]] = {"flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS")}
_OGG_MAGIC = b"OggS"
_OGG_SERIAL, _OGG_CHECKSUM, _OGG_SEGMENTS, _OGG_HEADER_BYTES = 14, 22, 26, 27  # offsets in a page (RFC 3533)
_OGG_POLYNOMIAL = 0x04C11DB7


def resample(samples: Samples, rate: int, target_rate: int) -> Samples:
    """Samples (samples,) at `target_rate` Hz, their peak kept below full scale."""
    if rate != target_rate:
        samples = soxr.resample(samples, rate, target_rate)
    return limit_peak(samples)


def limit_peak(samples: Samples) -> Samples:
    """Samples (samples,) scaled down, as a whole, where their peak is above 0.99 of full scale."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > PEAK:
        samples = samples * np.float32(PEAK / peak)
    return np.ascontiguousarray(samples, dtype=np.float32)


def encode(samples: Samples, rate: int, storage: Storage) -> bytes:
    """Samples (samples,) as a file's bytes: FLAC (16 bit) or Ogg Opus (lossy, about 8 times smaller)."""
    container, subtype = _FORMATS[storage]
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    encoded = buffer.getvalue()
    return _with_fixed_serial(encoded) if container == "OGG" else encoded


def clip_path(key: str, storage: Storage) -> str:
    """Where the clip of a key lies in its folder: `clips/ab/abcd….flac`."""
    return f"{CLIPS_FOLDER}/{key[:2]}/{key}.{storage}"


def write_whole(path: Path, content: bytes) -> None:
    """Write under a temporary name, then rename; folders are made as needed."""
    temporary = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        temporary.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
    temporary.replace(path)


def exists(path: Path) -> bool:
    """Whether a clip is there and not empty."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def sweep_partials(out: Path) -> None:
    """Remove what a killed run was writing."""
    for folder in (CLIPS_FOLDER, REJECTED_FOLDER):
        for partial in (out / folder).glob(f"*/*{PARTIAL_SUFFIX}"):
            partial.unlink(missing_ok=True)
    for partial in out.glob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)


def sha256(content: bytes) -> str:
    """The sha256 of bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _with_fixed_serial(stream: bytes) -> bytes:
    """An Ogg stream whose serial number, which libsndfile draws by the clock, is 1; checksums are redone."""
    out = bytearray(stream)
    at = 0
    while out[at : at + 4] == _OGG_MAGIC:
        segments = out[at + _OGG_SEGMENTS]
        body = sum(out[at + _OGG_HEADER_BYTES : at + _OGG_HEADER_BYTES + segments])
        end = at + _OGG_HEADER_BYTES + segments + body
        out[at + _OGG_SERIAL : at + _OGG_SERIAL + 4] = (1).to_bytes(4, "little")
        out[at + _OGG_CHECKSUM : at + _OGG_CHECKSUM + 4] = bytes(4)
        checksum = _ogg_checksum(bytes(out[at:end]))
        out[at + _OGG_CHECKSUM : at + _OGG_CHECKSUM + 4] = checksum.to_bytes(4, "little")
        at = end
    return bytes(out)


def _ogg_table() -> list[int]:
    table = []
    for byte in range(256):
        remainder = byte << 24
        for _ in range(8):
            remainder = (remainder << 1) ^ (_OGG_POLYNOMIAL if remainder & 0x80000000 else 0)
        table.append(remainder & 0xFFFFFFFF)
    return table


_OGG_TABLE = _ogg_table()


def _ogg_checksum(page: bytes) -> int:
    """The page checksum of RFC 3533: CRC-32, polynomial 0x04C11DB7, no reflection, no inversion."""
    remainder = 0
    for byte in page:
        remainder = ((remainder << 8) & 0xFFFFFFFF) ^ _OGG_TABLE[(remainder >> 24) ^ byte]
    return remainder
