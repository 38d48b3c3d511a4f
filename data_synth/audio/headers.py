"""Whether a WAV or FLAC file's header agrees with the file: decoders believe it, whatever it says.

Sources: the RIFF WAVE chunks of Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (1991);
RFC 9639 for FLAC.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from data_synth.audio.flac_frames import samples_of_frames

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # format tags whose bytes a second follow from the rate
STREAMED_BYTES = 0x7FFF_F000  # writers that cannot go back leave so large a size, or larger
STREAMINFO_BYTES = 34
FLAC_RATES_HZ = {1: 88200, 2: 176400, 3: 192000, 4: 8000, 5: 16000, 6: 22050, 7: 24000, 8: 32000}
FLAC_RATES_HZ |= {9: 44100, 10: 48000, 11: 96000}  # by the code in a frame's header

CUT_OFF = "the audio is truncated: its header says that there is more"
MORE_THAN_SAID = "the audio's header says that there is less than the file holds"


def header_problem(path: Path) -> str | None:
    """What of a file's header cannot be true; None where nothing is wrong, or the format is another one."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
            if start[:4] == b"RIFF" and start[8:] == b"WAVE":
                return _of_wav(file, path.stat().st_size)
            if start[:4] == b"fLaC":
                file.seek(4)
                return _of_flac(file)
    except (OSError, struct.error, IndexError):  # whoever decodes it says what is wrong
        return None
    return None


def _of_wav(file: BinaryIO, size: int) -> str | None:
    while len(head := file.read(8)) == 8:
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        start = file.tell()
        if name == b"fmt ":
            tag, _, rate, byte_rate, block = struct.unpack("<HHIIH", file.read(14))
            if tag in (PCM, FLOAT, EXTENSIBLE) and byte_rate and byte_rate != rate * block:
                return f"the audio's header contradicts itself: {rate} Hz, but {byte_rate} bytes a second"
        if name == b"data":
            return _of_data(file, length, size - start)
        file.seek(start + length + length % 2)
    return None


def _of_data(file: BinaryIO, length: int, left: int) -> str | None:
    if length >= STREAMED_BYTES:
        return None
    if length > left:
        return CUT_OFF
    file.seek(length + length % 2, 1)
    behind = file.read(4)
    if left - length > 8 and not (len(behind) == 4 and all(32 <= byte < 127 for byte in behind)) and any(behind):
        return MORE_THAN_SAID
    return None


def _of_flac(file: BinaryIO) -> str | None:
    rate = said = block = 0
    last = False
    while not last:
        kind, length = (head := file.read(4))[0], int.from_bytes(head[1:], "big")
        last = bool(kind & 0x80)
        if kind & 0x7F == 0 and length == STREAMINFO_BYTES:
            info = file.read(STREAMINFO_BYTES)
            block = int.from_bytes(info[:2], "big")
            rate = int.from_bytes(info[10:13], "big") >> 4  # 20 bits
            said = int.from_bytes(info[13:18], "big") & 0xF_FFFF_FFFF  # samples; 0: unknown
        else:
            file.seek(length, 1)
    frame = file.read(4)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xFC != 0xF8:
        return None
    of_frame = FLAC_RATES_HZ.get(frame[2] & 0x0F)  # other codes say "as above", or the rate at the header's end
    if of_frame is not None and of_frame != rate:
        return f"the audio's header says {rate} Hz, and its frames {of_frame} Hz"
    held = samples_of_frames(file, block) if said else None
    return MORE_THAN_SAID if held is not None and held > said else None
