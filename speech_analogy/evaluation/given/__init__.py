"""Hypotheses of any system, in the files that other programs write, scored as our own are."""
