"""Samples in memory: encoding to FLAC and Opus, recordings on disk, sound inside a page."""
