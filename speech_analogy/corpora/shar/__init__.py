"""Lhotse Shar: cuts whose clips stay in their tar shards, each found by its place there."""
