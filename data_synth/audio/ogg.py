"""Ogg streams made reproducible: a fixed serial number, checksums redone."""

from __future__ import annotations

_OGG_MAGIC = b"OggS"


_OGG_SERIAL, _OGG_CHECKSUM, _OGG_SEGMENTS, _OGG_HEADER_BYTES = 14, 22, 26, 27  # offsets in a page (RFC 3533)


_OGG_POLYNOMIAL = 0x04C11DB7


def with_fixed_serial(stream: bytes) -> bytes:
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
