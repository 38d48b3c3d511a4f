"""Whether a clip is usable: duration, silence, clipping, level, quality and what a recogniser transcribes."""
