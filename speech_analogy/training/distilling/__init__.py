"""A model learns in one window what it hears in another, from audio alone: `shorten` from 30 s, `widen` to 30 s."""
