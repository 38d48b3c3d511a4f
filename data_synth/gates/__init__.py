"""Is this clip usable? Duration, silence, clipping, level, quality and what a recogniser makes of it."""
