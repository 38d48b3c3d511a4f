"""How many samples the frames of a FLAC file hold, by its last one; decoders stop where the file's header says.

Source: RFC 9639, sections 9.1 (frame headers) and 9.3 (frame footers).
"""

from __future__ import annotations

import os
from typing import BinaryIO, NamedTuple

LONGEST_FRAME_BYTES = 1 << 17  # that is looked for: six channels of 24 bits fit
SYNC = (0xFFF8, 0xFFF9)  # blocks of one size, and of several
BLOCK_SAMPLES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
SIZE_BYTES = {6: 1, 7: 2}  # by the code of the block's size: its bytes at the header's end
RATE_BYTES = {12: 1, 13: 2, 14: 2}
CRC8, CRC16 = 0x07, 0x8005  # polynomials


class _Frame(NamedTuple):
    number: int
    samples: int


def samples_of_frames(file: BinaryIO, block: int) -> int | None:
    """Samples a channel up to the end of the last frame; None where it is not found whole, as before a tag.

    Args:
        file: open, of any position.
        block: samples of a block, by the file's header.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST_FRAME_BYTES))
    tail = file.read()
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        frame = _header(tail[at : at + 16])
        if frame is not None:
            first = frame.number * block if tail[at + 1] & 1 == 0 else frame.number
            whole = _checksum(tail[at:], CRC16, 16) == 0  # its footer is its checksum
            return first + frame.samples if whole else None
    return None


def _header(start: bytes) -> _Frame | None:
    """A frame's header that ends in its own checksum; `start` holds all of it."""
    if len(start) < 6 or int.from_bytes(start[:2], "big") not in SYNC or start[3] & 1:
        return None
    size_code, rate_code = start[2] >> 4, start[2] & 0x0F
    length = 1 if start[4] < 0x80 else 8 - (start[4] ^ 0xFF).bit_length()  # of the number, coded as in UTF-8
    if length > 7 or (length == 1 and start[4] >= 0x80):
        return None
    number = start[4] & (0x7F if length == 1 else 0x7F >> length)
    for byte in start[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    at = 4 + length
    sized = SIZE_BYTES.get(size_code, 0)
    samples = int.from_bytes(start[at : at + sized], "big") + 1 if sized else BLOCK_SAMPLES.get(size_code, 0)
    end = at + sized + RATE_BYTES.get(rate_code, 0) + 1
    if not samples or end > len(start) or _checksum(start[:end], CRC8, 8):
        return None
    return _Frame(number, samples)


def _checksum(content: bytes, polynomial: int, bits: int) -> int:
    """0 where the last bytes are the checksum of those before them."""
    table = _TABLES[polynomial]
    value, mask = 0, (1 << bits) - 1
    for byte in content:
        value = (value << 8 & mask) ^ table[value >> bits - 8 ^ byte]
    return value


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    found = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> bits - 1 & 1 else 0)) & (1 << bits) - 1
        found.append(value)
    return tuple(found)


_TABLES = {CRC8: _table(CRC8, 8), CRC16: _table(CRC16, 16)}
