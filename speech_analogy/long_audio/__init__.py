"""Recordings of any length and format to timed text: read in blocks, cut where nobody speaks, decoded, written."""
