"""Checkpoints and headers: lazily opened, streamed, fingerprinted, written whole."""
