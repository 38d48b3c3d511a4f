"""Whole runs: one recipe, one target or many, and variations of a finished run."""
